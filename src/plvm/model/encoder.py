"""The frozen reference encoder E_ref: pictures -> z_ref [N, L, E], first the global token, then patches.

The only file that knows the vision encoders' transformers classes. DINOv2 is the paper's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


class Encoder:
    """A stock vision transformer with its image processor, frozen and in eval mode."""

    def __init__(self, model: Any, image_processor: Any, name: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        self.image_processor = image_processor
        self.name = name
        self.width: int = model.config.hidden_size

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures -> pixel values [N, 3, H, W] by the encoder's own image processor."""
        values = self.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        return values.to(self.device, next(self.model.parameters()).dtype)

    @torch.inference_mode()
    def features(self, pixels: Tensor) -> Tensor:
        """Pixel values [N, 3, H, W] -> z_ref [N, L, E], after the encoder's final norm."""
        return self.model(pixel_values=pixels).last_hidden_state.clone()


def key_of(z_ref: Tensor) -> Tensor:
    """The retrieval key [E] of one concept's z_ref [R, L, E]: the mean global token, L2-normalised."""
    return F.normalize(z_ref[:, 0].float().mean(0), dim=-1)
