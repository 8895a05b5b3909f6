"""Table 1 of the paper on drawn portraits: every system under one protocol, on the shipped mini model.

    python research/runs/table1.py                                   # research/results/table1.json; records under build/table1
    python research/runs/table1.py --systems plvm llava-prompt       # some of them; the rows of the others stay in the file
    python research/runs/table1.py --set url=https://host/v1 --set model=NAME    # with the row of an endpoint

Claim: plvm is above yollava (1 image) and llava-prompt in the recognition mean, and llava without a prompt is near 50. The
paper's own figures (other pictures, LLaVA-1.5-7B) stand beside each row.

Hardware: a laptop's CPU. What takes the time is learning: yollava tunes rows for each of the 34 people, yollava-5 again.
A run that was stopped goes on where it was, to the person.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from plvm import personal
from plvm.cli.console import progress, table
from plvm_lab.cli.evaluate import OVERVIEW, overview, settings_in
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.evaluate.provenance import provenance
from plvm_lab.systems.comparison import evaluate_systems, every_system, row_of

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("recognition", "text_qa", "visual_qa", "controls")
PAPER = {  # positive, negative, mean, text-only QA, visual QA, in percent
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
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "table1.json")
    arguments = parser.parse_args()

    typed = shlex.join(["python", *sys.argv])
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
        whole = provenance(typed, arguments.seed) | {
            "benchmark": bench.key,
            "n": len(bench.names) * len(bench.pictures),
            "seconds": round(time.perf_counter() - begun, 1),
            "rows": list(rows.values()),
        }
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")

    with progress() as advance:
        evaluate_systems(
            arguments.systems or every_system(settings, bench), vlm, bench, arguments.work / bench.key, settings,
            command=typed, parts=PARTS, pictures=arguments.work / "pictures", progress=advance, report=report,
            key=os.environ.get("OPENAI_API_KEY", ""),
        )  # fmt: skip
    print(table([overview(row) for row in rows.values()], OVERVIEW))
    print(f"wrote {arguments.out} in {time.perf_counter() - begun:.0f} s", file=sys.stderr)


def table_row(summary: dict[str, Any]) -> dict[str, Any]:
    """A row: what was measured, the controls of multiple choice, and the paper's figures."""
    row = row_of(summary)
    figures = PAPER.get(row["system"])
    names = ("positive", "negative", "mean", "text_qa", "visual_qa")
    return row | {
        "controls": summary.get("controls"),
        "unparsable": summary["unparsable"],
        "skipped": summary["skipped"],
        "facts": summary["system"],
        "command": summary["command"],
        "commit": summary["commit"],
        "paper": figures and dict(zip(names, figures, strict=True)),
    }


if __name__ == "__main__":
    main()
