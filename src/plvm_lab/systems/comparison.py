"""Runs systems on a benchmark: one into its folder, or many into folders of their own beside an overview."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plvm.errors import RequestError
from plvm.personal import Personal, load
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.evaluate.provenance import provenance
from plvm_lab.evaluate.result_table import Cell, Table, json_of, lasting
from plvm_lab.evaluate.runner import Progress, evaluate
from plvm_lab.evaluate.suite import Suite
from plvm_lab.systems import (
    DRAWN_ONLY,
    NO_MODEL,
    SUITE_ONLY,
    SYSTEMS,
    build_system,
    check_systems,
    keeps,
    settings_for,
    settings_of,
)

OVERVIEW = "systems.json"
SYSTEM_HEADER = ("system", "positive", "negative", "mean", "AUC", "text QA", "visual QA", "enrolment")  # of system_cells
KEPT = "kept"  # the folder of what a system keeps, beside its records


def evaluate_system(
    name: str,
    vlm: Callable[[], Personal],
    benchmark: Suite,
    out: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    key: str = "",
    **options: Any,
) -> dict[str, Any]:
    """Run the system called `name` on `benchmark` and return its summary. `vlm` is only called where a model is needed;
    `key` is for endpoints; `options` as in `evaluate.runner.evaluate`."""
    own = dict(settings or {})
    if keeps(name):
        own["keep"] = out / KEPT
    if name in NO_MODEL:
        own["key"] = key
    subject = build_system(name, None if name in NO_MODEL else vlm(), **own)
    return evaluate(subject, benchmark, out, **options)


def evaluate_systems(
    names: Sequence[str],
    vlm: Callable[[], Personal],
    benchmark: Suite,
    out: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    progress: Progress | None = None,
    report: Callable[[str, dict[str, Any]], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Run many systems, each into `out`/<name>, and return what `out`/systems.json says: the row of each with the
    seconds its parts took, and what each skipped. What is finished is not done again. A setting goes to every system
    that has it; `report` hears of each system when it is done."""
    settings = settings or {}
    check_systems(list(names))
    for setting in settings:
        if not any(setting in settings_of(name) for name in names):
            raise RequestError(f'None of these systems has a setting "{setting[:40]}".', "See --help of plvm eval.")
    found = provenance(options.get("command", ""), benchmark.seed)
    found |= {"benchmark": benchmark.key, "seconds": 0.0, "systems": [], "skipped": {}}
    out.mkdir(parents=True, exist_ok=True)
    for name in names:

        def advance(what: str, done: int, total: int, name: str = name) -> None:
            if progress is not None:
                progress(f"{name}: {what}", done, total)

        summary = evaluate_system(
            name, vlm, benchmark, out / name, settings_for(name, settings), progress=advance, **options
        )
        seconds = seconds_of(summary)
        found["seconds"] = round(found["seconds"] + seconds, 1)
        found["systems"].append(row_of(summary) | {"seconds": seconds})
        found["skipped"][name] = summary["skipped"]
        found["tables"] = [json_of(overview_table(found))]
        (out / OVERVIEW).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        if report is not None:
            report(name, summary)
    return found


def row_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A system's row of Table 1: shares with their intervals; None where it lacks the ability or was not asked."""
    recognition, learning = summary.get("recognition"), summary["timing"]["learning"]
    return {
        "system": summary["system"]["name"],
        "recognition": recognition and {k: recognition[k] for k in ("positive", "negative", "mean", "auc")},
        "text_qa": summary.get("text_qa", {}).get("accuracy"),
        "visual_qa": summary.get("visual_qa", {}).get("accuracy"),
        "enroll_seconds": learning and round(learning["seconds"] / learning["n"], 6),
        "enroll_bytes": learning and learning["bytes"],
    }


def system_cells(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    """A system's row (`row_of`) as the cells of a table: recognition, both kinds of questions, and what enrolling takes."""
    recognition = row["recognition"] or {}
    shares = [*(recognition.get(k) for k in ("positive", "negative", "mean", "auc")), row["text_qa"], row["visual_qa"]]
    learned = row["enroll_seconds"]
    return (row["system"], *(s or "-" for s in shares), "-" if learned is None else lasting(learned))


def overview_table(overview: Mapping[str, Any]) -> Table:
    """The table of an overview of many systems, as `evaluate_systems` returns it."""
    rows = tuple((*system_cells(row), f"{row['seconds'] / 60:.0f} min") for row in overview["systems"])
    note = f"Percent. Everything was asked of every system: {overview['seconds'] / 60:.0f} minutes in all."
    return Table("plvm eval --system all", (*SYSTEM_HEADER, "all of it took"), rows, note)


def seconds_of(summary: Mapping[str, Any]) -> float:
    """Seconds that learning and every part of a run took, in whatever sitting they were done."""
    timing = [entry for what, entry in summary["timing"].items() if what != "machine" and entry]
    return round(sum(entry["seconds"] for entry in timing), 1)


def every_system(settings: Mapping[str, Any], benchmark: Suite) -> list[str]:
    """What "all" means: every system; those that need an endpoint only where one is set, those that have to know who was
    drawn only on drawn portraits."""
    out = set() if isinstance(benchmark, Benchmark) else set(DRAWN_ONLY)
    out |= {name for name, suite in SUITE_ONLY.items() if suite != benchmark.suite}
    return [name for name in SYSTEMS if (name not in NO_MODEL or settings.get("url")) and name not in out]


def evaluate_model(
    model: str | Path,
    out: Path,
    *,
    system: str = "plvm",
    split: str = "test",
    seed: int = 0,
    small: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Load `model`, run `system` around it on the portraits benchmark and return the summary. `small` asks a few items of
    every part, to see that the chain holds; `options` as in `evaluate.runner.evaluate`."""
    bench = portraits(split, seed, SMALL if small else None)
    return evaluate_system(system, lambda: load(model), bench, out, **options)
