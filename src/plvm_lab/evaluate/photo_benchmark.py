"""A benchmark of pictures on disk: what a loader of `suites` makes of somebody's folder.

A concept is learned from its first reference; a system that takes several learns from the first ones. Recognition asks
about every concept in every picture unless `asked_pairs` says which. What is wrong with the folder stands in `defects`,
and never stops a run that has something left to ask.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plvm.images import REFERENCE_SIDE, open_image
from plvm_lab.evaluate.items import Caption, Choice, Pair
from plvm_lab.evaluate.suite import Suite


@dataclass(frozen=True)
class Defect:
    """Something missing, inconsistent or duplicated: its `kind` (a key of `suites.builder.KINDS`), the file or item
    that it is about, and what was found."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True, eq=False)
class PhotoBenchmark(Suite):
    """One benchmark. `people[j]` are the names shown in `pictures[j]`; `several` are questions about several names at
    once."""

    suite: str
    names: tuple[str, ...]
    references: Mapping[str, tuple[Path, ...]]
    pictures: tuple[Path, ...]
    people: tuple[frozenset[str], ...]
    wording: str
    text_qa: tuple[Choice, ...] = ()
    visual_qa: tuple[Choice, ...] = ()
    captions: tuple[Caption, ...] = ()
    several: tuple[Pair, ...] = ()
    asked_pairs: frozenset[tuple[str, int]] | None = None
    defects: tuple[Defect, ...] = ()
    contents: str = ""  # a digest of the pictures
    seed: int = 0

    @cached_property
    def key(self) -> str:
        """The suite's name with a digest of everything that is asked."""
        asked = repr((self.names, self.people, self.asked_pairs and sorted(self.asked_pairs), self.wording,
                      self.text_qa, self.visual_qa, self.captions, self.several, self.contents))  # fmt: skip
        return f"{self.suite}/{hashlib.sha256(asked.encode()).hexdigest()[:12]}"

    @property
    def facts(self) -> dict[str, Any]:
        """How much there is of everything, and what is wrong with it."""
        kinds = Counter(d.kind for d in self.defects)
        return {
            "key": self.key, "identities": len(self.names), "pictures": len(self.pictures),
            "positive": int((self.present & self.asked).sum()), "negative": int((~self.present & self.asked).sum()),
            "text": len(self.text_qa), "visual": len(self.visual_qa), "captions": len(self.captions),
            "several": len(self.several), "wording": self.wording, "defects": dict(sorted(kinds.items())),
        }  # fmt: skip

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the suite that the folder has items for."""
        found = ["recognition", "recognition_strict"]
        found += ["recognition_several"] if self.several else []
        found += ["text_qa"] if self.text_qa else []
        found += ["visual_qa"] if self.visual_qa else []
        found += ["captions"] if self.captions else []
        return (*found, *(["controls"] if (self.text_qa or self.visual_qa) and len(self.names) > 1 else []))

    @cached_property
    def present(self) -> np.ndarray:
        """bool[identities, pictures]: who is where."""
        return np.array([[name in shown for shown in self.people] for name in self.names])

    @cached_property
    def asked(self) -> np.ndarray:
        """bool[identities, pictures]: which pairs recognition asks about."""
        if self.asked_pairs is None:
            return super().asked
        return np.array([[(n, p) in self.asked_pairs for p in range(len(self.pictures))] for n in self.names])

    def album(self, folder: Path | None = None) -> Photographs:
        """Its pictures; nothing is drawn, so `folder` stays empty."""
        return Photographs(self)


class Photographs:
    """The photographs of a benchmark, reduced to 1,024 pixels a side. `keep` is how many of the last used ones stay in
    memory (up to 3 MB each)."""

    def __init__(self, benchmark: PhotoBenchmark, keep: int = 96) -> None:
        self.benchmark = benchmark
        self.keep = keep
        self._kept: OrderedDict[Path, Image.Image] = OrderedDict()

    def query(self, number: int) -> Image.Image:
        """Query picture `number`, RGB."""
        return self._recent(self.benchmark.pictures[number])

    def reference(self, key: str, number: int = 0) -> Image.Image:
        """A reference picture behind a key, RGB."""
        return self._recent(self._paths(key)[number])

    def references(self, key: str, most: int) -> list[Image.Image]:
        """The first `most` reference pictures behind a key, or as many as there are."""
        return [self._recent(path) for path in self._paths(key)[:most]]

    def _paths(self, key: str) -> tuple[Path, ...]:
        name, _, other = key.partition("=")
        return self.benchmark.references[other or name]

    def _recent(self, path: Path) -> Image.Image:
        if path not in self._kept:
            picture = open_image(path)
            picture.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE), Image.Resampling.LANCZOS)
            self._kept[path] = picture
            while len(self._kept) > self.keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(path)
        return self._kept[path]
