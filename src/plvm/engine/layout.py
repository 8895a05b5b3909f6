"""Where the tokens of a batch stand and what they see, whatever the lengths of its rows. Scoring, generation and training
share it.

    past of row 0   x x x x x x   suffix  y y y y
    past of row 1   x x x - - -           y y - -      (- is padding: masked, and without a position of its own)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Layout:
    """`positions` int64[B, T] of the new tokens; `mask` bool[B, P + T] over past and new ones, False where a token must not be
    seen, None where nothing is padded."""

    positions: Tensor
    mask: Tensor | None


def lay_out(
    lengths: Sequence[int], nexts: Sequence[int], width: int, device: torch.device, written: Sequence[int] | None = None
) -> Layout:
    """The layout of B rows of `width` new tokens behind right-padded pasts of `lengths` tokens; row b's first new token has the
    position `nexts[b]`. `written` are the rows' new tokens without padding; None where what is padded is seen by nobody."""
    past = max(lengths)
    steps = torch.arange(max(past, width), device=device)
    positions = torch.tensor(nexts, device=device)[:, None] + steps[:width]
    if min(lengths) == past and (written is None or min(written) == width):
        return Layout(positions, None)
    before = steps[:past] < torch.tensor(lengths, device=device)[:, None]
    if written is None:
        own = torch.ones_like(positions, dtype=torch.bool)
    else:
        own = steps[:width] < torch.tensor(written, device=device)[:, None]
    return Layout(positions, torch.cat([before, own], 1))
