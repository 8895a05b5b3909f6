"""The systems beside PLVM, measured on the benchmark that PLVM is measured on. Run by hand.

    python benchmarks/baselines.py                         # these systems, the shipped mini model, results/baselines.json
    python benchmarks/baselines.py --systems embedding     # one of them; the others' figures stay in the file

Systems:  plvm               concept tokens
          llava              the same frozen VLM, told nothing
          llava-prompt       its own description of the reference in 16 tokens, names as rows
          llava-prompt-plain the same, names as plain text: nothing of the Aligner is used
          llava-prompt-true  the truth in words: what a perfect describer could tell
          in-context         the reference picture itself in the prompt
          embedding          cosine of encoder features, best of the picture and 75 crops, threshold from "val"

Claim: the recognition mean of `plvm` is above that of `llava-prompt` and `embedding`. About 15 minutes on 2 cores. Those
that are tuned for every concept are in `runs/table1.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from result import RESULTS, command, progress, write_result

from plvm import personal
from plvm.evaluate.datasets import SMALL, Benchmark, portraits
from plvm.evaluate.runner import evaluate
from plvm.systems import build_system

PARTS = (
    "recognition", "recognition_lookalikes", "recognition_three_concepts", "text_qa", "visual_qa", "who",
)  # fmt: skip


SYSTEMS = (
    "plvm", "llava", "llava-prompt", "llava-prompt-plain", "llava-prompt-true", "in-context", "embedding",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark; 0 is the published one")
    parser.add_argument("--split", default="test", choices=("test", "val"))
    parser.add_argument("--systems", nargs="*", help="which of them (default: all)")
    parser.add_argument("--parts", nargs="*", default=PARTS, help="parts of the suite")
    parser.add_argument("--small", action="store_true", help="a few items of everything, to see that it runs")
    parser.add_argument("--work", type=Path, default=Path("build/baselines"), help="records and drawn pictures")
    parser.add_argument("--out", type=Path, default=RESULTS / "baselines.json")
    arguments = parser.parse_args()

    size = SMALL if arguments.small else None
    bench: Benchmark = portraits(arguments.split, arguments.seed, size)
    pictures = arguments.work / "pictures"
    vlm = personal.load(arguments.model)
    found: dict[str, Any] = {}
    if arguments.out.exists():
        before = json.loads(arguments.out.read_text(encoding="utf-8"))
        found = before["systems"] if before.get("benchmark") == bench.key else {}
    for name in arguments.systems or SYSTEMS:
        print(f"== {name}", file=sys.stderr)
        folder = arguments.work / bench.key / name
        found[name] = evaluate(
            build_system(name, vlm),
            bench,
            folder,
            command=command(),
            parts=arguments.parts,
            pictures=pictures,
            progress=progress,
        )
        mean = found[name]["recognition"]["mean"]
        print(f"{name}: recognition mean {mean['value']:.3f} [{mean['low']:.3f}, {mean['high']:.3f}]")
        figures = {"benchmark": bench.key, "n": len(bench.names) * len(bench.pictures), "systems": found}
        write_result(arguments.out, arguments.seed, figures)


if __name__ == "__main__":
    main()
