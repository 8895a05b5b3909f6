"""The faces of pictures, found and described once, then read from a folder: what costs most of an evaluation on photographs.

A file is named after the picture's pixels and holds boxes, points and descriptors, which are the same for every family with the
same frozen parts and settings of the finder.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from plvm.errors import RequestError
from plvm.model.photo.face_processor import FaceProcessor
from plvm.model.photo.photo_processor import PhotoProcessor
from plvm.personal import Personal
from plvm.vision.face_finder import Face

DESCRIBED = "both-ways"  # how descriptors are made: a folder has those of one way
_RECENT = 64  # pictures in memory


class KeptFaces(FaceProcessor):
    """`processor`, with what it finds kept in `folder`."""

    def __init__(self, processor: FaceProcessor, folder: Path) -> None:
        super().__init__(processor.finder, processor.face_code, processor.space, processor.settings)
        s = self.settings
        self.folder = folder / f"{s.smallest}-{s.first_sure}-{s.second_sure}-{s.third_sure}-{DESCRIBED}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._recent: OrderedDict[str, tuple[list[Face], Tensor]] = OrderedDict()

    def faces(self, image: Image.Image) -> list[Face]:
        """The faces of an RGB picture, from left to right."""
        return self._read(image)[0]

    def descriptors(self, image: Image.Image, faces: list[Face]) -> Tensor:
        """The descriptors `[F, 128]` of faces of an RGB picture."""
        every, known = self._read(image)
        return known[[every.index(face) for face in faces]]

    def main(self, image: Image.Image) -> Face | None:
        """The face nearest the middle of an RGB picture; None where there is none."""
        middle = np.array(image.size) / 2
        return min(self.faces(image), key=lambda face: float(np.hypot(*(face.points.mean(0) - middle))), default=None)

    def _read(self, image: Image.Image) -> tuple[list[Face], Tensor]:
        name = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()[:32]
        if name not in self._recent:
            path = self.folder / f"{name}.npz"
            self._recent[name] = _loaded(path) if path.exists() else self._found(image, path)
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        self._recent.move_to_end(name)
        return self._recent[name]

    def _found(self, image: Image.Image, path: Path) -> tuple[list[Face], Tensor]:
        faces = super().faces(image)
        codes = super().descriptors(image, faces)
        part = path.with_suffix(f".{os.getpid()}.part")
        with open(part, "wb") as file:
            np.savez(
                file, boxes=np.array([f.box for f in faces]).reshape(-1, 4), sure=np.array([f.sure for f in faces]),
                points=np.array([f.points for f in faces]).reshape(-1, 5, 2), codes=codes.numpy(),
            )  # fmt: skip
        part.replace(path)
        return faces, codes


def _loaded(path: Path) -> tuple[list[Face], Tensor]:
    with np.load(path) as held:
        rows = zip(held["boxes"].tolist(), held["points"], held["sure"].tolist(), strict=True)
        return [Face(tuple(box), points, sure) for box, points, sure in rows], torch.from_numpy(held["codes"])


def keep_faces(vlm: Personal, folder: Path) -> KeptFaces:
    """Let a model of photographs keep in `folder` what it finds in pictures. Raises RequestError for another model."""
    family: Any = vlm.backbone.family
    if not isinstance(family.image_processor, PhotoProcessor):
        raise RequestError("This model looks for no faces.", "Name the folder of a photo family with --model.")
    kept = KeptFaces(family.image_processor.people, folder)
    family.image_processor.people = vlm.encoder.image_processor.people = kept
    return kept
