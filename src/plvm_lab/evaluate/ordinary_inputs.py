"""Whether an ordinary input was handled right: what strangers type, asked about a drawn picture whose truth is known.

An `OrdinaryInput` is a line of a list of such inputs; a `Stage` is the picture it is typed beside: a scene, who has a name, and
whom `{x}` means. `handled` judges an answer as `research/manners/README.md` says.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plvm.errors import RequestError
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.everyday import ABILITIES, LIMITS
from plvm_lab.portraits.person import PHRASES, SLOTS, Person
from plvm_lab.portraits.phrases import NUMBERS, clothes_of
from plvm_lab.portraits.scene import Figure, Scene

KINDS = ("description", "greeting", "outside", "language", "colloquial")
GREETINGS = ("hello", "you are welcome", "goodbye")
NOBODY = ("i do not know anyone", "someone i do not know", "nobody")


@dataclass(frozen=True)
class OrdinaryInput:
    """One line of the list; `asks` says what a colloquial one asks for, `half` is "development" or "sealed"."""

    id: str
    half: str
    kind: str
    text: str
    asks: str = ""
    language: str = ""


def read_inputs(path: Path) -> list[OrdinaryInput]:
    """The list in a JSON Lines file. Raises RequestError where a line is of no known kind."""
    found = [OrdinaryInput(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if wrong := [i.id for i in found if i.kind not in KINDS or (i.kind == "colloquial" and i.asks not in ASKED)]:
        raise RequestError(f"{path} has inputs of no known kind: {', '.join(wrong[:5])}.", f"Kinds: {', '.join(KINDS)}.")
    return found


@dataclass(frozen=True)
class Stage:
    """What an input is typed beside: `scene`, the people that have names, and the name that `{x}` stands for."""

    scene: Scene
    named: Mapping[str, Person]
    x: str

    def called(self, figure: Figure) -> str | None:
        """The name of a figure, None where it has none here."""
        return next((name for name, person in self.named.items() if person == figure.person), None)

    @property
    def present(self) -> set[str]:
        """The names of those in the picture."""
        return {name for name in map(self.called, self.scene.figures) if name is not None}

    @property
    def figure(self) -> Figure | None:
        """The figure that `{x}` means, None where they are not in the picture."""
        return self.scene.find(self.named[self.x])

    def said_names(self, answer: str) -> set[str]:
        """The names in an answer."""
        return {name for name in self.named if re.search(rf"<{name}>|\b{name}\b", answer, re.IGNORECASE)}


def typed(text: str, x: str, brackets: bool) -> str:
    """The input with a name at `{x}`: `<billie>`, or Billie."""
    return text.replace("{x}", f"<{x}>" if brackets else x.capitalize())


def handled(given: OrdinaryInput, stage: Stage, answer: str) -> bool:
    """Whether the answer is right for this kind of input."""
    said = answer.strip().lower()
    if given.kind in ("outside", "language"):
        return said == LIMITS.lower()
    if given.kind == "greeting":
        return said.startswith(GREETINGS) or ABILITIES.lower() in said or said == LIMITS.lower()
    if given.kind == "description":
        return describes(stage, answer)
    return ASKED[given.asks](stage, given.text.lower(), answer.lower())


def describes(stage: Stage, answer: str) -> bool:
    """Whether an answer is a description: it names exactly those who are known and there, and most of what it says is true."""
    true, told = caption_facts(stage, answer)
    return stage.said_names(answer) == stage.present and told >= 3 and true > told / 2


def caption_facts(stage: Stage, answer: str) -> tuple[int, int]:
    """(true, told): of the facts that a caption tells, how many are true: how many people, the place, the light; of each person
    told of, position, clothes and activity, taken together with the name or the gender."""
    first, *rest = [part.strip() for part in answer.strip().split(". ")]
    scene = stage.scene
    facts = [NUMBERS[len(scene.figures)] in first.lower(), S.PLACES[scene.place] in first, S.LIGHTS[scene.light] in first]
    for part in rest:
        facts += _true_of(stage, part)
    return sum(facts), len(facts)


def _true_of(stage: Stage, part: str) -> list[bool]:
    names = stage.said_names(part)
    figures = [f for f in stage.scene.figures if (stage.called(f) in names if names else stage.called(f) is None)]
    figure = next((f for f in figures if f.position in part), figures[0] if figures else None)
    if figure is None:
        return [False] * 3
    return [figure.position in part, clothes_of(figure) in part, S.ACTIVITIES[figure.look.activity] in part]


# ---- colloquial questions: whether an answer gives what the picture shows

Judge = Callable[[Stage, str, str], bool]  # (stage, the question, the answer), both in small letters


def _absent(said: str) -> bool:
    return said.startswith("no") or "is not in this photo" in said


def _about_x(phrase: Callable[[Figure], str]) -> Judge:
    def judge(stage: Stage, _: str, said: str) -> bool:
        return "is not in this photo" in said if stage.figure is None else phrase(stage.figure).lower() in said

    return judge


def _presence(stage: Stage, _: str, said: str) -> bool:
    figure = stage.figure
    if figure is None:
        return _absent(said)
    return said.startswith("yes") or (not _absent(said) and figure.position in said) or f"i see <{stage.x}>" in said


def _who(stage: Stage, asked: str, said: str) -> bool:
    place = re.search(r"(far left|far right|left|right|middle|center|centre)", asked)
    if place is None:
        return stage.said_names(said) == stage.present and (bool(stage.present) or any(n in said for n in NOBODY))
    words = {"center": "middle", "centre": "middle"}.get(place[1], place[1])
    if len(stage.scene.figures) < 4:
        words = words.removeprefix("far ")  # of four alone two are on each side
    figure = next((f for f in stage.scene.figures if f.position.endswith(f"the {words}")), None)
    name = stage.called(figure) if figure is not None else None
    return stage.said_names(said) == ({name} if name else set()) and (name is not None or "someone i do not know" in said)


def _beside(stage: Stage, _: str, said: str) -> bool:
    figure, figures = stage.figure, stage.scene.figures
    if figure is None:
        return "is not in this photo" in said
    i = figures.index(figure)
    names = {stage.called(figures[j]) for j in (i - 1, i + 1) if 0 <= j < len(figures)}
    return stage.said_names(said) - {stage.x} == names - {None} and (None not in names or "someone i do not know" in said)


def _count(stage: Stage, asked: str, said: str) -> bool:
    count = len(stage.scene.figures)
    alone = re.search(r"\b(just|only) one\b|\balone\b", asked) is not None
    return NUMBERS[count] in said or (alone and said.startswith("yes" if count == 1 else "no"))


def _hat(figure: Figure) -> str:
    return S.HATS.get(figure.look.hat, "is not wearing a hat")


def _trait(stage: Stage, asked: str, said: str) -> bool:
    person = stage.named[stage.x]
    wanted = {"hair": ("hair_color", "hairstyle"), "eye": ("eye_color", "eye_shape"), "old": ("age",), "age": ("age",)}
    slots = next((slots for word, slots in wanted.items() if word in asked), SLOTS)
    return any(PHRASES[s][person[s]] in said for s in slots)


ASKED: dict[str, Judge] = {
    "presence": _presence,
    "where": _about_x(lambda f: f.position),
    "doing": _about_x(lambda f: S.ACTIVITIES[f.look.activity]),
    "wearing": _about_x(clothes_of),
    "expression": _about_x(lambda f: S.EXPRESSIONS[f.look.expression]),
    "hat": _about_x(_hat),
    "who": _who,
    "beside": _beside,
    "count": _count,
    "place": lambda stage, _, said: S.PLACES[stage.scene.place] in said,
    "light": lambda stage, _, said: S.LIGHTS[stage.scene.light] in said,
    "trait": _trait,
}


def stage_of(rng: random.Random, person_of: Callable[[int], Person], names: tuple[str, str]) -> Stage:
    """A drawn picture of two or three people of whom one has a name, a second name that is there or not, and `{x}` for one of
    the two."""
    people = [person_of(i) for i in range(4)]
    shown = people[: rng.choice((2, 3))]
    second = shown[1] if rng.random() < 0.5 else people[3]
    named = dict(zip(names, (shown[0], second), strict=True))
    return Stage(S.draw_scene(shown, rng), named, rng.choice(names))
