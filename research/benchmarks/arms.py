"""The forms of the Aligner, trained on the same frozen family, measured alike. Run by hand after `plvm mini build`.

    python research/benchmarks/arms.py build/mini  # every trained arm on val and test, research/results/arms.json

Arms:  paper      the paper's form and tasks
       bounded    the same tasks; rows start at the mean name and keep the size of the frozen rows
       anchored   word-anchored context tokens, coded names, grounded questions about one to three concepts

Claim: the arm with the best recognition mean on "val" is the one that the package ships. About 8 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from result import RESULTS, command, progress, write_result

from plvm.personal import load
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.families.mini.align import ARMS
from plvm_lab.families.mini.build import Build, export, last_figures
from plvm_lab.families.mini.recipe import SCALES
from plvm_lab.systems.plvm import Plvm

VAL = ("recognition",)
TEST = ("recognition", "recognition_lookalikes", "recognition_three_concepts", "text_qa", "visual_qa", "who")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, help="the folder of `plvm mini build`")
    parser.add_argument("--scale", default="full", choices=tuple(SCALES))
    parser.add_argument("--out", type=Path, default=RESULTS / "arms.json")
    arguments = parser.parse_args()

    build = Build(SCALES[arguments.scale], arguments.build, lambda *_: None)
    found: dict[str, Any] = {}
    for arm in ARMS:
        weights = arguments.build / f"weights-{arm}"
        export(build, arm, weights)
        system = Plvm(load(weights / "aligner"))
        found[arm] = {"training": last_figures(arguments.build / f"aligner-{arm}" / "run" / "aligner.jsonl")}
        for split, parts in (("val", VAL), ("test", TEST)):
            found[arm][split] = evaluate(
                system,
                portraits(split, 0),
                arguments.build / "arms" / arm / split,
                command=command(),
                parts=parts,
                pictures=arguments.build / "arms" / "pictures",
                progress=progress,
            )
            print(f"{arm} on {split}: recognition mean {found[arm][split]['recognition']['mean']['value']:.3f}")
    best = max(found, key=lambda arm: found[arm]["val"]["recognition"]["mean"]["value"])
    write_result(arguments.out, 0, {"best_on_val": best, "arms": found})


if __name__ == "__main__":
    main()
