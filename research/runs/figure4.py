"""Figure 4 of the paper on mini: a dialogue in which four people join one after the other, side by side.

    python research/runs/figure4.py                             # plvm; research/results/figure4/index.html and figure4.json
    python research/runs/figure4.py --systems plvm llava llava-prompt in-context yollava
    python research/runs/figure4.py --systems plvm openai --set url=https://host/v1 --set model=NAME    # the key: OPENAI_API_KEY

One picture of four people of the test split, drawn for this; in each turn one more is enrolled and asked about, and at
the end who is there. Every system that can hold a dialogue answers after its own earlier answers; ticks and crosses come
from the drawing's own truth. An illustration of one dialogue, not a measurement; three minutes with systems that tune.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plvm import personal
from plvm.errors import PlvmError
from plvm_lab.cli.evaluate import settings_in
from plvm_lab.evaluate.drawings import QUERY_SIZE, REFERENCE_SIZE
from plvm_lab.evaluate.items import Line
from plvm_lab.evaluate.parsing import is_right
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.system import Converses, System, Turn
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.questions import Asker
from plvm_lab.portraits.render import rasterize, scene_svg
from plvm_lab.portraits.scene import draw_portrait, draw_scene
from plvm_lab.report.dialogue import Dialogue, Exchange, dialogue_page
from plvm_lab.systems import DRAWN_ONLY, NO_MODEL, build_system, settings_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

NAMES = ("billie", "robin", "kai", "noel")
KINDS = ("where", "wearing", "where", "recognize")


def draw(seed: int) -> tuple[Dialogue, list[Line]]:
    """Four people, the picture of them, and the questions with their true answers."""
    rng = random.Random(f"plvm-figure-4/{seed}")
    people = [person_of("test", 1000 + i, seed) for i in range(len(NAMES))]
    scene = draw_scene(people, rng)
    references = {n: rasterize(scene_svg(draw_portrait(p, rng)), REFERENCE_SIZE) for n, p in zip(NAMES, people)}
    lines = []
    for i, (name, kind) in enumerate(zip(NAMES, KINDS, strict=True)):
        asker = Asker(scene, dict(zip(NAMES[: i + 1], people)), rng)
        question = asker.ask(kind, name)
        assert question is not None
        lines.append(Line(kind, question.text, question.answer, question.options))
    return Dialogue(rasterize(scene_svg(scene), QUERY_SIZE), references, {}), lines


def converse(system: System, dialogue: Dialogue, lines: list[Line]) -> list[Exchange]:
    """What a system that can converse answers, turn by turn."""
    assert isinstance(system, Converses)
    begun = time.perf_counter()
    known = [system.learn(name, picture) for name, picture in dialogue.references.items()]
    enrolled = (time.perf_counter() - begun) / len(known)
    turns = [Turn(line.question, (who,)) for line, who in zip(lines, known, strict=True)]
    said = system.converse(dialogue.picture, turns)
    return [
        Exchange(name, line.question, text, line.answer, is_right(line, text), enrolled)
        for name, line, text in zip(NAMES, lines, said, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--systems", nargs="+", default=["plvm"])
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings, NAME=VALUE")
    parser.add_argument("--work", type=Path, default=Path("build/figure4"), help="answers of an endpoint, asked once")
    parser.add_argument("--seed", type=int, default=0, help="of the people and the picture")
    parser.add_argument("--out", type=Path, default=RESULTS / "figure4")
    arguments = parser.parse_args()

    dialogue, lines = draw(arguments.seed)
    vlm, settings = personal.load(arguments.model), settings_in(arguments.set)
    for name in arguments.systems:
        own = settings_for(name, settings)
        if name in NO_MODEL:
            own |= {"key": os.environ.get("OPENAI_API_KEY", ""), "keep": arguments.work / name}
        try:
            system = build_system(name, vlm, **own)
        except PlvmError as error:
            raise SystemExit(f"{error.message} {error.hint}") from None
        if not isinstance(system, Converses) or name in DRAWN_ONLY:
            print(f"{name} holds no dialogue with these people: left out", file=sys.stderr)
            continue
        system.prepare(portraits("test", arguments.seed).album())
        dialogue.answers[name] = converse(system, dialogue, lines)
        right = sum(bool(e.right) for e in dialogue.answers[name])
        print(f"{name}: {right} of {len(lines)} right")
    said = {"systems": {name: [asdict(e) for e in said] for name, said in dialogue.answers.items()}}
    figures = {"n": len(lines), "dialogue": said}
    write_result(arguments.out / "figure4.json", arguments.seed, figures, shown(figures))
    (arguments.out / "index.html").write_text(page_of({"seed": arguments.seed, **figures}), encoding="utf-8")
    print(f"wrote {arguments.out / 'index.html'}", file=sys.stderr)


def shown(figures: Mapping[str, Any]) -> Shown:
    """Its page alone."""
    return Shown(place="Figure 4")


def page_of(figures: Mapping[str, Any]) -> str:
    """The page beside the result file, its pictures drawn again by the file's seed."""
    dialogue, _ = draw(figures["seed"])
    said = {name: [Exchange(**turn) for turn in turns] for name, turns in figures["dialogue"]["systems"].items()}
    return dialogue_page(Dialogue(dialogue.picture, dialogue.references, said))


if __name__ == "__main__":
    main()
