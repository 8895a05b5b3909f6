"""A glance at a picture: what it is like as a whole, wherever in it things are."""

from __future__ import annotations

import torch
from torch import Tensor


def glance_of(tokens: Tensor) -> Tensor:
    """Tokens [.., P, D] -> the mean and the standard deviation of each feature over them: float32[.., 2 D]."""
    tokens = tokens.float()
    mean = tokens.mean(-2, keepdim=True)
    spread = (tokens - mean).square().mean(-2).sqrt()  # torch's own `std` takes seven times as long
    return torch.cat([mean.squeeze(-2), spread], -1)
