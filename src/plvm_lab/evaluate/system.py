"""What an evaluation needs of a system under test: learn somebody from pictures, then answer about pictures.

`System` is what all of them are. What a system can do besides are methods, one small protocol each; it has those that it
can do, and the runner finds that out (`System.abilities`): parts of the suite that need others are left out and named in
the summary. Pictures are RGB, names stand as `<name>` in questions, options and answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from plvm_lab.evaluate.suite import Pictures

RECOGNIZE, VERIFY, CHOOSE, ANSWER, CONVERSE = "recognize", "verify", "choose", "answer", "converse"
Known = Any  # what a system's `learn` returns: opaque to the evaluation


@dataclass(frozen=True, eq=False)
class Ask:
    """One question about one picture (None: text alone), with the concepts of its prompt in order."""

    image: Image.Image | None
    question: str
    concepts: tuple[Known, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Turn:
    """A turn of a dialogue: who joins, then what is asked."""

    question: str
    joining: tuple[Known, ...] = ()


@runtime_checkable
class Recognizes(Protocol):
    """Says of every picture who is in it."""

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[Known]) -> np.ndarray:
        """float[images, concepts]: P(Yes) of {Yes, No} for every concept alone, in the protocol's wording; over 0.5
        is Yes, NaN is an answer that could not be read."""
        ...


@runtime_checkable
class CallsTheRoll(Protocol):
    """Says who of many is in a picture, knowing how many they are."""

    def call_roll(self, image: Image.Image, concepts: Sequence[Known]) -> list[tuple[bool, float | None]]:
        """(whether they are named, P(Yes) where they were asked about) of every concept."""
        ...


@runtime_checkable
class Verifies(Protocol):
    """Answers Yes or No."""

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        """float[N]: P(Yes) of {Yes, No} as the answer to each question."""
        ...


@runtime_checkable
class Chooses(Protocol):
    """Answers multiple-choice questions."""

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        """Per question float[O]: the options' shares of the probability of being the answer. Where a system can, an
        option is scored as a whole answer sentence and the others are not shown, so that their order cannot matter; NaN
        everywhere: unreadable."""
        ...


@runtime_checkable
class Answers(Protocol):
    """Answers freely."""

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        """A free answer to each question."""
        ...


@runtime_checkable
class Converses(Protocol):
    """Holds a dialogue."""

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        """A dialogue about one picture: the answers, turn by turn, each after the system's own earlier ones."""
        ...


class Complete(Recognizes, Verifies, Chooses, Answers, Converses, Protocol):
    """Does it all."""


ABILITIES: dict[str, type] = {
    RECOGNIZE: Recognizes, VERIFY: Verifies, CHOOSE: Chooses, ANSWER: Answers, CONVERSE: Converses,
}  # fmt: skip


class System(ABC):
    """A system under test. `references` is how many pictures of a person it learns from, where there are so many."""

    name: str = "system"
    references: int = 1

    @property
    def abilities(self) -> frozenset[str]:
        """What it can do."""
        return frozenset(name for name, protocol in ABILITIES.items() if isinstance(self, protocol))

    @property
    def fingerprint(self) -> str:
        """What decides the answers: weights and settings. Records of another fingerprint are never resumed."""
        return self.name

    @property
    def facts(self) -> dict[str, Any]:
        """What a reader of the results wants to know about the system, for summary.json."""
        return {}

    @abstractmethod
    def learn(self, name: str, *images: Image.Image) -> Known:
        """Learn somebody called `name` from one picture or more."""

    def bytes_of(self, known: Known) -> int | None:
        """How many bytes have to be kept of what was learned; None: not known."""
        return None

    def seconds_of(self, known: Known) -> float | None:
        """How long the learning took where its result was only read from disk this time; None: it has just been
        done."""
        return None

    def prepare(self, album: Pictures) -> None:  # noqa: B027 - most systems need nothing
        """Get ready for a benchmark, once and before anybody is learned: a threshold chosen on its validation split,
        pictures of strangers, whatever a system may know beforehand."""
