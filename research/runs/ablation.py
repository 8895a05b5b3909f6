"""One table of ablations: every arm trained by `plvm train`'s trainer, measured on the benchmark, written to a result file.

The base is the published training, its tasks, w, p and K, of the anchored form with anchor = 0.5: tokens are told the words of
their person in the first half. The published form learns nothing between the mini family's frozen parts
(research/results/arms.json). Finished arms are kept by their settings: started again, a script
goes on with what is missing, and what tables have in common is trained once.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from plvm.config import changed, parse_overrides
from plvm.data.manifest import read_manifest
from plvm.train.prepare import prepare
from plvm.train.settings import Settings
from plvm_lab.evaluate.result_table import Cell, Table
from plvm_lab.report.charts import Bar, Chart
from plvm_lab.systems.comparison import evaluate_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

BASE = {
    "aligner.architecture": "anchored", "aligner.blocks": 2, "train.anchor": 0.5, "train.lr": 1e-3,
    "train.optimizer": "muon", "train.warmup": 50, "train.trackers": "", "train.validate": 300,
}  # fmt: skip
FIGURES = ("positive", "negative", "mean")
FURTHER = {"look-alikes": ("lookalikes", "mean"), "text QA": ("text_qa",)}
TOLD = "All were trained with the anchored form and anchor = 0.5: tokens are told the words of their person in the first half."
PARTS = ("recognition", "recognition_lookalikes", "text_qa")


def run_table(
    name: str, about: str, arms: Mapping[str, Mapping[str, Any]], published: Mapping[str, Any],
    shown: Callable[[Mapping[str, Any]], Shown],
) -> None:  # fmt: skip
    """Parse the command line, then train and measure every arm; `published` are the published figures by arm, and `shown`
    makes the table of the result file."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a dataset of plvm synth")
    parser.add_argument("settings", nargs="*", help="section.key=value for all arms")
    parser.add_argument("--arms", help=f"comma-separated, of: {', '.join(arms)}")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each arm")
    parser.add_argument("--repeat", help="comma-separated arms that get so many trainings; the others get one")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--model", default="mini", help="whose frozen parts")
    parser.add_argument("--work", type=Path, default=Path("build/runs"), help="where the trainings are")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    arguments = parser.parse_args()

    chosen = arguments.arms.split(",") if arguments.arms else list(arms)
    repeated = arguments.repeat.split(",") if arguments.repeat else chosen
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for arm in chosen if seed == 0 else repeated:
            own = {**BASE, "train.steps": arguments.steps, **parse_overrides(arguments.settings), **arms[arm]}
            settings = changed(Settings(), own | {"train.seed": seed})
            folder = arguments.work / digest(settings, arguments)
            found = train_and_measure(settings, folder, arguments)
            rows.append({"arm": arm, "seed": seed, "settings": own, "published": published.get(arm), **found})
            figures = {"benchmark": "small" if arguments.small else "test", "rows": rows}
            write_result(arguments.out, seed, figures, shown(figures))
            values = ", ".join(f"{k} {100 * rows[-1]['recognition'][k]['value']:.1f}" for k in FIGURES)
            print(f"{name} {arm} seed {seed}: {values}; published: {published.get(arm)}", flush=True)


def train_and_measure(settings: Settings, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The arm's training record and its figures on the benchmark; what is there already is not done again."""
    trainer = prepare(arguments.data, folder, settings, model=arguments.model, cache=arguments.work / "cache")
    record = trainer.run(lambda stage, step, steps, _: print(f"\r{stage} {step}/{steps} ", end="", file=sys.stderr))
    found = evaluate_model(
        folder, folder / "run" / "evaluation", small=arguments.small, parts=PARTS,
        pictures=arguments.work / "pictures",
    )  # fmt: skip
    return {
        "best_step": record["step"], "steps": settings.train.steps, "validation": record["validation"],
        "recognition": found["recognition"], "lookalikes": found["recognition_lookalikes"],
        "text_qa": found["text_qa"]["accuracy"], "n": found["recognition"]["mean"]["n"],
    }  # fmt: skip


def digest(settings: Settings, arguments: argparse.Namespace) -> str:
    """What names a training: its settings, its data and its model."""
    told = [dataclasses.asdict(settings), read_manifest(arguments.data).content, arguments.model]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


# ---- what is shown


def arms_of(figures: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each arm, in order."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for row in figures["rows"]:
        arms.setdefault(row["arm"], []).append(row)
    return arms


def figure_of(rows: Sequence[Mapping[str, Any]], *path: str) -> dict[str, float]:
    """A share of one training with its bootstrap interval; of several their mean, and from where to where they go."""
    found = [reduce(getitem, path, row) for row in rows]
    if len(found) == 1:
        return {key: found[0][key] for key in ("value", "low", "high")}
    values = [f["value"] for f in found]
    return {"value": sum(values) / len(values), "low": min(values), "high": max(values)}


def table_of_arms(figures: Mapping[str, Any], title: str, more: str = TOLD) -> Table:
    """Arms with recognition on the benchmark, and what was published where there is something; `more` ends the note."""
    rows: list[tuple[Cell, ...]] = []
    further = {name: path for name, path in FURTHER.items() if all(path[0] in row for row in figures["rows"])}
    compared = FIGURES if any(row.get("published") for row in figures["rows"]) else ()
    for arm, own in arms_of(figures).items():
        published = own[0].get("published") or {}
        theirs = (f"{published[f]:.1f}" if f in published else "-" for f in compared)
        ours = [figure_of(own, "recognition", f) for f in FIGURES] + [figure_of(own, *path) for path in further.values()]
        rows.append((arm, str(len(own)), *ours, *theirs))
    header = ("arm", "trainings", *FIGURES, *further, *(f"published: {f}" for f in compared))
    note = f"{how_measured(figures)} {more}" + (" The published ones are of photos and a 7B model." if compared else "")
    return Table(title, header, tuple(rows), note)


def how_measured(figures: Mapping[str, Any]) -> str:
    """What the shares and intervals of a table of arms are."""
    steps = sorted({row["steps"] for row in figures["rows"]})
    return (
        f"Percent; recognition of {figures['rows'][0]['n']:,} pairs; {', '.join(map(str, steps))} steps each. Of one training "
        "the interval is a bootstrap's over identities, of several it is their range."
    )


def chart_of_arms(figures: Mapping[str, Any], name: Callable[[Mapping[str, Any]], str] = lambda row: row["arm"]) -> Chart:
    """The recognition mean of each arm with its interval, the published one as a mark; `name` makes a bar's name of a row."""
    bars = []
    for rows in arms_of(figures).values():
        mark = (rows[0].get("published") or {}).get("mean")
        bars.append(Bar(name(rows[0]), **figure_of(rows, "recognition", "mean"), mark=mark and round(mark / 100, 6)))
    marked = ": bars ours, dots published" if any(bar.mark for bar in bars) else ""
    return Chart(f"recognition, mean, %{marked}", tuple(bars), start=0.4)


def shown_arms(figures: Mapping[str, Any], title: str, place: str = "") -> Shown:
    """The table and the chart of arms that differ in one setting."""
    return Shown((table_of_arms(figures, title),), (chart_of_arms(figures),), place)
