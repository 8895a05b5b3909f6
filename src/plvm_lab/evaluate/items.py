"""The items of a benchmark: one frozen value per thing that is asked.

`picture` is the number of a query picture, None where there is none. `concepts` are reference keys
(`Suite.name_of`), in the order of the prompt. `about` is the identity that the item counts for: intervals
resample identities.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A recognition question: is the concept number `target` of the prompt in the picture?"""

    id: str
    about: str
    picture: int
    concepts: tuple[str, ...]
    question: str
    truth: bool
    target: int = 0


@dataclass(frozen=True)
class Choice:
    """A multiple-choice question; `options` are whole answer sentences and `options[key]` is the true one."""

    id: str
    about: str
    kind: str
    picture: int | None
    concepts: tuple[str, ...]
    question: str
    options: tuple[str, ...]
    key: int


@dataclass(frozen=True)
class Who:
    """A question whose answer is a name. `name` is the true one, None for someone nobody has named.

    `case`: "enrolled" (the asked figure has a name here), "beside" (it has none, but somebody else in the picture
    has) or "nobody" (no named person is in the picture).
    """

    id: str
    about: str
    case: str
    kind: str
    picture: int
    concepts: tuple[str, ...]
    question: str
    answer: str
    name: str | None


@dataclass(frozen=True)
class Place:
    """The question where a concept, by its key, is in a picture; `place` is None where it is not there."""

    picture: int
    key: str
    place: str | None


@dataclass(frozen=True)
class Caption:
    """A question whose answer should say the names of all whom the prompt defines and the picture shows: `shown`."""

    id: str
    about: str
    picture: int
    concepts: tuple[str, ...]
    question: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A question of a script with its true answer; `options`: every answer of its form (empty where it is free);
    `asked` where the answer is judged."""

    kind: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    asked: bool = False


@dataclass(frozen=True)
class Script:
    """A dialogue in four turns about one picture. `first` is there from turn 1; `added` either too, or from turn 3,
    where the questions about it begin (`Line.asked`): the two ways differ in nothing else."""

    id: str
    about: str
    picture: int
    first: str
    added: str
    lines: tuple[Line, ...]
    joins: int = 2


LETTERS = "ABCDEFGH"
