"""The demo as a stream of events: whoever shows it (the command line, a test) decides how."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from PIL import Image

from plvm.personal import Personal
from plvm.types import Answer, Concept
from plvm_lab.demo.cards import Bubble, Card, Portrait
from plvm_lab.demo.story import STORY, Scenario, person, reference, truth_of
from plvm_lab.portraits.render import draw

SIZE = 512


@dataclass(frozen=True)
class Enrolled:
    """Someone was enrolled from a picture."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Opened:
    """A dialogue begins; `known` are in it."""

    scenario: Scenario
    known: tuple[str, ...]


@dataclass(frozen=True)
class Joined:
    """Someone joins the dialogue."""

    name: str


@dataclass(frozen=True)
class Answered:
    """A turn, and whether its answer is true."""

    question: str
    answer: Answer
    truth: str
    right: bool


@dataclass(frozen=True)
class Recognized:
    """P(present) of every name in every picture, and the truth."""

    names: tuple[str, ...]
    pictures: tuple[str, ...]
    chances: tuple[tuple[float, ...], ...]
    present: tuple[tuple[bool, ...], ...]
    seconds: float

    @property
    def right(self) -> int:
        """How many of the decisions at 0.5 are right."""
        return sum((p > 0.5) == t for row, true in zip(self.chances, self.present) for p, t in zip(row, true))


Event = Enrolled | Opened | Joined | Answered | Recognized


@dataclass
class Show:
    """A run of the demo: iterate over `events`, then read what is left of it."""

    vlm: Personal
    concepts: dict[str, Concept] = field(default_factory=dict)
    pictures: dict[str, Image.Image] = field(default_factory=dict)  # by name or scenario key
    cards: dict[str, Card] = field(default_factory=dict)
    enrolled: list[Enrolled] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    recognized: Recognized | None = None

    def events(self) -> Iterator[Event]:
        """Everything that happens, as it happens."""
        for name in ("billie", "avril"):
            yield self._enroll(name)
        for scenario in STORY:
            yield from self._talk(scenario)
        self.recognized = self._recognize()
        yield self.recognized

    def _enroll(self, name: str) -> Enrolled:
        picture = draw(reference(name), SIZE)
        begun = time.perf_counter()
        self.concepts[name] = self.vlm.enroll(name, picture)
        self.pictures[name] = picture
        self.enrolled.append(Enrolled(name, time.perf_counter() - begun))
        return self.enrolled[-1]

    def _talk(self, scenario: Scenario) -> Iterator[Event]:
        scene = scenario.scene
        picture = None if scene is None else draw(scene, SIZE)
        if picture is not None:
            self.pictures[scenario.key] = picture
        known = scenario.known
        yield Opened(scenario, known)
        chat = self.vlm.chat(picture, [self.concepts[name] for name in known])
        bubbles: list[Bubble] = []
        for step in scenario.steps:
            if step.joins:
                yield self._enroll(step.joins)
                chat.add(self.concepts[step.joins])
                known = (*known, step.joins)
                bubbles.append(Bubble(f"<{step.joins}> joins", joins=step.joins))
                yield Joined(step.joins)
                continue
            truth = truth_of(scenario, step, known)
            answer = chat.ask(step.text)
            done = Answered(step.text, answer, truth.answer, truth.judge(answer.text, known))
            self.answered.append(done)
            bubbles += [
                Bubble(step.text, asked=True),
                Bubble(answer.text, right=done.right, truth=truth.answer, seconds=answer.seconds),
            ]
            yield done
        people = tuple(Portrait(name, self.pictures[name]) for name in known)
        self.cards[scenario.key] = Card(scenario.title, picture, people, tuple(bubbles))

    def _recognize(self) -> Recognized:
        scenes = {s.key: scene for s in STORY if (scene := s.scene) is not None}
        begun = time.perf_counter()
        chances = self.vlm.recognize([self.pictures[key] for key in scenes], list(self.concepts.values()))
        seconds = time.perf_counter() - begun
        present = tuple(tuple(scene.find(person(n)) is not None for n in self.concepts) for scene in scenes.values())
        return Recognized(tuple(self.concepts), tuple(scenes), tuple(map(tuple, chances)), present, seconds)
