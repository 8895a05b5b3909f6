"""What the filters of drawn portraits catch and what they cost: 1,000 portraits, about 200 of them wrong on purpose.

    python research/benchmarks/planted.py                           # the shipped judge, research/results/planted.json

Claim: of every kind of fault at least 95 % are caught by the filter whose job it is, and under 5 % of the good pictures
are lost.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.result_table import Table
from plvm_lab.synth.filters import Filters
from plvm_lab.synth.planted import measure
from plvm_lab.synth.portrait_judge import load_judge

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", help="the folder of a judge (default: the shipped one)")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=991)
    parser.add_argument("--out", type=Path, default=RESULTS / "planted.json")
    arguments = parser.parse_args()
    judge = load_judge(arguments.judge)
    found = measure(
        Filters(judge, judge), pictures=arguments.pictures, seed=arguments.seed,
        report=lambda done, total: progress("identities", done, total),
    )  # fmt: skip
    print(found)
    figures = {"n": arguments.pictures, **found}
    write_result(arguments.out, arguments.seed, figures, shown(figures))



def shown(figures: Mapping[str, Any]) -> Shown:
    """What was planted and caught, and what good pictures were lost."""
    rows = tuple(
        (kind, *(str(found[k]) for k in ("planted", "caught", "by_the_right_filter")))
        for kind, found in figures["faults"].items()
    )
    good = figures["good"]
    by = ", ".join(f"{reason} {n}" for reason, n in good["by"].items())
    note = f"Of {good['pictures']} good pictures {good['lost']} were lost" + (f" ({by})." if by else ".")
    header = ("fault", "planted", "caught", "by the right filter")
    return Shown((Table("What the filters of drawn portraits catch", header, rows, note),))


if __name__ == "__main__":
    main()
