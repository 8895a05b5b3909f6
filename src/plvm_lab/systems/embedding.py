"""The obvious baseline of recognition: how near is the reference to the best part of the picture, by the encoder's
feature?

A picture is looked at whole and through a grid of crops at three scales, which at their best frame a face as a
reference picture does. Similarity is the largest cosine; Yes is over a threshold that was chosen on the validation
split by balanced accuracy (`fit`). The probability is a logistic curve through 0.5 at the threshold, so that the
decision is the same P > 0.5.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from plvm.personal import Personal
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.metrics import best_threshold
from plvm_lab.evaluate.portraits_benchmark import VALIDATION, portraits
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.evaluate.system import Ask, Recognizes, System, Verifies

SCALES = (0.64, 0.48, 0.36)  # sides of the crops, as shares of the picture's
GRID = 5  # crops per axis
STEEPNESS = 40.0  # of the logistic curve; ranks and decisions do not depend on it


@dataclass(frozen=True, eq=False)
class Face:
    """A name and the normalised feature [E] of its reference."""

    name: str
    feature: np.ndarray


class Embedding(System, Recognizes, Verifies):
    """Cosine of encoder features. `threshold` decides; where none is given, `prepare` chooses it."""

    name = "embedding"

    def __init__(self, vlm: Personal, *, threshold: float | None = None, pictures: int = 512) -> None:
        self.encoder = vlm.encoder
        self.vlm_fingerprint = vlm.fingerprint
        self.given = threshold
        self.threshold = 0.5 if threshold is None else threshold
        self.chosen_on: str | None = None  # where the threshold comes from
        self._seen: OrderedDict[int, tuple[Image.Image, np.ndarray]] = OrderedDict()
        self._most = pictures

    @property
    def fingerprint(self) -> str:
        """A threshold that is chosen is decided by the encoder."""
        return f"embedding-{self.vlm_fingerprint}-{'chosen' if self.given is None else f'{self.given:.6f}'}"

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "encoder": Path(self.encoder.name).name,
            "threshold": self.threshold,
            "threshold_from": self.chosen_on,
            "crops": 1 + len(SCALES) * GRID**2,
        }

    def prepare(self, album: Pictures) -> None:
        """Choose the threshold on portraits of the validation split: of drawn portraits in the same seed and size. A
        folder has no validation people of its own, so there it is a transferred threshold; the area under the curve does
        not depend on it."""
        if self.given is not None:
            return
        if isinstance(album, Drawings):
            bench = portraits("val", album.benchmark.seed, album.benchmark.size)
            self.fit(Drawings(bench, album.folder))
        else:
            bench = portraits("val", size=VALIDATION)
            self.fit(Drawings(bench))
        self.chosen_on = f"portraits, split {bench.split}, seed {bench.seed}"

    def learn(self, name: str, *images: Image.Image) -> Face:
        """The mean direction of the pictures' features."""
        mean = self._features(images).mean(0)
        return Face(name, mean / np.linalg.norm(mean))

    def bytes_of(self, known: Face) -> int:
        return known.feature.nbytes

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[Face]) -> np.ndarray:
        return self.probability(self.similarity(images, concepts))

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        """The wording is not read: the concept asked about is the only one, or the one that the question names."""
        found = []
        for ask in asks:
            assert ask.image is not None
            named = [c for c in ask.concepts if f"<{c.name}>" in ask.question]
            found.append(self.similarity([ask.image], named[:1])[0, 0])
        return self.probability(np.array(found))

    def similarity(self, images: Sequence[Image.Image], concepts: Sequence[Face]) -> np.ndarray:
        """float[images, concepts]: the largest cosine over the picture and its crops."""
        faces = np.stack([c.feature for c in concepts])
        return np.stack([(self._views(image) @ faces.T).max(0) for image in images])

    def fit(self, album: Pictures) -> float:
        """Set the threshold to the best one on the pairs of another split's benchmark, by balanced accuracy; returns
        that."""
        bench = album.benchmark
        faces = [self.learn(name, album.reference(name)) for name in bench.names]
        scores = self.similarity([album.query(i) for i in range(len(bench.pictures))], faces).T
        self.threshold, best = best_threshold(bench.present.ravel(), scores.ravel())
        self._seen.clear()
        return best

    def probability(self, similarity: np.ndarray) -> np.ndarray:
        """P(Yes) of a similarity."""
        return 1 / (1 + np.exp(-STEEPNESS * (similarity - self.threshold)))

    def _views(self, image: Image.Image) -> np.ndarray:
        """float32[views, E] of a picture, kept for the same picture object."""
        known = self._seen.get(id(image))
        if known is None or known[0] is not image:
            self._seen[id(image)] = known = (image, self._look(image))
            while len(self._seen) > self._most:
                self._seen.popitem(last=False)
        return known[1]

    def _look(self, image: Image.Image) -> np.ndarray:
        """float32[views, E] of a picture and its crops."""
        return self._features(views(image))

    def _features(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        parts = []
        for start in range(0, len(pictures), 32):
            z = self.encoder.features(self.encoder.pixels(pictures[start : start + 32]))
            parts.append(F.normalize(z[:, 0].float(), dim=-1).cpu())
        return torch.cat(parts).numpy()


def views(image: Image.Image) -> list[Image.Image]:
    """The picture and GRID x GRID crops at each scale."""
    found = [image]
    for scale in SCALES:
        side = round(scale * min(image.size))
        for i in range(GRID):
            for j in range(GRID):
                x, y = round((image.width - side) * j / (GRID - 1)), round((image.height - side) * i / (GRID - 1))
                found.append(image.crop((x, y, x + side, y + side)))
    return found
