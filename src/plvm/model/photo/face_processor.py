"""Photographs -> what a model reads of them: the codes of their faces, or the one face of a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from plvm.errors import ImageError, WhichFaceError
from plvm.model.encoder import Box
from plvm.model.photo.face_places import MOST
from plvm.vision.face_chip import face_chip
from plvm.vision.face_code import FaceCode
from plvm.vision.face_finder import Face, FaceFinder
from plvm.vision.photo_reader import described

CLEARLY = 1.5  # times as large as the next is a face that is clearly the largest
MARGINS = (0.6, 0.4, 0.2, 0.1)  # of a face's size, that are left around a face that is cut out: the most that will do
_FRONT = "Use a picture in which the face is seen from the front, and well lit."


@dataclass(frozen=True)
class FaceSettings:
    """What counts as a face: its side in pixels, of a picture and of a reference, and how sure the three nets of the finder
    have to be. Of a reference: how far the nose's tip may be from between the eyes, in distances of the eyes, the least
    `sharpness`, and how alike the codes of one person's references are at least (cosine)."""

    smallest: int = 20
    smallest_reference: int = 40
    first_sure: float = 0.6
    second_sure: float = 0.7
    third_sure: float = 0.7
    most_turned: float = 0.5
    least_sharp: float = 0.025
    least_alike: float = 0.3
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
        faces = self.faces(image)
        kept = sorted(faces, key=lambda face: -face.size)[:MOST]
        own = [face for face in faces if face in kept]
        return self.space.codes(self.descriptors(image, own)), len(faces)

    def faces(self, image: Image.Image) -> list[Face]:
        """The faces of an RGB picture, from left to right."""
        return self.finder.find(image)

    def descriptors(self, image: Image.Image, faces: list[Face]) -> Tensor:
        """The descriptors `[F, 128]` of faces of an RGB picture."""
        return torch.from_numpy(described(self.face_code, image, faces))

    def __call__(self, images: Sequence[Image.Image], return_tensors: str = "pt") -> dict[str, Tensor]:
        """The faces of references `[N, 3, 150, 150]`. Raises ImageError where a picture has no face that can be used."""
        chips = []
        for number, image in enumerate(images):
            try:
                chips.append(face_chip(image, self.reference(image).points))
            except ImageError as error:
                error.index = number
                raise
        return {"pixel_values": torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float()}

    @property
    def least_alike(self) -> float:
        """The least cosine of two references of one person."""
        return self.settings.least_alike

    def subjects(self, image: Image.Image) -> list[Box]:
        """The boxes of the faces of an RGB picture, from left to right."""
        return [face.box for face in self.faces(image)]

    def cut_out(self, image: Image.Image, box: Box) -> Image.Image:
        """The part of an RGB picture in which the face at `box` is clearly the largest, with as much around it as can be."""
        size = max(box[2] - box[0], box[3] - box[1])
        for margin in MARGINS:
            grown = (box[0] - margin * size, box[1] - margin * size, box[2] + margin * size, box[3] + margin * size)
            part = image.crop(_inside(image, grown))
            if self._clear(self._by_size(part)):
                break
        return part

    def reference(self, image: Image.Image) -> Face:
        """The face that an RGB reference is about. Raises ImageError, which says what to do."""
        faces = self._by_size(image)
        if not faces:
            raise ImageError("No face was found in the reference.", _FRONT)
        if not self._clear(faces):
            raise _which(image, faces)
        face = faces[0]
        if face.size < self.settings.smallest_reference:
            raise ImageError(
                f"The face in the reference is {face.size:.0f} pixels wide, less than {self.settings.smallest_reference}.",
                "Use a picture that was taken nearer, or in its full size.",
            )
        if turned(face.points) > self.settings.most_turned:
            raise ImageError("The face in the reference is turned away.", "Use a picture in which it is seen from the front.")
        if sharpness(face_chip(image, face.points)) < self.settings.least_sharp:
            raise ImageError("The face in the reference is blurred.", "Use a picture in which it is in focus and does not move.")
        return face

    def _by_size(self, image: Image.Image) -> list[Face]:
        return sorted(self.faces(image), key=lambda face: -face.size)

    def _clear(self, faces: Sequence[Face]) -> bool:
        """Whether the first of `faces`, the largest, is clearly so."""
        return len(faces) == 1 or (len(faces) > 1 and faces[0].size >= CLEARLY * faces[1].size)


def _which(image: Image.Image, faces: Sequence[Face]) -> WhichFaceError:
    """The error for a reference with several faces, none of which is clearly the largest."""
    boxes = [face.box for face in sorted(faces, key=lambda face: face.box[0] + face.box[2])]
    told = "; ".join(f"{n} at {','.join(f'{x:.0f}' for x in box)}" for n, box in enumerate(boxes[:MOST], 1))
    return WhichFaceError(
        f"The reference shows {len(faces)} faces, and none is clearly the largest: {told}{'; ...' if len(boxes) > MOST else ''}.",
        f"Say which is meant: a face from 1 to {len(faces)}, or a box; or cut the picture down to that person.", image, boxes,
    )  # fmt: skip


def _inside(image: Image.Image, box: Box) -> tuple[int, int, int, int]:
    """A box in whole pixels of the picture."""
    left, top = (max(0, round(x)) for x in box[:2])
    return left, top, min(image.width, round(box[2])), min(image.height, round(box[3]))


def turned(points: np.ndarray) -> float:
    """How far the tip of the nose is from between the eyes, along them, in distances of the eyes: 0 from the front."""
    eyes = points[1] - points[0]
    return float(abs((points[2] - points[:2].mean(0)) @ eyes) / max(float(eyes @ eyes), 1e-6))


def sharpness(chip: np.ndarray) -> float:
    """How much of what is in an aligned face `[150, 150, 3]` is finer than a blur of 2 pixels: 0 of a smooth one."""
    grey = Image.fromarray(chip).convert("L")
    whole, smooth = (np.asarray(i, np.float32) for i in (grey, grey.filter(ImageFilter.GaussianBlur(2))))
    return float(np.std(whole - smooth) / max(float(np.std(whole)), 1e-6))
