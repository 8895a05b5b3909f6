"""The objective of SAM: the region that a point belongs to. The decoder is thrown away afterwards.

As in SAM one point has several answers: the part it lies in (head, body or background) and the whole figure (or the
background). Regions are the boxes of head and body that the drawn truth tells, not outlines.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm_lab.families.encoders.objective import Objective
from plvm_lab.families.encoders.training_pictures import Pictures
from plvm_lab.families.mini.vision import jitter, to_pixels
from plvm_lab.families.mini.world import patch_places

FINER = 4  # a mask has that many times the rows of the encoder's grid
POINTS = 4  # asked of each picture


def regions_of(truth: Mapping[str, Any], side: int) -> np.ndarray:
    """int8[side, side]: 0 background, 1 head, 2 body."""
    head, body = patch_places([(p["x"], p["y"], p["scale"]) for p in truth["people"]], side)
    return np.where(head >= 0, 1, np.where(body >= 0, 2, 0)).reshape(side, side).astype(np.int8)


class MaskDecoder(nn.Module):
    """Features [B, W, g, g] and points [B, Q, 2] in 0..1 (x, y) -> logits [B, Q, 2, 4g, 4g]: the part, the figure."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.waves: Tensor
        self.register_buffer("waves", torch.randn(2, width // 2))
        self.queries = nn.Parameter(torch.randn(2, width) * 0.5)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.mask = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width // 4))
        self.finer = nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 2, 2), nn.GELU(), nn.ConvTranspose2d(width // 2, width // 4, 2, 2)
        )

    def place(self, points: Tensor) -> Tensor:
        """Points [.., 2] -> random Fourier features [.., W]."""
        angles = 2 * torch.pi * (2 * points - 1) @ self.waves
        return torch.cat([angles.sin(), angles.cos()], -1)

    def forward(self, features: Tensor, points: Tensor) -> Tensor:
        b, side = len(features), features.shape[-1]
        spots = (torch.arange(side) + 0.5) / side
        grid = self.place(torch.stack(torch.meshgrid(spots, spots, indexing="xy"), -1)).flatten(0, 1)
        tokens = features.flatten(2).transpose(1, 2)
        asked = (self.place(points).unsqueeze(2) + self.queries).flatten(1, 2)
        seen, _ = self.attend(asked, tokens + grid, tokens, need_weights=False)
        masks = self.mask(self.norm(asked + seen)).unflatten(1, (-1, 2))
        return torch.einsum("bqmw,bwhv->bqmhv", masks, self.finer(features)).float().view(b, -1, 2, *[FINER * side] * 2)


class Regions(Objective):
    """Binary cross-entropy and the dice loss of the masks."""

    def __init__(self, encoder: Any, pictures: Pictures, batch: int, steps: int) -> None:
        self.encoder, self.pictures, self.batch = encoder, pictures, batch
        self.decoder = MaskDecoder(encoder.config.output_channels)
        self.side = FINER * (encoder.config.image_size // encoder.config.patch_size)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "decoder": self.decoder}

    @property
    def result(self) -> Any:
        return self.encoder

    def losses(self, step: int, rng: random.Random) -> Mapping[str, Tensor]:
        rows = self.pictures.draw(rng, self.batch)
        regions = torch.as_tensor(np.stack([regions_of(self.pictures.truths[i], self.side) for i in rows])).long()
        asked = torch.tensor([[[rng.randrange(self.side) for _ in "xy"] for _ in range(POINTS)] for _ in rows])
        at = regions[torch.arange(len(rows))[:, None], asked[..., 1], asked[..., 0]][..., None, None]
        part, figure = regions[:, None] == at, (regions[:, None] > 0) == (at > 0)
        target = torch.stack([part, figure], 2).float()
        features = self.encoder(jitter(to_pixels(self.pictures.pixels(rows)))).last_hidden_state
        logits = self.decoder(features, (asked + 0.5) / self.side)
        likely = logits.sigmoid()
        shared, sizes = (likely * target).sum((-2, -1)), (likely + target).sum((-2, -1))
        dice = 1 - ((2 * shared + 1) / (sizes + 1)).mean()
        both = ((logits > 0) & (target > 0)).sum((-2, -1)) / ((logits > 0) | (target > 0)).sum((-2, -1)).clamp(min=1)
        return {"total": F.binary_cross_entropy_with_logits(logits, target) + dice, "overlap": both.mean()}
