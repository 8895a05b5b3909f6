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
from plvm.vision.face_finder import Face
from plvm.vision.thing_code import SHORT

PERSON, THING = "person", "thing"


class PhotoProcessor:
    """The finders and descriptors of faces and of things at work, as plvm calls an image processor."""

    kinds = (PERSON, THING)

    def __init__(self, people: FaceProcessor, things: ThingProcessor) -> None:
        self.people, self.things = people, things

    def to_dict(self) -> dict[str, Any]:
        """Its settings, as JSON has them."""
        return self.people.to_dict() | {THING: self.things.to_dict()}

    def kind_of(self, images: Sequence[Image.Image]) -> str:
        """What the RGB references of one concept are taken for: "thing" if no face is in any of them; "" of a single one, which
        decides for itself as it is looked at."""
        if len(images) == 1:
            return ""
        return PERSON if any(self._shows_somebody(self.people.faces(image)) for image in images) else THING

    def __call__(
        self, images: Sequence[Image.Image], return_tensors: str = "pt", kinds: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """What is remembered of references `[N, 3, 320, 320]` (0..255): a thing fills it; of a person it is the aligned face of
        150 x 150 pixels in the first corner, and -1 elsewhere. `kinds` are "person", "thing" or "" for each; with "" a picture
        without a face is of a thing. Raises ImageError where a picture of a person has no face that can be used."""
        kept = []
        for number, image in enumerate(images):
            try:
                kept.append(self._reference(image, kinds[number] if kinds else ""))
            except ImageError as error:
                error.index = number
                raise
        return {"pixel_values": torch.stack(kept)}

    @property
    def least_alike(self) -> float:
        """The least cosine of two references of one person."""
        return self.people.least_alike

    def subjects(self, image: Image.Image) -> list[Box]:
        """The boxes of the faces of an RGB picture, from left to right."""
        return self.people.subjects(image)

    def cut_out(self, image: Image.Image, box: Box) -> Image.Image:
        """The part of an RGB picture in which the face at `box` is clearly the largest, with as much around it as can be."""
        return self.people.cut_out(image, box)

    def _shows_somebody(self, faces: Sequence[Face]) -> bool:
        return any(face.sure >= self.things.settings.surely_a_face for face in faces)

    def _reference(self, image: Image.Image, kind: str) -> Tensor:
        faces = [] if kind == THING else self.people.faces(image)
        if kind != PERSON and not self._shows_somebody(faces):
            return _floats(np.asarray(reference_of(image)))
        chip = _floats(face_chip(image, self.people.reference(image, faces).points))
        kept = torch.full((3, SHORT, SHORT), -1.0)
        kept[:, : chip.shape[1], : chip.shape[2]] = chip
        return kept


def _floats(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()
