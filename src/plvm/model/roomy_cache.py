"""Keys and values of a batch with room for more tokens and more rows, written in place: a step then copies nothing.

    row 0   x x x x x x o o - -      x what was there, o written since, - room
    row 1   x x x 0 0 0 o o - -      0 columns that this row does not see
    room    - - - - - - - - - -

What all rows go on from may stand before them, held once (`shared_cache.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from torch import Tensor

from plvm.model.shared_cache import Behind
from plvm.model.static_cache import KeyValues

Spans = Sequence[tuple[int, int]]  # columns from .. up to, in order


class RoomyCache:
    """At most `most` rows of at most `end` columns, shaped as those of `like`. The first `rows` rows and `length` columns are in
    use; what a row does not see of them is finite. A language model takes it as its cache; whoever runs it adds to `length`.
    `shared` [1, heads, P, width]: what all rows see before their columns."""

    def __init__(self, like: KeyValues, most: int, end: int, shared: KeyValues | None = None) -> None:
        self.most, self.end, self.shared = most, end, shared
        self.rows = self.length = 0
        self._free: int | None = None
        self._lock = Lock()
        self._layers = tuple((_room(k, most, end), _room(v, most, end)) for k, v in like)

    def put(self, past: KeyValues, spans: Spans | None = None) -> None:
        """Copy rows [B, heads, T, width] behind those that are there; of their columns those in `spans`, None: all."""
        count, _, columns, _ = past[0][0].shape
        spans = [(0, columns)] if spans is None else spans
        length, before = columns_in(spans), self.length
        for own, new in zip(self._layers, past, strict=True):
            for t, more in zip(own, new, strict=True):
                rows, at = t[self.rows : self.rows + count], 0
                for start, end in spans:
                    rows[:, :, at : at + end - start] = more[:, :, start:end]
                    at += end - start
                if length < before:
                    rows[:, :, length:before] = 0
                elif length > before:
                    t[: self.rows, :, before:length] = 0
        self.rows, self.length = self.rows + count, max(before, length)

    def row(self, i: int) -> KeyValues:
        """One row with all its room [1, heads, `end`, width], as views."""
        return tuple((k[i : i + 1], v[i : i + 1]) for k, v in self._layers)

    def keep(self, order: Sequence[int]) -> None:
        """Go on with these rows alone; a row may stand only at its own place or an earlier one that was free."""
        for i, old in enumerate(order):
            if i != old:
                for t in (t for layer in self._layers for t in layer):
                    t[i, :, : self.length] = t[old, :, : self.length]
        self.rows = len(order)

    def release(self, length: int) -> None:
        """Its one row has ended with so many columns: the first that claims it may write on behind them."""
        self._free = length

    def claim(self, length: int, end: int) -> bool:
        """Whether whoever continues a row of `length` columns up to `end` may write here; nobody else may from then on. What was
        there does not change, so that others who continue the same row can copy it."""
        with self._lock:
            if self._free != length or end > self.end:
                return False
            self._free, self.length = None, length
            return True

    @property
    def past(self) -> KeyValues:
        """What is in use [rows, heads, length, width], as views."""
        return tuple((k[: self.rows, :, : self.length], v[: self.rows, :, : self.length]) for k, v in self._layers)

    # ---- called by transformers

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor | Behind, Tensor]:
        """Write T tokens' keys and values [rows, heads, T, width] behind `length`; all its columns, with what is shared."""
        end = self.length + keys.shape[2]
        k, v = (t[: self.rows] for t in self._layers[layer])
        k[:, :, self.length : end], v[:, :, self.length : end] = keys, values
        k, v = k[:, :, :end], v[:, :, :end]
        return (k if self.shared is None else Behind(k, [(*self.shared[layer], self.rows)])), v

    def get_seq_length(self, *_: Any) -> int:
        """How many columns are in use."""
        return self.length

    get_query_offset = get_seq_length

    def get_mask_sizes(self, length: int, *_: Any) -> tuple[int, int]:
        """How many columns `length` new tokens see, and from which on."""
        return self.length + length, 0


def columns_in(spans: Spans) -> int:
    """How many columns they are."""
    return sum(end - start for start, end in spans)


def _room(like: Tensor, most: int, end: int) -> Tensor:
    """For `most` rows of `end` columns; a family may have layers of other heads and widths than the rest."""
    return like.new_empty(most, like.shape[1], end, like.shape[3])
