"""Pictures of a benchmark of faces, made of people's photographs: as they are, worse, or several people in a row."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from plvm.images import open_image

if TYPE_CHECKING:
    from plvm.vision.face_finder import Face

WORSE = ("100 px", "64 px", "40 px", "28 px", "crop", "rotated", "JPEG 30", "grey")
ROWS = (2, 3, 4)  # people side by side
KINDS = (*WORSE, *(f"{n} in a row" for n in ROWS), *(f"{n} in a row, strangers" for n in ROWS))
HEIGHT = 250  # pixels of a row of people
AROUND = 0.4  # of a face's size, that a row shows around it
_TIGHT, _SHIFT = 0.1, 0.1  # of a face's size: what a crop shows around it, and how far it is off
_DEGREES = 20.0


@dataclass(frozen=True)
class FaceScene:
    """A picture: of which `kind`, `who` is in it from left to right (names; None is a stranger), and of which `files` with the
    box of each, (left, top, right, bottom), that is shown of it in a row."""

    kind: str
    who: tuple[str | None, ...]
    files: tuple[Path, ...]
    boxes: tuple[tuple[int, int, int, int], ...] = ()


def part_of(image: Image.Image, face: Face, others: Sequence[Face]) -> tuple[int, int, int, int] | None:
    """What a row shows of a picture: the face with what is around it; None where somebody else would be in it too."""
    left, top, right, bottom = face.box
    grown = AROUND * face.size
    box = (
        max(0, round(left - grown)), max(0, round(top - grown)), min(image.width, round(right + grown)),
        min(image.height, round(bottom + grown)),
    )  # fmt: skip
    near = any(o.box[0] < box[2] and o.box[2] > box[0] and o.box[1] < box[3] and o.box[3] > box[1] for o in others)
    return None if near else box


def row_of(scene: FaceScene, rng: random.Random) -> Image.Image:
    """People side by side, on black, each a little smaller or larger."""
    parts = []
    for file, box in zip(scene.files, scene.boxes, strict=True):
        part, height = open_image(file).crop(box), round(HEIGHT * rng.uniform(0.7, 1.0))
        parts.append(part.resize((round(part.width * height / part.height), height), Image.Resampling.BICUBIC))
    row = Image.new("RGB", (sum(part.width for part in parts), HEIGHT), "black")
    left = 0
    for part in parts:
        row.paste(part, (left, HEIGHT - part.height))
        left += part.width
    return row


def worse(image: Image.Image, kind: str, face: Face | None, rng: random.Random) -> Image.Image:
    """The picture made worse, as `kind` of WORSE says; `face` is the one that counts, where one was found."""
    size = face.size if face is not None else min(image.size) / 2
    if kind.endswith("px"):
        scale = min(1.0, int(kind.split()[0]) / size)
        return image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))), Image.Resampling.BOX)
    if kind == "crop":
        left, top, right, bottom = face.box if face is not None else (0, 0, *image.size)
        x, y = (rng.uniform(-_SHIFT, _SHIFT) * size for _ in "xy")
        grown = _TIGHT * size
        return image.crop((round(left - grown + x), round(top - grown + y), round(right + grown + x), round(bottom + grown + y)))
    if kind == "rotated":
        return image.rotate(rng.choice((-1, 1)) * rng.uniform(_DEGREES / 2, _DEGREES), Image.Resampling.BICUBIC)
    if kind == "grey":
        return image.convert("L").convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(kind.split()[1]))
    return open_image(file.getvalue())
