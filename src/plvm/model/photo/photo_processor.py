"""Photographs -> what a model reads of them: faces, and windows in which things may be; or the face or the thing of a
reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from plvm.errors import ImageError
from plvm.model.encoder import Box
from plvm.model.photo.face_processor import FaceProcessor
from plvm.model.photo.thing_processor import ThingProcessor, reference_of
from plvm.vision.face_chip import face_chip
from plvm.vision.thing_code import SHORT

PERSON, THING = "person", "thing"


class PhotoProcessor:
    """The finders and descriptors of faces and of things at work, as plvm calls an image processor."""

    kinds = (PERSON, THING)

    def __init__(self, faces: FaceProcessor, things: ThingProcessor) -> None:
        self.faces, self.things = faces, things

    def to_dict(self) -> dict[str, Any]:
        """Its settings, as JSON has them."""
        return self.faces.to_dict() | {THING: self.things.to_dict()}

    def __call__(self, images: Sequence[Image.Image], return_tensors: str = "pt", kind: str = "") -> dict[str, Tensor]:
        """What is remembered of references `[N, 3, 320, 320]` (0..255): a thing fills it; of a person it is the aligned face of
        150 x 150 pixels in the first corner, and -1 elsewhere. `kind` is "person", "thing", or "": a thing where there is no
        face. Raises ImageError where a picture has a face that cannot be used, or none and it should."""
        kept = []
        for number, image in enumerate(images):
            try:
                kept.append(self._reference(image, kind))
            except ImageError as error:
                error.index = number
                raise
        return {"pixel_values": torch.stack(kept)}

    @property
    def least_alike(self) -> float:
        """The least cosine of two references of one person."""
        return self.faces.least_alike

    def subjects(self, image: Image.Image) -> list[Box]:
        """The boxes of the faces of an RGB picture, from left to right."""
        return self.faces.subjects(image)

    def cut_out(self, image: Image.Image, box: Box) -> Image.Image:
        """The part of an RGB picture in which the face at `box` is clearly the largest, with as much around it as can be."""
        return self.faces.cut_out(image, box)

    def _reference(self, image: Image.Image, kind: str) -> Tensor:
        if kind == THING or not kind and not self.faces.finder.find(image):
            return _floats(np.asarray(reference_of(image)))
        chip = _floats(face_chip(image, self.faces.reference(image).points))
        kept = torch.full((3, SHORT, SHORT), -1.0)
        kept[:, : chip.shape[1], : chip.shape[2]] = chip
        return kept


def _floats(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()
