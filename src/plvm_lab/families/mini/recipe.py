"""The sizes and amounts of the mini family, as data: what is built, from how much, in how many steps.

`full` is what the package ships; `smoke` runs the same chain in minutes to prove that it runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a mini build. Steps are optimiser steps; `images` are pictures per step, `packs` suffixes per
    picture. Shrink `steps` for a smaller machine; a GPU can multiply them."""

    name: str = "full"
    seed: int = 0
    # the drawn world
    scenes: int = 26_000
    portraits: int = 2_000
    references: int = 36_000
    people: int = 6_000
    pictures_each: int = 3
    image_size: int = 160
    patch: int = 16
    reference_size: int = 112
    reference_patch: int = 14
    # shapes
    width: int = 192
    heads: int = 4
    head_width: int = 64
    feed_forward: int = 512
    layers: int = 6
    tower_width: int = 192
    tower_layers: int = 4
    encoder_width: int = 192
    encoder_layers: int = 4
    code: int = 48
    # amounts
    tower_steps: int = 12_000
    tower_batch: int = 16
    encoder_steps: int = 8_000
    encoder_batch: int = 16
    language_steps: int = 3_000
    vision_steps: int = 5_000
    conversation_steps: int = 17_000
    images: int = 2
    packs: int = 4
    aligner_steps: int = 2_400
    learning_rate: float = 1e-3

    @property
    def patches(self) -> int:
        """Image tokens of one picture."""
        return (self.image_size // self.patch) ** 2

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON values."""
        return asdict(self)


FULL = Recipe()
SMOKE = replace(
    FULL,
    name="smoke",
    scenes=96,
    portraits=16,
    references=160,
    people=240,
    pictures_each=1,
    width=64,
    heads=2,
    head_width=32,
    feed_forward=128,
    layers=5,
    tower_width=48,
    tower_layers=2,
    encoder_width=48,
    encoder_layers=2,
    code=16,
    tower_steps=20,
    encoder_steps=20,
    language_steps=20,
    vision_steps=20,
    conversation_steps=20,
    aligner_steps=20,
)
SCALES = {"full": FULL, "smoke": SMOKE}
