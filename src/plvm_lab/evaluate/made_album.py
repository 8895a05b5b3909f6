"""The pictures of a benchmark that makes them of photographs; the last used ones stay in memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from PIL import Image

from plvm.images import open_image


class MadeAlbum:
    """The pictures of `benchmark`, which has `make`: number -> picture, and `files_of`: reference key -> files."""

    def __init__(self, benchmark: Any, keep: int = 128) -> None:
        self.benchmark, self.keep = benchmark, keep
        self._made: OrderedDict[int, Image.Image] = OrderedDict()

    def query(self, number: int) -> Image.Image:
        """Picture `number` of the benchmark's `scenes`, RGB."""
        if number not in self._made:
            self._made[number] = self.benchmark.make(number)
            while len(self._made) > self.keep:
                self._made.popitem(last=False)
        self._made.move_to_end(number)
        return self._made[number]

    def reference(self, key: str, number: int = 0) -> Image.Image:
        """A reference behind a key."""
        return open_image(self._files(key)[number])

    def references(self, key: str, most: int) -> list[Image.Image]:
        """The first `most` references behind a key, or as many as there are."""
        return [open_image(file) for file in self._files(key)[:most]]

    def _files(self, key: str) -> tuple[Path, ...]:
        files: tuple[Path, ...] = self.benchmark.files_of(key)
        return files
