"""A reference picture itself in the prompt, before and after mini's language model met such prompts in its training.

    python research/runs/in_context.py          # research/results/in_context.json; records under build/in_context
    python research/runs/in_context.py --small  # a few items of everything, to see that it runs

Before: the row of Table 1, whose frozen family is that of 0.2.0. After: the same questions to the shipped one.
Claim: pictures in the prompt are read, and the Aligner's rows are read far better. 20 minutes on one core; a run that was stopped
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm import personal
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.evaluate.result_table import Table
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.systems import build_system

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, SHARES, Shown, command, progress, write_result

SYSTEM = "in-context"
QA = {"text_qa": "text QA", "visual_qa": "visual QA"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--small", action="store_true", help="a few items of everything, to see that it runs")
    parser.add_argument("--work", type=Path, default=Path("build/in_context"), help="records")
    parser.add_argument("--out", type=Path, default=RESULTS / "in_context.json")
    arguments = parser.parse_args()

    table1 = json.loads((RESULTS / "table1.json").read_text(encoding="utf-8"))
    before = next(row for row in table1["rows"] if row["system"] == SYSTEM)
    system = build_system(SYSTEM, personal.load(arguments.model))
    bench = portraits("test", 0, SMALL if arguments.small else None)
    parts = ["recognition", *QA]
    summary = evaluate(system, bench, arguments.work, command=command(), parts=parts, progress=progress)
    figures = {
        "system": system.facts, "n": summary["n"],
        "before": {"commit": before["commit"], "recognition": before["recognition"], **{part: before[part] for part in QA}},
        "after": {"recognition": summary["recognition"], **{part: summary[part]["accuracy"] for part in QA}},
    }  # fmt: skip
    write_result(arguments.out, 0, figures, shown(figures))


def shown(figures: Mapping[str, Any]) -> Shown:
    """A row before, a row after."""
    rows = tuple(
        (when, *(figures[when]["recognition"][share] for share in SHARES), *(figures[when][part] for part in QA))
        for when in ("before", "after")
    )
    note = (
        "Percent, 95 % intervals over identities; the same pairs, questions and reference pictures. Before: the frozen family of "
        "0.2.0, which had never met a picture in the middle of a prompt. After: the shipped one."
    )
    return Shown((Table("A reference picture in the prompt (in-context)", ("", *SHARES.values(), *QA.values()), rows, note),))


if __name__ == "__main__":
    main()
