"""Who is in the demo, what its pictures show, and what is asked, with the true answers; no pixels and no model.

The people are of a split of their own ("demo"): no training and no benchmark knows them. Every question is worded by
hand; its truth is what the drawn world says of the scene.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from plvm_lab.evaluate.items import Line
from plvm_lab.evaluate.parsing import NOBODY, is_right, who_is_named, yes_or_no
from plvm_lab.portraits.person import Person, person_of
from plvm_lab.portraits.phrases import capital
from plvm_lab.portraits.questions import Asker
from plvm_lab.portraits.scene import Scene, draw_portrait, draw_scene
from plvm_lab.portraits.sentences import UNKNOWN

# name -> (number of the identity, which of its possible reference pictures)
PEOPLE = {"billie": (3, 1), "avril": (14, 8), "dustin": (7, 7)}


@dataclass(frozen=True)
class Step:
    """One turn: a question, or (`joins`) someone who joins before the next one. `kind`, `x`, `y` say what is asked, as
    in `portraits.questions`; for the kind "who_position", x is a position."""

    text: str = ""
    kind: str = ""
    x: str | None = None
    y: str | None = None
    joins: str = ""


@dataclass(frozen=True)
class Scenario:
    """One dialogue: a picture (`people` are names, or numbers of strangers; nobody: text alone), who is known from the
    start, and its turns."""

    key: str
    title: str
    people: tuple[str | int, ...]
    look: str
    known: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def scene(self) -> Scene | None:
        """The truth of its picture."""
        if not self.people:
            return None
        cast = [person(who) for who in self.people]
        return draw_scene(cast, random.Random(f"plvm-demo/{self.look}"))


@dataclass(frozen=True)
class Truth:
    """The true answer to a step, and how to tell whether another one says the same."""

    kind: str
    answer: str
    options: tuple[str, ...] = ()

    def judge(self, text: str, names: tuple[str, ...]) -> bool:
        """Whether `text` says what is true, and nothing else of its kind."""
        if self.kind in ("recognize", "both"):
            return yes_or_no(text) == yes_or_no(self.answer)
        if self.kind.startswith("who_"):
            if self.kind == "who_present":
                return _named(text, names) == _named(self.answer, names)
            return who_is_named(text, names) == who_is_named(self.answer, names)
        if self.options:
            return bool(is_right(Line(self.kind, "", self.answer, self.options), text))
        return _words(text) == _words(self.answer)


def person(who: str | int) -> Person:
    """Someone by name, or a stranger by number."""
    return person_of("demo", PEOPLE[who][0] if isinstance(who, str) else who)


def reference(name: str) -> Scene:
    """The picture that `name` is enrolled from."""
    number, look = PEOPLE[name]
    return draw_portrait(person(name), random.Random(f"plvm-demo/{number}/{look}"))


def truth_of(scenario: Scenario, step: Step, known: tuple[str, ...]) -> Truth:
    """What is true, when these names are known."""
    scene = scenario.scene
    asker = Asker(scene, {name: person(name) for name in known}, random.Random(0))
    if step.kind == "who_position":
        assert scene is not None
        figure = next(f for f in scene.figures if f.position == step.x)
        who = next((f"<{name}>" for name in known if person(name) == figure.person), UNKNOWN)
        return Truth(step.kind, capital(f"{who} is {step.x}."))
    question = asker.ask(step.kind, step.x, step.y)
    assert question is not None, step
    answer = "Yes." if question.verdict and question.answer.startswith("Yes") else question.answer
    return Truth(step.kind, answer, question.options)


def _named(text: str, names: tuple[str, ...]) -> set[str]:
    found = {name for name in names if f"<{name}>" in text}
    return found if found else {who_is_named(text, names) or NOBODY}


def _words(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


STORY = (
    Scenario(
        "library",
        "Two people from one picture each",
        ("billie", "avril", 12),
        "A/3",
        ("billie", "avril"),
        (
            Step("Is <billie> in this photo?", "recognize", "billie"),
            Step("Where is <billie>?", "where", "billie"),
            Step("What is <avril> wearing?", "wearing", "avril"),
            Step("What is <billie> doing?", "doing", "billie"),
            Step("Who is on the right?", "who_position", "on the right"),
            Step("Where was this photo taken?", "place"),
        ),
    ),
    Scenario(
        "friends",
        "Someone joins in the middle of a dialogue",
        ("dustin", "billie"),
        "B/9",
        ("billie", "avril"),
        (
            Step("Is <avril> in this photo?", "recognize", "avril"),
            Step("Who is on the right?", "who_position", "on the right"),
            Step(joins="dustin"),
            Step("Who is on the right?", "who_position", "on the right"),
            Step("What is <dustin> doing?", "doing", "dustin"),
            Step("What are <billie> and <dustin> doing?", "doing_both", "billie", "dustin"),
        ),
    ),
    Scenario(
        "everyone",
        "Everyone at once, and a stranger",
        ("billie", "avril", "dustin", 21),
        "C/5",
        ("billie", "avril", "dustin"),
        (
            Step("Where is <dustin>?", "where", "dustin"),
            Step("What is <billie> doing?", "doing", "billie"),
            Step("Who is on the far left?", "who_position", "on the far left"),
            Step("Are <avril> and <dustin> in this photo?", "both", "avril", "dustin"),
            Step("How many people are in this photo?", "count"),
        ),
    ),
    Scenario(
        "strangers",
        "Nobody the model knows",
        (5, 25),
        "D/9",
        ("billie", "avril", "dustin"),
        (
            Step("Is <dustin> in this photo?", "recognize", "dustin"),
            Step("Who is on the left?", "who_position", "on the left"),
            Step("Where was this photo taken?", "place"),
        ),
    ),
    Scenario(
        "words",
        "Without a picture",
        (),
        "",
        ("billie", "avril", "dustin"),
        (
            Step("What is the hair color of <billie>?", "hair_color", "billie"),
            Step("What earrings does <avril> have?", "earrings", "avril"),
            Step("What facial hair does <dustin> have?", "facial_hair", "dustin"),
        ),
    ),
)
