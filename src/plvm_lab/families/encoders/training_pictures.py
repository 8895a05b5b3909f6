"""The pictures that the encoders are taught with: everybody of a dataset's training split, with the drawn truth."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plvm.data.dataset import Dataset
from plvm.data.manifest import read_rows
from plvm.errors import RequestError

KEPT_IN_MEMORY = 20_000  # pictures of 112 x 112 pixels: 750 MB


class Pictures:
    """The kept training pictures of one person each, `size` pixels a side; `truths` tells of each what was drawn.

    Raises RequestError where the folder is no finished dataset, or its pictures were not drawn by plvm.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.dataset, self.size = Dataset(folder), size
        self.dataset.split("train")
        kept = [r for r in read_rows(folder, split="train") if r["kept"] and r["truth"] and len(r["people"]) == 1]
        self.keys = [r["picture"] for r in kept]
        self.truths: list[Mapping[str, Any]] = [json.loads(r["truth"]) for r in kept]
        if not kept:
            raise RequestError(
                f"{folder} has no pictures of one person whose truth is known.", "Draw some: plvm synth --out FOLDER."
            )
        self._pixels = lru_cache(KEPT_IN_MEMORY)(self._read)

    def __len__(self) -> int:
        return len(self.keys)

    def draw(self, rng: random.Random, count: int) -> list[int]:
        """The numbers of `count` different pictures, of all where there are fewer."""
        return rng.sample(range(len(self)), min(count, len(self)))

    def pixels(self, numbers: Sequence[int]) -> np.ndarray:
        """uint8[B, size, size, 3]."""
        return np.stack([self._pixels(i) for i in numbers])

    def _read(self, number: int) -> np.ndarray:
        image = self.dataset.image(self.keys[number]).resize((self.size, self.size), Image.Resampling.BICUBIC)
        return np.asarray(image)
