"""Keys and values of one answer with room for the next tokens, written in place: a step is then the same work on the same
memory, which can be recorded (`recording.py`).

    columns   x x x x x x o o - - - -      x the prompt, o written since, - room, which nobody sees
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

KeyValues = tuple[tuple[Tensor, Tensor], ...]  # per layer: keys and values [B, heads, T, head width]


class StaticCache:
    """`past` [1, heads, length, width] copied, with columns for `more` tokens. `seen` [1, 1, 1, length + more] is added to
    attention scores: 0 for what is there, the lowest number for what is not. A language model takes it as its cache."""

    def __init__(self, past: KeyValues, more: int) -> None:
        keys, self.length = past[0][0], past[0][0].shape[2]
        self.end = self.length + more
        self.layers = tuple((F.pad(k, (0, 0, 0, more)), F.pad(v, (0, 0, 0, more))) for k, v in past)
        self.seen = keys.new_full((1, 1, 1, self.end), torch.finfo(keys.dtype).min)
        self.seen[..., : self.length] = 0
        self._column = torch.tensor([self.length], device=keys.device)

    def open(self) -> None:
        """Let the next column be seen; `update` then writes it in every layer."""
        self.seen.index_fill_(3, self._column, 0)

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write one token's keys and values [1, heads, 1, width]; all columns of the layer. Transformers calls it."""
        k, v = self.layers[layer]
        return k.index_copy_(2, self._column, keys), v.index_copy_(2, self._column, values)

    def close(self) -> None:
        """Go to the next column."""
        self._column += 1

    def get_seq_length(self, *_: Any) -> int:
        """How many columns are written. Called by transformers as that of a cache."""
        return self.length

    @property
    def past(self) -> KeyValues:
        """What is written, as views; `length` is counted by whoever takes the steps."""
        return tuple((k[:, :, : self.length], v[:, :, : self.length]) for k, v in self.layers)
