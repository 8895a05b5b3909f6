"""How ordinary inputs are handled: descriptions, greetings, what lies outside, other languages, colloquial questions.

    python research/benchmarks/manners.py                           # both halves: research/results/everyday_inputs.json
    python research/benchmarks/manners.py --half development        # while a model is made

Each of the inputs of research/manners/ is typed beside three drawn pictures of validation people, with two people known by name,
in brackets or without in turn. The result file has every answer.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any

from plvm import personal
from plvm.types import SamplingParams
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.ordinary_inputs import KINDS, caption_facts, handled, read_inputs, stage_of, typed
from plvm_lab.evaluate.result_table import Table
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import draw_portrait

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

INPUTS = Path(__file__).resolve().parents[1] / "manners" / "inputs.jsonl"
NAMES = ("billie", "avril")
SEED, PICTURES, SIZE = 711, 3, 480
HALVES = ("development", "sealed")


def asked(vlm: personal.Personal, halves: tuple[str, ...], seed: int) -> list[dict[str, Any]]:
    """Every input of these halves beside every picture, with its answer and whether it was handled right."""
    found: list[dict[str, Any]] = []
    inputs = [i for i in read_inputs(INPUTS) if i.half in halves]
    for n, given in enumerate(inputs):
        for p in range(PICTURES):
            rng = random.Random(f"plvm-manners/{seed}/{given.id}/{p}")
            first = rng.randrange(10**6)
            stage = stage_of(rng, lambda i, first=first: person_of("val", 30_000_000 + 4 * first + i, seed), NAMES)
            people = [vlm.enroll(name, draw(draw_portrait(person, rng), SIZE)) for name, person in stage.named.items()]
            text = typed(given.text, stage.x, brackets=(n + p) % 2 == 0)
            answer = vlm.ask(draw(stage.scene, SIZE), text, people, SamplingParams(max_tokens=96)).text
            true, told = caption_facts(stage, answer) if given.kind == "description" else (0, 0)
            found.append({
                "id": given.id, "half": given.half, "kind": given.kind, "typed": text, "answer": answer,
                "right": handled(given, stage, answer), "facts": [true, told],
            })  # fmt: skip
        progress("inputs", n + 1, len(inputs))
    return found


def share(rows: list[dict[str, Any]]) -> Any:
    """The share handled right, with its interval over inputs."""
    return accuracy([r["right"] for r in rows], [r["id"] for r in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--half", choices=HALVES, help="one half only; both by default")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=RESULTS / "everyday_inputs.json")
    chosen = parser.parse_args()
    halves = (chosen.half,) if chosen.half else HALVES
    rows = asked(personal.load(chosen.model), halves, chosen.seed)
    by_half = {half: [r for r in rows if r["half"] == half] for half in halves}
    figures = {
        half: {
            "all": share(own),
            **{kind: share([r for r in own if r["kind"] == kind]) for kind in KINDS},
            "facts": sum(r["facts"][0] for r in own) / max(1, sum(r["facts"][1] for r in own)),
            "n": len(own),
        }
        for half, own in by_half.items()
    }
    table = Table(
        "Ordinary inputs", ("", *halves),
        tuple((kind, *(figures[half][kind] for half in halves)) for kind in ("all", *KINDS)),
        f"Percent handled right, {PICTURES} pictures an input; intervals over inputs.",
    )  # fmt: skip
    write_result(chosen.out, chosen.seed, {"figures": figures, "pictures": PICTURES, "answers": rows}, Shown((table,)))
    for half, own in figures.items():
        print(half, {k: round(v["value"], 3) if isinstance(v, dict) else v for k, v in own.items()})


if __name__ == "__main__":
    main()
