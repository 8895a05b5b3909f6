"""Photographs -> what a model reads of them: the codes of their faces, or the one face of a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from plvm.errors import ImageError
from plvm.model.photo.face_places import MOST
from plvm.vision.face_chip import face_chip
from plvm.vision.face_code import FaceCode
from plvm.vision.face_finder import Face, FaceFinder
from plvm.vision.photo_reader import described

CLEARLY = 1.5  # times as large as the next is a face that is clearly the largest
TURNED = 0.5  # of the distance between the eyes: how far the nose's tip may be from between them


@dataclass(frozen=True)
class FaceSettings:
    """What counts as a face: its side in pixels, of a picture and of a reference, and how sure the three nets of the finder
    have to be."""

    smallest: int = 20
    smallest_reference: int = 40
    first_sure: float = 0.6
    second_sure: float = 0.7
    third_sure: float = 0.7
    version: int = 1


@dataclass(frozen=True, eq=False)
class CodeSpace:
    """`mean [128]` of descriptors and the `directions [128, W]` in which people differ most."""

    mean: Tensor
    directions: Tensor

    def codes(self, descriptors: Tensor) -> Tensor:
        """Descriptors `[..., 128]` as codes `[..., W]`, of length 1."""
        return torch.nn.functional.normalize((descriptors - self.mean) @ self.directions, dim=-1)


class FaceProcessor:
    """The finder and the descriptor of faces at work, as plvm calls an image processor."""

    def __init__(self, finder: FaceFinder, face_code: FaceCode, space: CodeSpace, settings: FaceSettings) -> None:
        self.finder, self.face_code, self.space, self.settings = finder, face_code, space, settings
        finder.smallest = settings.smallest
        finder.sure = (settings.first_sure, settings.second_sure, settings.third_sure)

    def to_dict(self) -> dict[str, Any]:
        """Its settings, as JSON has them."""
        return asdict(self.settings)

    def codes(self, image: Image.Image) -> tuple[Tensor, int]:
        """The codes `[F, W]` of the faces of an RGB picture from left to right, the MOST largest of them, and how many there
        are."""
        faces = self.finder.find(image)
        kept = sorted(faces, key=lambda face: -face.size)[:MOST]
        own = [face for face in faces if face in kept]
        return self.space.codes(torch.from_numpy(described(self.face_code, image, own))), len(faces)

    def __call__(self, images: Sequence[Image.Image], return_tensors: str = "pt") -> dict[str, Tensor]:
        """The faces of references `[N, 3, 150, 150]`. Raises ImageError where a picture has no face that can be used."""
        chips = np.stack([face_chip(image, self.reference(image).points) for image in images])
        return {"pixel_values": torch.from_numpy(chips).permute(0, 3, 1, 2).float()}

    def reference(self, image: Image.Image) -> Face:
        """The face that an RGB reference is about. Raises ImageError, which says what to do."""
        faces = sorted(self.finder.find(image), key=lambda face: -face.size)
        if not faces:
            raise ImageError(
                "No face was found in the reference.", "Use a picture in which the face is seen from the front, and well lit."
            )
        face = faces[0]
        if len(faces) > 1 and face.size < CLEARLY * faces[1].size:
            raise ImageError(
                f"The reference shows {len(faces)} faces, and none is clearly the largest.",
                "Cut the picture down to the person you mean.",
            )
        if face.size < self.settings.smallest_reference:
            raise ImageError(
                f"The face in the reference is {face.size:.0f} pixels wide, less than {self.settings.smallest_reference}.",
                "Use a picture that was taken nearer, or in its full size.",
            )
        if turned(face.points) > TURNED:
            raise ImageError("The face in the reference is turned away.", "Use a picture in which it is seen from the front.")
        return face


def turned(points: np.ndarray) -> float:
    """How far the tip of the nose is from between the eyes, along them, in distances of the eyes: 0 from the front."""
    eyes = points[1] - points[0]
    return float(abs((points[2] - points[:2].mean(0)) @ eyes) / max(float(eyes @ eyes), 1e-6))
