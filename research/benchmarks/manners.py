"""How ordinary inputs are handled: descriptions, greetings, what lies outside, other languages, colloquial questions.

    python research/benchmarks/manners.py                           # all of them: research/results/everyday_inputs.json
    python research/benchmarks/manners.py --half development        # while a model is made

Each of the inputs of research/manners/ is typed beside three drawn pictures of validation people, with two people known by name,
in brackets or without in turn. The result file has every answer, and whether the training's own wordings spell the input: whether
its letters and figures are among 200,000 texts drawn as the training draws them.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from plvm import personal
from plvm.personal import Personal
from plvm.types import SamplingParams
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.ordinary_inputs import (
    KINDS,
    OrdinaryInput,
    Stage,
    caption_facts,
    handled,
    read_inputs,
    stage_of,
    typed,
)
from plvm_lab.evaluate.result_table import Table
from plvm_lab.portraits.everyday import LEARNED, about_itself, described, greeting
from plvm_lab.portraits.outside import draw_outside
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import draw_portrait

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

INPUTS = Path(__file__).resolve().parents[1] / "manners" / "inputs.jsonl"
NAMES = ("billie", "avril")
SEED, PICTURES, SIZE, BATCH = 711, 3, 480, 30
HALVES = ("development", "sealed", "fresh", "later")


@dataclass(frozen=True)
class Typed:
    """An input beside a picture: what is typed, and who is known."""

    given: OrdinaryInput
    stage: Stage
    text: str
    picture: Image.Image
    references: Mapping[str, Image.Image]


def staged(halves: tuple[str, ...], pictures: int, seed: int) -> list[Typed]:
    """Every input of these halves beside every picture."""
    found = []
    for n, given in enumerate(i for i in read_inputs(INPUTS) if i.half in halves):
        for p in range(pictures):
            rng = random.Random(f"plvm-manners/{seed}/{given.id}/{p}")
            first = 30_000_000 + 4 * rng.randrange(10**6)
            stage = stage_of(rng, lambda i, first=first: person_of("val", first + i, seed), NAMES)
            references = {name: draw(draw_portrait(person, rng), SIZE) for name, person in stage.named.items()}
            text = typed(given.text, stage.x, brackets=(n + p) % 2 == 0)
            found.append(Typed(given, stage, text, draw(stage.scene, SIZE), references))
    return found


def asked(vlm: Personal, many: list[Typed], trained: set[str]) -> list[dict[str, Any]]:
    """Every input with its answer, whether it was handled right, and whether it is one of the `trained` texts."""
    found: list[dict[str, Any]] = []
    for i in range(0, len(many), BATCH):
        own = many[i : i + BATCH]
        questions = [(t.picture, t.text, [vlm.enroll(n, p) for n, p in t.references.items()]) for t in own]
        for t, answer in zip(own, vlm.ask_many(questions, SamplingParams(max_tokens=96)), strict=True):
            facts = caption_facts(t.stage, answer.text) if t.given.kind == "description" else (0, 0)
            found.append({
                "id": t.given.id, "half": t.given.half, "kind": t.given.kind, "typed": t.text, "answer": answer.text,
                "right": handled(t.given, t.stage, answer.text), "facts": facts, "spelled": plain(t.given.text) in trained,
            })  # fmt: skip
        progress("inputs", len(found), len(many))
    return found


def plain(text: str) -> str:
    """Its letters and figures, in small letters, with a name at every `{x}`."""
    return "".join(c for c in text.replace("{x}", "billie").lower() if c.isalnum())


def trained_texts(seed: int, draws: int = 200_000) -> set[str]:
    """What the training types, as `plain` has it: so many texts drawn as it draws them, and every wording of a question."""
    rng = random.Random(seed)
    drawn = (lambda: described(rng), lambda: greeting(rng)[0], lambda: about_itself(rng), lambda: draw_outside(rng, "billie"))
    texts = {plain(drawn[n % len(drawn)]()) for n in range(draws)}
    return texts | {plain(text) for wordings in LEARNED.values() for text in wordings}


def share(rows: list[dict[str, Any]]) -> Any:
    """The share handled right, with its interval over inputs."""
    return accuracy([r["right"] for r in rows], [r["id"] for r in rows])


def shown(content: Mapping[str, Any]) -> Shown:
    """The shares kind by kind, half by half."""
    figures = content["figures"]
    rows = tuple((kind, *(own[kind] for own in figures.values())) for kind in ("all", "not spelled", *KINDS))
    note = (
        f"Percent handled right, {content['pictures']} pictures an input; intervals over inputs. Not spelled: all but those that "
        "the training's own wordings spell."
    )
    return Shown((Table("Ordinary inputs", ("", *figures), rows, note),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--half", choices=HALVES, help="those only; all by default")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="beside which each input is typed")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=RESULTS / "everyday_inputs.json")
    chosen = parser.parse_args()
    halves = (chosen.half,) if chosen.half else HALVES
    rows = asked(personal.load(chosen.model), staged(halves, chosen.pictures, chosen.seed), trained_texts(chosen.seed))
    by_half = {half: [r for r in rows if r["half"] == half] for half in halves}
    figures = {
        half: {
            "all": share(own),
            **{kind: share([r for r in own if r["kind"] == kind]) for kind in KINDS},
            "facts": sum(r["facts"][0] for r in own) / max(1, sum(r["facts"][1] for r in own)),
            "not spelled": share([r for r in own if not r["spelled"]]),
            "n": len(own),
        }
        for half, own in by_half.items()
    }
    content = {"figures": figures, "pictures": chosen.pictures, "answers": rows}
    write_result(chosen.out, chosen.seed, content, shown(content))
    for half, own in figures.items():
        print(half, {k: round(v["value"], 3) if isinstance(v, dict) else v for k, v in own.items()})


if __name__ == "__main__":
    main()
