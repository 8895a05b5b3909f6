"""The Aligner's two heads: maps from the encoder's global token to a word row and an LM-head row.

`MLPHead` is the paper's (section 4.1: 3 linear layers, GELU). `BoundedRow` is ours: a short code, mapped to a row whose RMS
stays at that of the frozen rows, so that a name can neither drown in the vocabulary nor drown it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def bounded(x: Tensor, rms: Tensor | float) -> Tensor:
    """`x` [..., D] rescaled to root-mean-square `rms` along its last axis."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-8) * rms


class MLPHead(nn.Sequential):
    """z [N, E] -> row [N, D] through 3 linear layers with GELU between them."""

    def __init__(self, width_in: int, width_hidden: int, width_out: int) -> None:
        super().__init__(
            nn.Linear(width_in, width_hidden),
            nn.GELU(),
            nn.Linear(width_hidden, width_hidden),
            nn.GELU(),
            nn.Linear(width_hidden, width_out),
        )


class BoundedRow(nn.Module):
    """code [N, R] -> row [N, D] of root-mean-square `scale`, a learned number. The bias is the mean name."""

    def __init__(self, code_width: int, width: int, scale: float) -> None:
        super().__init__()
        self.linear = nn.Linear(code_width, width)
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, code: Tensor) -> Tensor:
        """Codes [N, R] -> rows [N, D]."""
        return bounded(self.linear(code), self.scale)
