"""A small benchmark, a system that knows its truth and one that always says the same: for tests of the suite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.evaluate.system import Ask, System, Turn
from plvm_lab.portraits.question_kind import visible_of

BENCH = portraits("val", 5, SMALL)


class Oracle(System):
    """Knows the truth by looking up whose reference it learned and which picture it sees."""

    name = "oracle"

    def __init__(self, bench: Benchmark, album: Drawings) -> None:
        self.bench = bench
        keys = [*bench.names, *(f"{n}~{k}" for n in bench.names for k in (1, 2, 3, 4))]
        self.who = {album.reference(key).tobytes(): key for key in keys}
        self.picture = {album.query(i).tobytes(): i for i in range(len(bench.pictures))}
        self.text = {i.question: i.options[i.key] for i in (*bench.text_qa, *bench.visual_qa)}
        self.learned: list[str] = []

    def learn(self, name: str, *images: Image.Image) -> tuple[str, str]:
        self.learned.append(name)
        return name, self.who[images[0].tobytes()]

    def sees(self, image: Image.Image, key: str) -> bool:
        return key in self.bench.shown(self.picture[image.tobytes()])

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([[0.9 if self.sees(i, key) else 0.1 for _, key in concepts] for i in images])

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        asked = [next(key for name, key in a.concepts if f"<{name}>" in a.question) for a in asks]
        return np.array(
            [0.9 if a.image and self.sees(a.image, key) else 0.1 for a, key in zip(asks, asked, strict=True)]
        )

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        return [np.array([0.9 if self.true(a, o) else 0.05 for o in a.options]) for a in asks]

    def true(self, ask: Ask, option: str) -> bool:
        person = self.bench.person(option[1:].split(">")[0])
        said = option.split("> ", 1)[1].rstrip(".")
        if ask.image is None:
            return said.split(" ", 1)[1] in {person.phrase(s) for s in ("gender", "age", *self.slots())}
        figure = self.bench.pictures[self.picture[ask.image.tobytes()]].find(person)
        return figure is not None and said in {visible_of(k).tell(figure) for k in self.bench.visual_kinds}

    @staticmethod
    def slots() -> Sequence[str]:
        from plvm_lab.portraits.person import SLOTS

        return SLOTS

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        items = {(i.question, i.picture, i.concepts): i.answer for c in (1, 2, 3) for i in self.bench.who(c)}
        items |= {(i.question, i.picture, i.concepts): "Yes." if i.truth else "No." for i in self.bench.pairs}
        said = {i: "I see " + " and ".join(f"<{n}>" for n in i.shown) + "." for i in self.bench.captions}
        items |= {(i.question, i.picture, i.concepts): text for i, text in said.items()}
        found = []
        for a in asks:
            assert a.image is not None
            found.append(items[a.question, self.picture[a.image.tobytes()], tuple(n for n, _ in a.concepts)])
        return found

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        names = {c[0] for t in turns for c in t.joining}
        asked = [t.question for t in turns]
        script = next(
            s for s in self.bench.scripts if [x.question for x in s.lines] == asked and {s.first, s.added} == names
        )
        return [line.answer for line in script.lines]


class Constant(System):
    """Always says the same."""

    name = "constant"

    def __init__(self, yes: float) -> None:
        self.yes = yes

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[str]) -> np.ndarray:
        return np.full((len(images), len(concepts)), self.yes)

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        return np.full(len(asks), self.yes)

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        return [np.arange(len(a.options), 0, -1) / 10 for a in asks]

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        return ["Hm."] * len(asks)

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        return ["Yes."] * len(turns)


@pytest.fixture(scope="module")
def album() -> Drawings:
    return Drawings(BENCH)
