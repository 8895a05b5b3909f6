"""A photograph read once: the faces in it with their codes, and the codes of its windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from plvm.vision.face_chip import face_chip
from plvm.vision.face_code import SIDE, WIDTH, FaceCode
from plvm.vision.face_finder import Face, FaceFinder
from plvm.vision.thing_code import ThingCode

_AT_ONCE = 16  # faces


@dataclass(frozen=True, eq=False)
class PhotoReading:
    """What a photograph holds: its `faces` from left to right with `codes [F, 128]`, its `windows [W, 4]` (left, top, right,
    bottom; 0..1 of the picture) with `window_codes [W, 1280]`, and its `size` in pixels (width, height)."""

    size: tuple[int, int]
    faces: tuple[Face, ...]
    codes: np.ndarray
    windows: np.ndarray
    window_codes: np.ndarray


class PhotoReader:
    """The frozen parts at work on one picture after the other (`frozen_parts` loads them)."""

    def __init__(self, finder: FaceFinder, face_code: FaceCode, thing_code: ThingCode) -> None:
        self.finder, self.face_code, self.thing_code = finder, face_code, thing_code

    def read(self, image: Image.Image) -> PhotoReading:
        """All that is known of an RGB picture."""
        faces = self.finder.find(image)
        window_codes, windows = self.thing_code.describe(image)
        return PhotoReading(image.size, tuple(faces), self.describe(image, faces), windows, window_codes)

    def describe(self, image: Image.Image, faces: list[Face]) -> np.ndarray:
        """The codes `[F, 128]` of faces of an RGB picture."""
        return described(self.face_code, image, faces)


@torch.inference_mode()
def described(face_code: FaceCode, image: Image.Image, faces: list[Face]) -> np.ndarray:
    """The codes `[F, 128]` of faces of an RGB picture."""
    chips = np.stack([face_chip(image, face.points) for face in faces]) if faces else np.zeros((0, SIDE, SIDE, 3), np.uint8)
    parts = torch.from_numpy(chips).permute(0, 3, 1, 2).float().split(_AT_ONCE)
    return torch.cat([face_code.both_ways(part) for part in parts]).numpy() if faces else np.zeros((0, WIDTH), np.float32)
