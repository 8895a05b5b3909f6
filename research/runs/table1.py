"""Table 1 of the paper on drawn portraits: every system under one protocol, on the shipped mini model.

    python research/runs/table1.py                                   # research/results/table1.json; records under build/table1
    python research/runs/table1.py --systems plvm llava-prompt       # some of them; the rows of the others stay in the file
    python research/runs/table1.py --set url=https://host/v1 --set model=NAME    # with the row of an endpoint

Claim: plvm is above yollava (1 image) and llava-prompt in the recognition mean, and llava without a prompt is near 50. The
published figures (other pictures, LLaVA-1.5-7B) stand beside each row.

Hardware: a laptop's CPU. What takes the time is learning: yollava tunes rows for each of the 34 people, yollava-5 again.
A run that was stopped goes on where it was, to the person.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from plvm import personal
from plvm.cli.console import progress, table
from plvm_lab.cli.evaluate import OVERVIEW, overview, settings_in
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.evaluate.result_table import Table
from plvm_lab.report.evaluations import controls
from plvm_lab.report.results import Run
from plvm_lab.systems.comparison import SYSTEM_HEADER, evaluate_systems, every_system, row_of, system_cells

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import OTHER_PICTURES, RESULTS, Shown, command, write_result

PARTS = ("recognition", "text_qa", "visual_qa", "controls")
PUBLISHED = {  # positive, negative, mean, text-only QA, visual QA, in percent
    "llava": (0.0, 100.0, 50.0, None, None),
    "llava-prompt": (80.3, 61.3, 70.8, 71.8, 72.3),
    "yollava": (73.1, 73.7, 73.4, 77.4, 72.9),
    "openai": (40.5, 97.5, 69.0, 47.9, 50.5),
    "plvm": (78.5, 84.7, 81.6, 85.9, 77.5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark; 0 is the published one")
    parser.add_argument("--systems", nargs="*", help="which of them (default: all)")
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings, NAME=VALUE")
    parser.add_argument("--small", action="store_true", help="a few items of everything, to see that it runs")
    parser.add_argument("--work", type=Path, default=Path("build/table1"), help="records, pictures, what was learned")
    parser.add_argument("--out", type=Path, default=RESULTS / "table1.json")
    arguments = parser.parse_args()

    bench = portraits("test", arguments.seed, SMALL if arguments.small else None)
    settings = settings_in(arguments.set)
    begun = time.perf_counter()

    @cache
    def vlm() -> personal.Personal:
        return personal.load(arguments.model)

    rows: dict[str, Any] = {}
    if arguments.out.exists():
        before = json.loads(arguments.out.read_text(encoding="utf-8"))
        same = (before["benchmark"], before["n"]) == (bench.key, len(bench.names) * len(bench.pictures))
        rows = {r["system"]: r for r in before["rows"]} if same else {}

    def report(name: str, summary: dict[str, Any]) -> None:
        """Write the table after every system, so that a stopped run has its rows."""
        rows[name] = table_row(summary)
        figures = {
            "benchmark": bench.key,
            "n": len(bench.names) * len(bench.pictures),
            "seconds": round(time.perf_counter() - begun, 1),
            "rows": list(rows.values()),
        }
        write_result(arguments.out, arguments.seed, figures, shown(figures))

    with progress() as advance:
        evaluate_systems(
            arguments.systems or every_system(settings, bench), vlm, bench, arguments.work / bench.key, settings,
            command=command(), parts=PARTS, pictures=arguments.work / "pictures", progress=advance, report=report,
            key=os.environ.get("OPENAI_API_KEY", ""),
        )  # fmt: skip
    print(table([overview(row) for row in rows.values()], OVERVIEW))
    print(f"{time.perf_counter() - begun:.0f} s in all", file=sys.stderr)


def table_row(summary: dict[str, Any]) -> dict[str, Any]:
    """A row: what was measured, the controls of multiple choice, and the published figures."""
    row = row_of(summary)
    figures = PUBLISHED.get(row["system"])
    names = ("positive", "negative", "mean", "text_qa", "visual_qa")
    return row | {
        "controls": summary.get("controls"),
        "unparsable": summary["unparsable"],
        "skipped": summary["skipped"],
        "facts": summary["system"],
        "command": summary["command"],
        "commit": summary["commit"],
        "published": figures and dict(zip(names, figures, strict=True)),
    }


NOTES = {
    "llava-prompt": "its own description of the reference, cut to 16 tokens; how much of it is true: descriptions.json",
    "llava-prompt-true-16": "the truth cut to the same 16 tokens, so that what it has over llava-prompt is what mini's "
    "descriptions lack",
    "in-context": "the reference picture itself before the question: mini was never taught to read a picture in place of a "
    "description",
}  # what has to be known to read a system's row


def shown(figures: Mapping[str, Any]) -> Shown:
    """Every system with the published figures, what measured it, and the controls of its multiple choice."""
    rows = tuple((*system_cells(row), *_published(row["published"] or {})) for row in figures["rows"])
    header = (*SYSTEM_HEADER, "published: mean", "published: text QA", "published: visual QA")
    measured = {row["system"] for row in figures["rows"]}
    told = "".join(f" {system}: {note}." for system, note in NOTES.items() if system in measured)
    note = f"Percent, 95 % intervals over identities; n {figures['n']:,} pairs. {OTHER_PICTURES}{told}"
    asked = [Run(row["system"], _as_summary(row), Path()) for row in figures["rows"]]
    checks = controls([run for run in asked if run.summary["controls"]])
    tables = [Table("Every system under one protocol (Table 1)", header, rows, note), *([checks] if checks else [])]
    return Shown((*tables, commands(figures)), place="Table 1")


def commands(figures: Mapping[str, Any]) -> Table:
    """Which command measured each row, at which commit. Of the first rows the command was not kept."""
    rows = tuple((row["system"], row["command"] or "not kept", (row["commit"] or "none")[:10]) for row in figures["rows"])
    note = "A run measures the systems that it names and keeps the other rows of the file."
    if any(row["command"] is None for row in figures["rows"]):
        note += (
            " Where the command was not kept, the same shares came out of one run of all systems afterwards (systems.json: plvm "
            "eval --suite portraits --system all)."
        )
    return Table("What measured each row of Table 1", ("system", "command", "commit"), rows, note)


def _published(figures: Mapping[str, Any]) -> tuple[str, ...]:
    values = (figures.get(key) for key in ("mean", "text_qa", "visual_qa"))
    return tuple("-" if value is None else f"{value:.1f}" for value in values)


def _as_summary(row: Mapping[str, Any]) -> dict[str, Any]:
    qa = {part: {"accuracy": row[part]} for part in ("text_qa", "visual_qa") if row[part]}
    return {**qa, "controls": row["controls"] or {}}


if __name__ == "__main__":
    main()
