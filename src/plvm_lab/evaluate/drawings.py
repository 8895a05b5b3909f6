"""The pictures of a benchmark as pixels: drawn when asked for, kept in memory as far as it goes and, with a folder,
on disk.

A file is named after the picture and a digest of its SVG, so that a changed drawing is never mistaken for the present
one.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from plvm_lab.evaluate.benchmark_scenes import BenchmarkScenes
from plvm_lab.portraits.render import rasterize, scene_svg
from plvm_lab.portraits.scene import Scene

QUERY_SIZE, REFERENCE_SIZE = 480, 448


class Drawings:
    """The drawn pictures of one benchmark. `keep` is how many of the last used ones stay in memory (0.7 MB each)."""

    def __init__(self, benchmark: BenchmarkScenes, folder: Path | None = None, keep: int = 320) -> None:
        self.benchmark = benchmark
        self.folder = folder
        self.keep = keep
        self._kept: OrderedDict[str, Image.Image] = OrderedDict()

    def query(self, number: int) -> Image.Image:
        """Query picture `number`, RGB, 480 x 480."""
        return self._recent(f"query-{number:03}", self.benchmark.pictures[number], QUERY_SIZE)

    def reference(self, key: str, number: int = 0) -> Image.Image:
        """A reference picture behind a key (`BenchmarkScenes.reference`), RGB, 448 x 448."""
        _, scene = self.benchmark.reference(key, number)
        own = (key.partition("=")[2] or key).replace("~", "-lookalike-") + (f"-{number}" if number else "")
        return self._recent(f"reference-{own}", scene, REFERENCE_SIZE)

    def references(self, key: str, most: int) -> list[Image.Image]:
        """The first `most` reference pictures behind a key: there are always more."""
        return [self.reference(key, number) for number in range(most)]

    def _recent(self, name: str, scene: Scene, size: int) -> Image.Image:
        if name not in self._kept:
            self._kept[name] = self._picture(name, scene, size)
            while len(self._kept) > self.keep:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]

    def _picture(self, name: str, scene: Scene, size: int) -> Image.Image:
        svg = scene_svg(scene)
        if self.folder is None:
            return rasterize(svg, size)
        digest = hashlib.sha256(f"{size}:{svg}".encode()).hexdigest()[:12]
        path = self.folder / self.benchmark.key / f"{name}-{digest}.png"
        if path.exists():
            with Image.open(path) as image:
                return image.convert("RGB")
        picture = rasterize(svg, size)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        picture.save(part, "PNG", compress_level=1)
        part.replace(path)
        return picture
