"""Things to draw from: what windows of pictures of them look like, and their references; mixed ones that no thing is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from plvm.model.photo.thing_processor import columns_of
from plvm.vision.thing_code import PARTS, windows
from plvm_lab.families.photo.code_space import CodeSpace

_OVERLAP = 0.25  # of two mixtures: how much of the same thing may be in both before they count as one
_TRIES = 48  # things among which a look-alike is the nearest


@dataclass(frozen=True, eq=False)
class Thing:
    """A thing: its code in a reference `[W]`, and how much of each thing of the pool it is `[S]` (adds up to 1)."""

    reference: np.ndarray
    parts: np.ndarray


@dataclass(frozen=True, eq=False)
class View:
    """A picture: its `windows [V, W]` with the `columns` int64[V] they are in, from left to right; the `thing` in it, if any, its
    column, and how much of each thing of the pool is to be seen `[S]`."""

    windows: np.ndarray
    columns: np.ndarray
    thing: Thing | None
    column: int
    seen: np.ndarray


@dataclass(frozen=True, eq=False)
class ThingPool:
    """References `[R, W]` of the things int64[R]; windows `[N, V, W]` of pictures in a layout int64[N] (-1: no thing) of a thing
    int64[N] in the column int64[N], before another int64[N] (-1: none), and of which picture they were made int64[N]."""

    references: np.ndarray
    owners: np.ndarray
    windows: np.ndarray
    layouts: np.ndarray
    things: np.ndarray
    columns: np.ndarray
    behind: np.ndarray
    pictures: np.ndarray

    @classmethod
    def of(cls, held: Mapping[str, np.ndarray], space: CodeSpace) -> ThingPool:
        """What `photo_things.describe_things` wrote, as codes of the space; the windows are those that the product looks at."""
        names = sorted(set(held["owner"].tolist()))
        number = {name: i for i, name in enumerate(names)} | {"": -1}
        boxes = windows(PARTS)
        order = np.argsort(columns_of(boxes), kind="stable")
        seen = space.codes(held["windows"][:, : len(boxes)][:, order].astype(np.float32)).astype(np.float32)
        return cls(
            space.codes(held["reference"].astype(np.float32)).astype(np.float32), np.array([number[n] for n in held["owner"]]),
            seen, held["layout"], np.array([number[n] for n in held["thing"]]), columns_of(held["box"]),
            np.array([number[n] for n in held["behind"]]), held["picture"],
        )  # fmt: skip

    @property
    def width(self) -> int:
        """Numbers of a code."""
        return self.references.shape[1]

    def draw_view(self, rng: np.random.Generator, *, empty: bool, mixed: float = 0.8) -> View:
        """A picture without a thing of the pool, or with one; a share `mixed` of these is a mixture of two things, in its
        reference and, window by window, in the picture."""
        boxes = columns_of(windows(PARTS))
        columns = np.sort(boxes)
        if empty:
            one = int(rng.choice(np.flatnonzero(self.layouts < 0)))
            return View(self.windows[one], columns, None, -1, np.zeros(self.owners.max() + 1))
        first = int(rng.choice(np.flatnonzero(self.layouts >= 0)))
        own = [first]
        if rng.random() < mixed:
            others = np.flatnonzero((self.layouts == self.layouts[first]) & (self.things != self.things[first]))
            own += [int(rng.choice(others))] if len(others) else []
        shares = self._shares(rng, len(own))
        references = [self._reference(rng, self.things[i], self.pictures[i]) for i in own]
        parts, seen = np.zeros((2, self.owners.max() + 1))
        for share, i in zip(shares, own, strict=True):
            parts[self.things[i]] += share**2
            if self.behind[i] >= 0:
                seen[self.behind[i]] += share**2
        thing = Thing(_unit(shares @ self.references[references]), parts)
        mixture = _unit(np.tensordot(shares, self.windows[own], 1))
        return View(mixture, columns, thing, int(self.columns[first]), seen + parts)

    def draw_other(self, rng: np.random.Generator, view: View, *, alike: bool, mixed: float = 0.8) -> Thing:
        """A thing that is not in the picture; with `alike` the one of many that is most like something in it."""
        found: list[Thing] = []
        while len(found) < (_TRIES if alike else 1):
            own = rng.choice(self.owners.max() + 1, 2 if rng.random() < mixed else 1, replace=False)
            shares, parts = self._shares(rng, len(own)), np.zeros(self.owners.max() + 1)
            parts[own] = shares**2
            if parts @ view.seen <= _OVERLAP:
                references = [self._reference(rng, thing, -1) for thing in own]
                found.append(Thing(_unit(shares @ self.references[references]), parts))
        return max(found, key=lambda thing: float((view.windows @ thing.reference).max()))

    def _shares(self, rng: np.random.Generator, count: int) -> np.ndarray:
        angle = rng.uniform(0.25, 0.75) * np.pi / 2
        return np.array([np.cos(angle), np.sin(angle)]) if count == 2 else np.ones(1)

    def _reference(self, rng: np.random.Generator, thing: int, but: int) -> int:
        """Which reference of a thing, other than of the picture `but`, where it has another."""
        own = np.flatnonzero(self.owners == thing)
        others = own[own != but]
        return int(rng.choice(others if len(others) else own))


def _unit(x: np.ndarray) -> np.ndarray:
    made: np.ndarray = (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)
    return made
