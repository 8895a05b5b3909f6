"""The things of a folder of photographs, and which of them are for what; and pictures in which something is cut into another.

THINGS/<thing>/*.jpg; "dog", "dog3" and "dog7" are things of one kind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from PIL import Image

from plvm_lab.evaluate.photo_people import Split

SEED, TEST, VAL = 33, 6, 4  # of the family that is built from photographs
_SIDE = 640  # pixels of the longer side of a picture that something is cut into


def split_things(names: Sequence[str], seed: int, *, test: int, val: int) -> Split:
    """Names of things by what they are for."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed}:thing:{name}".encode()).hexdigest())
    return {"test": ranked[:test], "val": ranked[test : test + val], "train": sorted(ranked[test + val :])}


def kind_of(name: str) -> str:
    """What a thing is, by its name: without the number at its end."""
    return name.rstrip("0123456789")


def cut_into(base: Image.Image, thing: Image.Image, share: float, x: float, y: float) -> tuple[Image.Image, tuple[float, ...]]:
    """A picture `base` with another cut into it at `x`, `y` (0..1 of the room there is), its longer side `share` of the shorter
    side of the base; and its box (0..1)."""
    scale = _SIDE / max(base.size)
    seen = base.resize((round(base.width * scale), round(base.height * scale)), Image.Resampling.BICUBIC)
    scale = share * min(seen.size) / max(thing.size)
    small = thing.resize((max(1, round(thing.width * scale)), max(1, round(thing.height * scale))), Image.Resampling.BICUBIC)
    left, top = round(x * (seen.width - small.width)), round(y * (seen.height - small.height))
    seen.paste(small, (left, top))
    right, bottom = left + small.width, top + small.height
    return seen, (left / seen.width, top / seen.height, right / seen.width, bottom / seen.height)
