"""The forms of the Aligner, trained on the same frozen family, measured alike. Run by hand after `plvm mini build`.

    python research/benchmarks/arms.py build/mini  # every trained arm on val and test, research/results/arms.json

Arms:  paper      the paper's form and tasks
       bounded    the same tasks; rows start at the mean name and keep the size of the frozen rows
       anchored   word-anchored context tokens, coded names, grounded questions about one to three concepts

Forms, tasks and whether the words of drawn people are told change together here; research/runs/crossing.py crosses them.
Claim: the arm with the best recognition mean on "val" is the one that the package ships. About 8 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm.personal import load
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.result_table import Table
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.families.mini.align import ARMS
from plvm_lab.families.mini.build import Build, export, last_figures
from plvm_lab.families.mini.recipe import SCALES
from plvm_lab.systems.plvm import Plvm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, command, progress, write_result

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
    figures = {"best_on_val": best, "arms": found}
    write_result(arguments.out, 0, figures, shown(figures))



def shown(figures: Mapping[str, Any]) -> Shown:
    """The arms side by side. They differ in more than their form: the note says in what."""

    def row(name: str, test: Mapping[str, Any]) -> tuple[Any, ...]:
        means = (test[part]["mean"] for part in ("recognition", "recognition_lookalikes"))
        return (name, *means, *(test[part]["accuracy"] for part in ("text_qa", "visual_qa")))

    header = ("arm", "recognition, mean", "look-alikes, mean", "text QA", "visual QA")
    note = (
        f"Percent; one training of 2,400 steps each. On validation people the best is {figures['best_on_val']}. Not the forms "
        "alone differ: anchored was also trained on grounded tasks (dialogues about one to three people) with w = 4 and told "
        "the words of its people all the time (anchor = 4), and has 2 blocks; paper and bounded were on single questions with "
        "w = 20 and without the words, and have 4. crossing.json takes these apart."
    )
    rows = tuple(row(name, arm["test"]) for name, arm in figures["arms"].items())
    return Shown((Table("Three trainings of the Aligner", header, rows, note),))


if __name__ == "__main__":
    main()
