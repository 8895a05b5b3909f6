"""What every benchmark is to the runner, wherever its pictures come from: names, pictures, who is in which of them, and
the questions. `portraits_benchmark.Benchmark` draws it all; `photo_benchmark.PhotoBenchmark` reads it from a folder.

A reference key is a name ("billie"), or "billie=robin": robin's reference under the name billie, for the control with
someone else's reference.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from plvm_lab.evaluate.items import Caption, Choice, Pair


class Pictures(Protocol):
    """The pictures of a suite as pixels, RGB."""

    @property
    def benchmark(self) -> Suite:
        """The suite that they belong to."""
        ...

    def query(self, number: int) -> Image.Image:
        """Query picture `number`."""
        ...

    def reference(self, key: str, number: int = 0) -> Image.Image:
        """A reference picture behind a key."""
        ...

    def references(self, key: str, most: int) -> list[Image.Image]:
        """The first `most` reference pictures behind a key, or as many as there are."""
        ...


class Suite(ABC):
    """The base of all benchmarks. `parts` are the keys of `protocols.PARTS` that it has items for."""

    suite: str
    seed: int
    wording: str  # its recognition question, `{x}` for the concept as `<name>`
    names: tuple[str, ...]
    pictures: Sequence[Any]

    @property
    @abstractmethod
    def key(self) -> str:
        """What tells this benchmark from others; records of another key are never resumed."""

    @property
    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a reader of the results wants to know about it, for summary.json."""

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """The parts that it has items for."""

    @property
    @abstractmethod
    def text_qa(self) -> tuple[Choice, ...]:
        """Multiple choice without a picture."""

    @property
    @abstractmethod
    def visual_qa(self) -> tuple[Choice, ...]:
        """Multiple choice about pictures."""

    @property
    @abstractmethod
    def captions(self) -> tuple[Caption, ...]:
        """Questions whose answers should say names."""

    @property
    @abstractmethod
    def present(self) -> np.ndarray:
        """bool[identities, pictures]: who is where."""

    @property
    def asked(self) -> np.ndarray:
        """bool[identities, pictures]: which pairs its recognition asks about."""
        return np.ones_like(self.present)

    @abstractmethod
    def album(self, folder: Path | None = None) -> Pictures:
        """Its pictures; `folder` keeps those that have to be drawn."""

    def strangers(self, count: int) -> list[Image.Image]:
        """Pictures of at most `count` people who are in no split, for systems that learn against others; most suites: []."""
        return []

    def rng(self, purpose: str) -> random.Random:
        """A stream of random numbers of its own for one purpose."""
        return random.Random(f"plvm-benchmark/{purpose}/{self.key}")

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def name_of(self, key: str) -> str:
        """The name that a reference key is learned under."""
        return key.partition("=")[0]

    def shown(self, picture: int) -> list[str]:
        """The names of the identities in a picture."""
        return [self.names[i] for i in np.flatnonzero(self.present[:, picture])]

    def absent(self, picture: int) -> list[str]:
        """The names of the identities that are not in a picture."""
        return [self.names[i] for i in np.flatnonzero(~self.present[:, picture])]

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every asked recognition question in the suite's own wording, with the concept alone in the prompt."""
        return tuple(
            Pair(f"strict/{n}/{p:03}", n, p, (n,), self.wording.format(x=f"<{n}>"), bool(self.present[i, p]))
            for p in range(len(self.pictures))
            for i, n in enumerate(self.names)
            if self.asked[i, p]
        )
