"""What the filters of drawn portraits catch and what they cost: 1,000 portraits, about 200 of them wrong on purpose.

    python research/benchmarks/planted.py                           # the shipped judge, research/results/planted.json

Claim: of every kind of fault at least 95 % are caught by the filter whose job it is, and under 5 % of the good pictures
are lost.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from result import RESULTS, progress, write_result

from plvm_lab.synth.filters import Filters
from plvm_lab.synth.planted import measure
from plvm_lab.synth.portrait_judge import load_judge


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
    write_result(arguments.out, arguments.seed, {"n": arguments.pictures, **found})


if __name__ == "__main__":
    main()
