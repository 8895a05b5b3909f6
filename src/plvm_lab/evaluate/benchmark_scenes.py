"""What the portraits benchmark shows: who is enrolled, their look-alikes, and the scenes of all pictures. A pure function
of (split, seed, size).

    34 identities with one reference picture each; 246 query pictures with 1 to 4 people, each with at least one of
    the 34, every identity in 5 to 15 of them; all others are strangers; all 34 x 246 = 8,364 pairs have a truth.

What is asked about it stands above, in `portraits_benchmark.py`; its pixels are in `drawings.py`. Streams of random numbers
are keyed by purpose, split and seed, and training uses the splits "train" and "val" of seed 0 only: identities of different
splits or seeds come from different streams and so cannot coincide (a test compares them).
"""

from __future__ import annotations

import random
from abc import abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from plvm.data.wordings import PROTOCOL
from plvm.errors import RequestError
from plvm_lab.evaluate.suite import Suite
from plvm_lab.portraits.person import Person, lookalike, person_of
from plvm_lab.portraits.scene import Scene, draw_portrait, draw_scene, people_count

SPLITS = ("test", "val")
VERSION = 1  # of the benchmark's make: a change of what is asked changes it
CHANGES = (1, 2, 3, 4)  # in how many traits a look-alike differs
NAMES = (
    "alex", "ariel", "ash", "avery", "billie", "blake", "cameron", "casey", "charlie", "dakota", "drew", "eden",
    "ellis", "emery", "finley", "frankie", "harper", "hayden", "jamie", "jess", "jordan", "kai", "kendall",
    "lane", "logan", "marley", "morgan", "noel", "parker", "quinn", "reese", "riley", "robin", "rowan",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much of everything a benchmark has. The default is the published one; tests use less."""

    identities: int = 34
    pictures: int = 246
    text: int = 102
    visual: int = 360
    triples: int = 1500
    who: tuple[int, int, int] = (308, 32, 100)  # "enrolled", "beside", "nobody", for each number of concepts
    dialogues: int = 200

    def __post_init__(self) -> None:
        if not 4 <= self.identities <= len(NAMES):
            raise RequestError(
                f"A benchmark has 4 to {len(NAMES)} identities, not {self.identities}.", "Choose another size."
            )
        if self.pictures < 5 * self.identities:
            raise RequestError(
                f"{self.pictures} pictures are too few for {self.identities} identities.", "Use at least 5 for each."
            )


SMALL = Size(identities=6, pictures=36, text=18, visual=24, triples=60, who=(14, 2, 6), dialogues=6)  # for smoke runs
VALIDATION = Size(identities=12, pictures=60)  # to choose thresholds on


@dataclass(frozen=True)
class BenchmarkScenes(Suite):
    """The people and scenes of one benchmark. `names[i]` is the name of `people[i]`, whose reference picture is
    `references[i]`; `lookalikes[i][k-1]` differs from it in k traits. Identity i is in picture j where `present[i, j]`."""

    split: str
    seed: int
    size: Size
    names: tuple[str, ...]
    people: tuple[Person, ...]
    references: tuple[Scene, ...]
    pictures: tuple[Scene, ...]
    lookalikes: tuple[tuple[Person, ...], ...]
    lookalike_references: tuple[tuple[Scene, ...], ...]

    suite = "portraits"
    wording = PROTOCOL

    @classmethod
    def drawn(cls, split: str, seed: int, size: Size) -> Self:
        """The people and scenes of a split, from its own streams of random numbers. Raises RequestError for a split that is
        no benchmark's."""
        if split not in SPLITS:
            raise RequestError(f'There is no split "{split[:40]}".', f"Use one of: {', '.join(SPLITS)}.")
        rng = random.Random(f"plvm-benchmark/people/{split}/{seed}")
        names = tuple(rng.sample(NAMES, size.identities))
        people = tuple(person_of(split, i, seed) for i in range(size.identities))
        alike = tuple(
            tuple(lookalike(p, k, random.Random(f"plvm-lookalike/{split}/{seed}/{i}/{k}")) for k in CHANGES)
            for i, p in enumerate(people)
        )
        return cls(
            split,
            seed,
            size,
            names,
            people,
            tuple(_reference(p, f"{split}/{seed}/{i}") for i, p in enumerate(people)),
            tuple(_queries(people, split, seed, size, rng)),
            alike,
            tuple(
                tuple(_reference(p, f"{split}/{seed}/{i}~{k}") for k, p in zip(CHANGES, row, strict=True))
                for i, row in enumerate(alike)
            ),
        )

    @property
    def key(self) -> str:
        """What tells this benchmark from others: "portraits/1/test/0"."""
        return f"portraits/{VERSION}/{self.split}/{self.seed}"

    @property
    def facts(self) -> dict[str, Any]:
        """Key, split and size."""
        return {"key": self.key, "split": self.split, "size": asdict(self.size)}

    @property
    @abstractmethod
    def visual_kinds(self) -> tuple[str, ...]:
        """The kinds of questions about how somebody looks that are asked as multiple choice."""

    def rng(self, purpose: str) -> random.Random:
        """A stream of its own for one purpose."""
        return random.Random(f"plvm-benchmark/{purpose}/{self.split}/{self.seed}")

    def name_of(self, key: str) -> str:
        """The name that a reference key is learned under: "billie" for "billie~2" too."""
        return super().name_of(key).partition("~")[0]

    def person(self, name: str) -> Person:
        """The identity called `name`."""
        return self.people[self._numbers[name]]

    def reference(self, key: str, number: int = 0) -> tuple[str, Scene]:
        """A reference key -> (the name it is enrolled under, its reference picture).

        "billie": that identity. "billie~2": its look-alike with two changes. "billie=robin": robin's picture under the
        name billie, for the control with someone else's reference. Number 0 is the published picture; others are further
        portraits of the same person, for systems that learn from several.
        """
        name, _, other = key.partition("=")
        person, _, changes = (other or name).partition("~")
        i = self._numbers[person]
        scene = self.lookalike_references[i][int(changes) - 1] if changes else self.references[i]
        if number:
            scene = _reference(scene.figures[0].person, f"{self.split}/{self.seed}/{other or name}/{number}")
        return name.partition("~")[0], scene

    @cached_property
    def present(self) -> np.ndarray:
        """bool[identities, pictures]: who is where."""
        return np.array([[scene.find(p) is not None for scene in self.pictures] for p in self.people])


def _reference(person: Person, key: str) -> Scene:
    return draw_portrait(person, random.Random(f"plvm-benchmark/reference/{key}"))


def _queries(people: tuple[Person, ...], split: str, seed: int, size: Size, rng: random.Random) -> list[Scene]:
    """The query scenes. The first person of a picture takes turns through the identities, so that nobody has fewer than
    pictures // identities; a further one is an identity in 35 %, else a stranger nobody else has met."""
    most = max(15, -(-size.pictures // size.identities))
    turns = [i % size.identities for i in range(size.pictures)]
    rng.shuffle(turns)
    count = [turns.count(i) for i in range(size.identities)]
    scenes, strangers = [], 0
    for first in turns:
        together = [first]
        faces = [people[first]]
        for _ in range(people_count(rng) - 1):
            free = [i for i in range(size.identities) if i not in together and count[i] < most]
            if free and rng.random() < 0.35:
                i = rng.choice(free)
                together.append(i)
                count[i] += 1
                faces.append(people[i])
            else:
                faces.append(person_of(f"{split}-stranger", strangers, seed))
                strangers += 1
        scenes.append(draw_scene(faces, rng))
    return scenes
