"""How good a long dialogue is, turn by turn, and how many of its turns mini should read; `photo_dialogues.py` asks the same of
photographs.

    python research/benchmarks/dialogues.py                         # research/results/dialogues.json
    python research/benchmarks/dialogues.py --choose                # windows compared, on dialogues of another seed

Scripted dialogues of 100 turns, each about a drawn picture of validation people: where somebody is, what they wear and do, who is
there at all. Three names are in each, one of them nobody's in the picture. The answers are known from the drawing.

    before    every turn is read, as far as the model reads
    after     the window of the template is read (`Template.turns`)

The window is the largest whose share right is within one point of the best, on the dialogues of --choose.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image

from plvm import personal
from plvm.personal import Personal
from plvm.types import SamplingParams
from plvm_lab.evaluate.items import Line
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.parsing import is_right
from plvm_lab.evaluate.result_table import Table
from plvm_lab.measure.asking import with_window
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.questions import VISUAL_KINDS, Asker
from plvm_lab.portraits.render import rasterize, scene_svg
from plvm_lab.portraits.scene import draw_portrait, draw_scene
from plvm_lab.report.charts import Bar, Chart

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

NAMES = ("billie", "avril", "quinn")  # the last is in no picture
KINDS = (*VISUAL_KINDS, "recognize")
WINDOWS = (1, 2, 4, 6, 8, 12, 16, 24)
CHOICE, REPORT = 501, 502  # seeds: the window is chosen on other people and pictures than are reported
BLOCK = 10  # turns in a bar of the chart
SIZE = 480


class Question(NamedTuple):
    """What is asked, and whether an answer to it is right."""

    text: str
    right: Callable[[str], bool]


@dataclass(frozen=True)
class Script:
    """A picture, the reference of everyone by name, and the questions."""

    picture: Image.Image
    references: Mapping[str, Image.Image]
    questions: tuple[Question, ...]


Scripts = Callable[[int, int, int], list[Script]]  # of a seed, so many dialogues of so many turns


def scripts(seed: int, dialogues: int, turns: int) -> list[Script]:
    """Dialogues about pictures of validation people that no benchmark has."""
    found = []
    for i in range(dialogues):
        rng = random.Random(f"plvm-long-dialogues/{seed}/{i}")
        people = [person_of("val", 3 * i + j, seed) for j in range(3)]
        scene = draw_scene(people[:2], rng)
        asker = Asker(scene, dict(zip(NAMES, people, strict=True)), rng)
        questions: list[Question] = []
        while len(questions) < turns:
            asked = asker.ask(rng.choice(KINDS), rng.choice(NAMES))
            if asked is not None:
                line = Line(asked.kind, asked.text, asked.answer, asked.options, asked=True)
                questions.append(Question(asked.text, partial(_right, line)))
        references = {n: rasterize(scene_svg(draw_portrait(p, rng)), SIZE) for n, p in zip(NAMES, people, strict=True)}
        found.append(Script(rasterize(scene_svg(scene), SIZE), references, tuple(questions)))
    return found


def _right(line: Line, text: str) -> bool:
    return bool(is_right(line, text))


def told(vlm: Personal, script: Script, endless: bool) -> list[bool]:
    """Whether each answer is right; not `endless`: until the first turns of the dialogue are read no more."""
    people = [vlm.enroll(name, picture) for name, picture in script.references.items()]
    chat = vlm.chat(script.picture, people)
    right: list[bool] = []
    longest = 0
    for question in script.questions:
        answer = chat.ask(question.text, SamplingParams(max_tokens=32))
        if not endless and answer.prompt_tokens < longest:
            break
        longest = answer.prompt_tokens
        right.append(question.right(answer.text))
    return right


def measured(vlm: Personal, many: Sequence[Script], what: str, endless: bool = True) -> list[list[bool]]:
    """Of each dialogue, whether each answer is right."""
    found = []
    for i, script in enumerate(many):
        found.append(told(vlm, script, endless))
        progress(what, i + 1, len(many))
    return found


def share(found: Sequence[Sequence[bool]], first: int = 0, last: int | None = None) -> Any:
    """The share right of the turns first .. last, with its interval over dialogues."""
    cut = [own[first:last] for own in found]
    return accuracy([r for own in cut for r in own], [str(i) for i, own in enumerate(cut) for _ in own])


def choose(vlm: Personal, many: Sequence[Script]) -> dict[str, Any]:
    """The share right with each window, and the window that follows from it."""
    shares = {n: share(measured(with_window(vlm, n), many, f"window {n}")) for n in WINDOWS}
    best = max(own["value"] for own in shares.values())
    window = max(n for n in WINDOWS if shares[n]["value"] >= best - 0.01)
    return {"shares": {str(n): own for n, own in shares.items()}, "window": window}


def shown(figures: dict[str, Any]) -> Shown:
    """Before and after, in blocks of turns, and the windows that were compared."""
    blocks = figures["by_block"]
    bars = tuple(Bar(f"turns {name}", own["after"]["value"], own["after"]["low"], own["after"]["high"],
                     own["before"]["value"]) for name, own in blocks.items())  # fmt: skip
    rows = tuple((f"turns {name}", own["before"], own["after"]) for name, own in blocks.items())
    note = (
        f"Percent of answers right in {figures['dialogues']} scripted dialogues; before: every turn is read, as far as the model "
        "reads."
    )
    tables = [Table("Long dialogues", ("", "before", "after"), rows, note)]
    if figures["choice"]:
        windows = tuple((f"{n}", own) for n, own in figures["choice"]["shares"].items())
        other = "On other dialogues than the reported ones."
        tables.append(Table("Windows compared", ("turns that are read", "right"), windows, other))
    caption = "Answers right by turn of a dialogue; the mark is without a window"
    return Shown(tuple(tables), (Chart(caption, bars, 0.0),))


def parser(about: str | None, model: str, dialogues: int, turns: int, out: str) -> argparse.ArgumentParser:
    """The words of the command line, with what stands where nothing is said."""
    words = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--model", default=model, help=f'"{model}" or the folder of a trained Aligner')
    words.add_argument("--dialogues", type=int, default=dialogues)
    words.add_argument("--turns", type=int, default=turns)
    words.add_argument("--choose", action="store_true", help="compare windows, and keep what was found in the result file")
    words.add_argument("--out", type=Path, default=RESULTS / out)
    return words


def compare(vlm: Personal, scripts: Scripts, arguments: argparse.Namespace, seeds: tuple[int, int] = (CHOICE, REPORT)) -> None:
    """Choose a window where that is asked for, and write down what it brings on other dialogues."""
    kept = json.loads(arguments.out.read_text()).get("choice") if arguments.out.exists() else None
    few = (arguments.dialogues // 2, arguments.turns // 2)
    choice = choose(vlm, scripts(seeds[0], *few)) if arguments.choose else kept
    turns = choice["window"] if choice and arguments.choose else vlm.prompt.template.turns
    many = scripts(seeds[1], arguments.dialogues, arguments.turns)
    before = measured(with_window(vlm, 0), many, "before", endless=False)
    after = measured(with_window(vlm, turns), many, f"after, a window of {turns}")
    blocks = {
        f"{first + 1}-{min(first + BLOCK, arguments.turns)}": {
            "before": share(before, first, first + BLOCK), "after": share(after, first, first + BLOCK),
        }
        for first in range(0, arguments.turns, BLOCK)
    }  # fmt: skip
    figures = {
        "dialogues": arguments.dialogues, "turns": arguments.turns, "window": turns, "choice": choice, "by_block": blocks,
        "third_turn": share(after, 2, 3), "last_turn": share(after, arguments.turns - 1, arguments.turns),
        "read_before": [len(own) for own in before],
        "by_turn": {
            what: [share(found, i, i + 1)["value"] for i in range(arguments.turns)]
            for what, found in (("before", before), ("after", after))
        },
    }  # fmt: skip
    write_result(arguments.out, seeds[1], figures, shown(figures))


def main() -> None:
    arguments = parser(__doc__, "mini", 20, 100, "dialogues.json").parse_args()
    torch.set_num_threads(1)
    compare(personal.load(arguments.model), scripts, arguments)


if __name__ == "__main__":
    main()
