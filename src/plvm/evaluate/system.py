"""What an evaluation needs of a system under test: learn somebody from a picture, then answer about pictures.

A system implements what it can and says so in `abilities`; parts of the suite that need more are left out and named
in the summary. Pictures are RGB, names stand as `<name>` in questions, options and answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

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


class System:
    """The base of all systems: override what the system can do, and list it in `abilities`."""

    name: str = "system"
    abilities: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> str:
        """What decides the answers: weights and settings. Records of another fingerprint are never resumed."""
        return self.name

    @property
    def facts(self) -> dict[str, Any]:
        """What a reader of the results wants to know about the system, for summary.json."""
        return {}

    def learn(self, name: str, image: Image.Image) -> Known:
        """Learn somebody called `name` from one picture."""
        raise NotImplementedError

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[Known]) -> np.ndarray:
        """float[images, concepts]: P(Yes) of {Yes, No} for every concept alone, in the protocol's wording; over 0.5
        is Yes, NaN is an answer that could not be read."""
        raise NotImplementedError

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        """float[N]: P(Yes) of {Yes, No} as the answer to each question."""
        raise NotImplementedError

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        """Per question float[O]: the options' shares of the probability of being the answer. An option is scored as a
        whole answer sentence and the others are not shown, so that their order cannot matter; NaN everywhere:
        unreadable."""
        raise NotImplementedError

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        """A free answer to each question."""
        raise NotImplementedError

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        """A dialogue about one picture: the answers, turn by turn, each after the system's own earlier ones."""
        raise NotImplementedError
