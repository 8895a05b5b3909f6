"""A system being asked a benchmark's items: pictures and concepts are put in place, answers become records.

A record is a plain dict with `id`, `about`, `truth` or `key`, `answer` (None: it could not be read), `probability`
where the system gives one, and `right`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from PIL import Image

from plvm_lab.evaluate.figures import Record
from plvm_lab.evaluate.items import LETTERS, Choice, Pair
from plvm_lab.evaluate.suite import Pictures, Suite
from plvm_lab.evaluate.system import Ask, Complete, Known, System

T = TypeVar("T", bound=Any)


class Harness:
    """A system, a benchmark and its pictures: who was learned already, and the items as questions to the system."""

    def __init__(self, system: System, benchmark: Suite, album: Pictures) -> None:
        self.system = cast(Complete, system)  # it is only asked what it is able to
        self.benchmark: Any = benchmark  # a part knows which kind of suite it asks
        self.album = album
        self.learner = system
        self._known: dict[str, Known] = {}

    def references(self, key: str) -> list[Image.Image]:
        """The pictures that the system learns from behind `key`."""
        return self.album.references(key, self.learner.references)

    def concept(self, key: str, references: Sequence[Image.Image] | None = None) -> Known:
        """What the system learned from the references behind `key` (those, if they are at hand); learned once."""
        if key not in self._known:
            pictures = references if references is not None else self.references(key)
            self._known[key] = self.learner.learn(self.benchmark.name_of(key), *pictures)
        return self._known[key]

    def concepts(self, keys: Iterable[str]) -> tuple[Known, ...]:
        """What the system learned behind each of `keys`."""
        return tuple(self.concept(key) for key in keys)

    def image(self, picture: int | None) -> Image.Image | None:
        """The query picture of a number; None for none."""
        return None if picture is None else self.album.query(picture)

    def ask(self, item: Any, options: tuple[str, ...] = ()) -> Ask:
        """An item as a question to the system."""
        return Ask(self.image(item.picture), item.question, self.concepts(item.concepts), options)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`items` in lists of `size`."""
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size)):
        yield chunk


def verdict(
    id_: str, about: str, picture: int, truth: bool, probability: float, *, named: bool | None = None, **more: Any
) -> Record:
    """The record of one recognition question; `named`: what was said where that is not whether the probability is over 0.5."""
    known = math.isfinite(probability)
    said = named if named is not None else probability > 0.5 if known else None
    return {
        "id": id_, "about": about, "picture": picture, **more, "truth": "Yes" if truth else "No",
        "answer": None if said is None else "Yes" if said else "No",
        "probability": round(float(probability), 6) if known else None, "right": said == truth,
    }  # fmt: skip


def ask_pairs(harness: Harness, pairs: Iterable[tuple[Pair, dict[str, Any]]]) -> Iterator[Record]:
    """Recognition questions, each with what its record says besides."""
    for chunk in batches(pairs, 64):
        found = harness.system.verify([harness.ask(pair) for pair, _ in chunk])
        for (pair, more), p in zip(chunk, found, strict=True):
            yield verdict(pair.id, pair.about, pair.picture, pair.truth, float(p), concepts=list(pair.concepts), **more)


def ask_choices(harness: Harness, items: Iterable[tuple[Choice, dict[str, Any]]]) -> Iterator[Record]:
    """Multiple-choice questions, each with what its record says besides."""
    for chunk in batches(items, 16):
        found = harness.system.choose([harness.ask(item, item.options) for item, _ in chunk])
        for (item, more), p in zip(chunk, found, strict=True):
            readable = bool(np.isfinite(p).all())
            said = int(np.argmax(p)) if readable else None
            yield {
                "id": item.id, "about": item.about, "kind": item.kind, "picture": item.picture, **more,
                "question": item.question, "options": list(item.options), "key": LETTERS[item.key],
                "answer": None if said is None else LETTERS[said],
                "probability": [round(float(x), 6) for x in p] if readable else None, "right": said == item.key,
            }  # fmt: skip


def ask_answers(harness: Harness, items: Iterable[T]) -> Iterator[tuple[T, str]]:
    """Items with the free answers to them."""
    for chunk in batches(items, 32):
        yield from zip(chunk, harness.system.answer([harness.ask(item) for item in chunk]), strict=True)
