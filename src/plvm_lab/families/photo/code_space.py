"""Codes of faces as the language model sees them, and people drawn from them: real ones, and mixed ones that nobody is.

A code is a descriptor less the mean over people, in the directions in which people differ most, of length 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH = 48


@dataclass(frozen=True, eq=False)
class CodeSpace:
    """`mean [128]` and `directions [128, 48]` of descriptors."""

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(cls, people: Sequence[np.ndarray], width: int = WIDTH) -> CodeSpace:
        """The space of people's descriptors, an array `[n, 128]` each; everyone counts as one, however many pictures."""
        middles = np.stack([own.mean(0) for own in people])
        mean = middles.mean(0)
        _, _, rows = np.linalg.svd(middles - mean, full_matrices=False)
        return cls(mean.astype(np.float32), rows[:width].T.astype(np.float32))

    def codes(self, descriptors: np.ndarray) -> np.ndarray:
        """Descriptors `[..., 128]` as codes `[..., 48]`."""
        inside = (descriptors - self.mean) @ self.directions
        return inside / np.linalg.norm(inside, axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Pool:
    """People to draw from: for each the codes of good pictures `[n, 48]`, and of worse copies of them `[n, 48]`; `many` are those
    with two pictures or more."""

    good: tuple[np.ndarray, ...]
    worse: tuple[np.ndarray, ...]
    many: np.ndarray

    @classmethod
    def of(cls, good: Mapping[str, np.ndarray], worse: Mapping[str, np.ndarray]) -> Pool:
        """A pool of the people in `good`, each a name with its codes, and the worse copies under the same names."""
        names = sorted(good)
        many = np.array([i for i, name in enumerate(names) if len(good[name]) > 1])
        return cls(tuple(good[n] for n in names), tuple(worse[n] for n in names), many)

    def draw(self, rng: np.random.Generator, count: int, *, mixed: float = 0.7, single: float = 0.2) -> np.ndarray:
        """`count` people, a reference and a picture of each: `[count, 2, 48]`.

        A share `mixed` of them is nobody: the same mixture of two people's references and of their pictures, so that it varies
        from picture to picture as much as they do. A share `single` is of people with one picture, beside a worse copy of it.
        """
        out = np.stack([self._one(rng, mixed, single) for _ in range(count)])
        return out / np.linalg.norm(out, axis=-1, keepdims=True)

    def _one(self, rng: np.random.Generator, mixed: float, single: float) -> np.ndarray:
        pair = self._pair(rng, single)
        if rng.random() < mixed:
            angle = rng.uniform(0.25, 0.75) * np.pi / 2
            pair = np.cos(angle) * pair + np.sin(angle) * self._pair(rng, single)
        return pair

    def _pair(self, rng: np.random.Generator, single: float) -> np.ndarray:
        """The codes of two pictures of one person `[2, 48]`; the second is a worse copy now and then."""
        if rng.random() < single or not len(self.many):
            person = int(rng.integers(len(self.good)))
        else:
            person = int(rng.choice(self.many))
        good, worse = self.good[person], self.worse[person]
        if len(good) == 1:
            return np.stack([good[0], worse[0]])
        first, second = rng.choice(len(good), 2, replace=False)
        return np.stack([good[first], (worse if rng.random() < 0.3 else good)[second]])
