"""The portraits benchmark: who is enrolled, what the query pictures show, and the look-alikes. A pure function of
(split, seed, size); the questions about it are in `questionnaire.py` and `crowds.py`, the pixels in `album.py`.

    34 identities with one reference picture each; 246 query pictures with 1 to 4 people, each with at least one of
    the 34, every identity in 5 to 15 of them; all others are strangers; all 34 x 246 = 8,364 pairs have a truth.

Streams of random numbers are keyed by purpose, split and seed, and training uses the splits "train" and "val" of seed
0 only: identities of different splits or seeds come from different streams and so cannot coincide (a test compares
them).
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plvm.data.wordings import PROTOCOL
from plvm.errors import RequestError
from plvm_lab.evaluate.items import Caption, Choice, Pair, Script, Who
from plvm_lab.evaluate.suite import Suite
from plvm_lab.portraits.person import Person, lookalike, person_of
from plvm_lab.portraits.scene import Scene, crowd_size, draw_portrait, draw_scene

if TYPE_CHECKING:
    from plvm_lab.evaluate.drawings import Album

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
class Benchmark(Suite):
    """One benchmark. `names[i]` is the name of `people[i]`, whose reference picture is `references[i]`;
    `lookalikes[i][k-1]` differs from it in k traits. Identity i is in picture j where `present[i, j]`."""

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

    @property
    def key(self) -> str:
        """What tells this benchmark from others: "portraits/1/test/0"."""
        return f"portraits/{VERSION}/{self.split}/{self.seed}"

    def rng(self, purpose: str) -> random.Random:
        """A stream of its own for one purpose."""
        return random.Random(f"plvm-benchmark/{purpose}/{self.split}/{self.seed}")

    @property
    def facts(self) -> dict[str, Any]:
        """Key, split and size."""
        return {"key": self.key, "split": self.split, "size": asdict(self.size)}

    @property
    def parts(self) -> tuple[str, ...]:
        """All of them; "validation" where there is another split to choose a threshold on."""
        from plvm_lab.evaluate.protocols import PARTS

        without = {"recognition_several"} | ({"validation"} if self.validation is None else set())
        return tuple(part for part in PARTS if part not in without)

    @cached_property
    def validation(self) -> Benchmark | None:
        """A small benchmark of other identities, to choose thresholds on; None for one that is validation itself."""
        return portraits("val", self.seed, VALIDATION) if self.split == "test" else None

    def album(self, folder: Path | None = None) -> Album:
        """Its pictures, drawn when asked for and kept in `folder`."""
        from plvm_lab.evaluate.drawings import Album

        return Album(self, folder)

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

    @cached_property
    def text_qa(self) -> tuple[Choice, ...]:
        from plvm_lab.evaluate.multiple_choice import text_questions

        return text_questions(self)

    @cached_property
    def visual_qa(self) -> tuple[Choice, ...]:
        from plvm_lab.evaluate.multiple_choice import visual_questions

        return visual_questions(self)

    @cached_property
    def held_out_text(self) -> tuple[tuple[Choice, Choice], ...]:
        from plvm_lab.evaluate.multiple_choice import reworded_text

        return reworded_text(self)

    @cached_property
    def held_out_visual(self) -> tuple[tuple[Choice, Choice], ...]:
        from plvm_lab.evaluate.multiple_choice import reworded_visual

        return reworded_visual(self)

    @cached_property
    def held_out_pairs(self) -> tuple[tuple[Pair, Pair], ...]:
        from plvm_lab.evaluate.multi_concept import reworded_pairs

        return reworded_pairs(self)

    @cached_property
    def lookalike_pairs(self) -> tuple[Pair, ...]:
        from plvm_lab.evaluate.multi_concept import lookalike_pairs

        return lookalike_pairs(self)

    @cached_property
    def triples(self) -> tuple[Pair, ...]:
        from plvm_lab.evaluate.multi_concept import crowd_pairs

        return crowd_pairs(self, "triples", 3, self.size.triples)

    def crowded_pairs(self, concepts: int) -> tuple[Pair, ...]:
        """A third as many recognition questions with 2 or 4 concepts in the prompt."""
        from plvm_lab.evaluate.multi_concept import crowd_pairs

        return crowd_pairs(self, f"crowd-{concepts}", concepts, self.size.triples // 3)

    def crowded_choices(self, concepts: int) -> tuple[Choice, ...]:
        """A third of the visual questions, with this many concepts in the prompt."""
        from plvm_lab.evaluate.multi_concept import crowd_choices

        return crowd_choices(self, concepts)

    @cached_property
    def captions(self) -> tuple[Caption, ...]:
        from plvm_lab.evaluate.multi_concept import captions

        return captions(self)

    def who(self, concepts: int) -> tuple[Who, ...]:
        """The WHO questions with this many concepts in the prompt."""
        from plvm_lab.evaluate.multi_concept import who_questions

        return who_questions(self, concepts)

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        from plvm_lab.evaluate.multi_concept import scripts

        return scripts(self)


def portraits(split: str = "test", seed: int = 0, size: Size | None = None) -> Benchmark:
    """The portraits benchmark of a split; seed 0 of "test" is the published one. Draws no pixels."""
    if split not in SPLITS:
        raise RequestError(f'There is no split "{split[:40]}".', f"Use one of: {', '.join(SPLITS)}.")
    size = size if size is not None else Size()
    rng = random.Random(f"plvm-benchmark/people/{split}/{seed}")
    names = tuple(rng.sample(NAMES, size.identities))
    people = tuple(person_of(split, i, seed) for i in range(size.identities))
    alike = tuple(
        tuple(lookalike(p, k, random.Random(f"plvm-lookalike/{split}/{seed}/{i}/{k}")) for k in CHANGES)
        for i, p in enumerate(people)
    )
    return Benchmark(
        split,
        seed,
        size,
        names,
        people,
        tuple(_reference(p, f"{split}/{seed}/{i}") for i, p in enumerate(people)),
        tuple(_scenes(people, split, seed, size, rng)),
        alike,
        tuple(
            tuple(_reference(p, f"{split}/{seed}/{i}~{k}") for k, p in zip(CHANGES, row, strict=True))
            for i, row in enumerate(alike)
        ),
    )


def _reference(person: Person, key: str) -> Scene:
    return draw_portrait(person, random.Random(f"plvm-benchmark/reference/{key}"))


def _scenes(people: tuple[Person, ...], split: str, seed: int, size: Size, rng: random.Random) -> list[Scene]:
    """The query scenes. The first person of a picture takes turns through the identities, so that nobody has fewer than
    pictures // identities; a further one is an identity in 35 %, else a stranger nobody else has met."""
    most = max(15, -(-size.pictures // size.identities))
    turns = [i % size.identities for i in range(size.pictures)]
    rng.shuffle(turns)
    count = [turns.count(i) for i in range(size.identities)]
    scenes, strangers = [], 0
    for first in turns:
        crowd = [first]
        faces = [people[first]]
        for _ in range(crowd_size(rng) - 1):
            free = [i for i in range(size.identities) if i not in crowd and count[i] < most]
            if free and rng.random() < 0.35:
                i = rng.choice(free)
                crowd.append(i)
                count[i] += 1
                faces.append(people[i])
            else:
                faces.append(person_of(f"{split}-stranger", strangers, seed))
                strangers += 1
        scenes.append(draw_scene(faces, rng))
    return scenes
