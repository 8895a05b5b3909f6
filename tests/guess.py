"""A system that guesses, always the same for the same question: for tests of what surrounds a system."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image

from plvm_lab.evaluate.system import Ask, System, Turn


class Guess(System):
    """`skill` is the share of recognition answers that lean towards the `truth` (names by picture bytes) it is given."""

    def __init__(self, name: str = "guess", truth: dict[bytes, set[str]] | None = None, skill: float = 0.0) -> None:
        self.name, self.truth, self.skill = name, truth or {}, skill

    @property
    def fingerprint(self) -> str:
        return f"{self.name}-{self.skill}"

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def rng(self, *about: object) -> random.Random:
        return random.Random(repr((self.name, *about)))

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[str]) -> np.ndarray:
        return np.array([[self.chance(i, name) for name in concepts] for i in images])

    def chance(self, image: Image.Image, name: str) -> float:
        rng = self.rng(image.tobytes()[:3000], name)
        there = name in self.truth.get(image.tobytes(), ())
        return 0.5 + 0.5 * rng.random() * (1 if there else -1) if rng.random() < self.skill else rng.random()

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        return np.array([self.rng(a.question).random() for a in asks])

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        return [np.array([self.rng(a.question, o).random() for o in a.options]) for a in asks]

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        return [self.rng(a.question).choice(["Yes.", "No.", f"<{(a.concepts or ('x',))[0]}> is here."]) for a in asks]

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        return [self.rng(t.question).choice(["Yes.", "No."]) for t in turns]
