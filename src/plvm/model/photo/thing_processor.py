"""Photographs -> the codes of windows of them, in which things may be, or the picture of a thing as it is remembered."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from plvm.model.photo.face_processor import CodeSpace
from plvm.vision.thing_code import SHORT, ThingCode


@dataclass(frozen=True)
class ThingSettings:
    """Pixels of the shorter side of a photograph whose windows are looked at; and how sure the finder of faces has to be before a
    reference is taken for one of a person unasked: dogs have faces of .8 to .98, one person in two hundred is below .9."""

    short: int = 512
    surely_a_face: float = 0.9
    version: int = 1


class ThingProcessor:
    """The descriptor of things at work."""

    def __init__(self, thing_code: ThingCode, space: CodeSpace, settings: ThingSettings) -> None:
        self.thing_code, self.space, self.settings = thing_code, space, settings

    def to_dict(self) -> dict[str, Any]:
        """Its settings, as JSON has them."""
        return asdict(self.settings)

    def windows(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        """The codes `[V, W]` of windows of an RGB picture, from left to right, and the column int64[V] of each (0..2)."""
        codes, boxes = self.thing_code.describe(image, short=self.settings.short)
        columns = columns_of(boxes)
        order = np.argsort(columns, kind="stable")
        return self.space.codes(torch.from_numpy(codes[order])), torch.from_numpy(columns[order])


def columns_of(boxes: np.ndarray) -> np.ndarray:
    """In which third int64[N] of a picture's width the middles of `boxes [N, 4]` (0..1) are."""
    return (1.5 * (boxes[:, 0] + boxes[:, 2])).astype(np.int64).clip(0, 2)


def reference_of(image: Image.Image) -> Image.Image:
    """A picture of a thing as its reference is looked at: a square, whatever it was."""
    return image.resize((SHORT, SHORT), Image.Resampling.BICUBIC, reducing_gap=3.0)
