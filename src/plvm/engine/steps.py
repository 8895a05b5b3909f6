"""Writing one token a row at a time, behind the keys and values of a prompt.

`Steps` puts what is new behind what was there, for a batch on any device. `RecordedSteps` writes one answer on a GPU, in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.engine.gathered import Gathered
from plvm.model.backbone import Backbone, KeyValues
from plvm.model.recording import Recording, record
from plvm.model.roomy_cache import RoomyCache, Spans, columns_in
from plvm.model.static_cache import StaticCache

ROOM = 64  # tokens; when they are written, room for as many more is made


def steps_after(backbone: Backbone, g: Gathered, cache: RoomyCache) -> Steps:
    """What continues a batch whose prompts are in `cache`."""
    alone = len(g.ids) == 1 and g.layout.mask is None
    return (RecordedSteps if alone and backbone.recordable else Steps)(backbone, g, cache)


class Steps:
    """`cache` holds B rows of P columns; the next token of a row has its `position` int64[B]."""

    joined = False  # whether rows came together that began apart

    def __init__(self, backbone: Backbone, g: Gathered, cache: RoomyCache) -> None:
        self.backbone, self.cache = backbone, cache
        mask = g.layout.mask
        self.position = torch.tensor(g.nexts, device=g.ids.device)
        self.padded = mask is not None
        if mask is not None:
            self.mask = mask[:, -cache.length :]  # what is shared is seen by all

    @property
    def mask(self) -> Tensor:
        """bool[B, P]: which of the columns that are in use a row sees."""
        if not self.padded:
            return self.position.new_ones(len(self.position), self.cache.length, dtype=torch.bool)
        return self._seen[:, : self.cache.length]

    @mask.setter
    def mask(self, seen: Tensor) -> None:
        self._seen = F.pad(seen, (0, self.cache.end - seen.shape[1]), value=True)  # whatever is written from now on

    def take(self, embeddings: Tensor) -> Tensor:
        """One more token a row, [B, 1, D] -> its hidden state [B, 1, D], valid until the next step."""
        if self.cache.length == self.cache.end:
            self._make_room()
        seen = self._seen[:, : self.cache.length + 1] if self.padded else None
        hidden, _ = self.backbone.hidden(embeddings, self.cache, self.position[:, None], seen)
        self.cache.length += 1
        self.position = self.position + 1
        return hidden

    def keep(self, order: Sequence[int]) -> None:
        """Go on with these rows alone, in this order; see `RoomyCache.keep`."""
        self.cache.keep(order)
        self.mask, self.position = self.mask[order], self.position[order]

    def beside(self, other: Steps) -> Steps:
        """What continues the rows of both, these first: in the memory of these while there is room, else in new memory, without
        columns that nobody of a row sees."""
        joining = [other.seen(i) for i in range(len(other.mask))]
        lengths = [columns_in(spans) for _, spans in joining]
        count, longest = len(self.mask) + len(joining), max(lengths)
        apart = type(self) is Steps and self.cache.shared is None
        both = self if apart and self._has_room(count, longest) else self._moved(count, longest)
        own = both.mask
        for past, spans in joining:
            both.cache.put(past, spans)
        columns = torch.arange(both.cache.length, device=self.mask.device)
        theirs = columns < torch.tensor(lengths, device=columns.device)[:, None]
        own = F.pad(own, (0, both.cache.length - own.shape[1]))
        both.mask, both.padded, both.joined = torch.cat([own, theirs]), True, True
        both.position = torch.cat([both.position, other.position])
        return both

    def _make_room(self) -> None:
        if self.joined:
            moved = self._moved(self.cache.most, 0)
            self.cache, self.mask = moved.cache, moved.mask
            return
        past, seen = self.cache.past, self.mask
        self.cache = RoomyCache(past, len(past[0][0]), self.cache.length + ROOM, self.cache.shared)
        self.cache.put(past)
        self.mask = seen

    def _has_room(self, rows: int, length: int) -> bool:
        return rows <= self.cache.most and max(length, self.cache.length) < self.cache.end

    def _moved(self, rows: int, length: int) -> Steps:
        """The same rows in memory for so many rows and columns of this length, packed: what a row sees comes first."""
        pasts = [self.seen(i) for i in range(len(self.mask))]
        lengths = [columns_in(spans) for _, spans in pasts]
        moved = Steps.__new__(Steps)
        moved.backbone, moved.padded, moved.joined, moved.position = self.backbone, True, True, self.position
        moved.cache = RoomyCache(pasts[0][0], 1 << (rows - 1).bit_length(), max(length, *lengths) + ROOM)
        for past, spans in pasts:
            moved.cache.put(past, spans)
        columns = torch.arange(moved.cache.length, device=self.mask.device)
        moved.mask = columns < torch.tensor(lengths, device=columns.device)[:, None]
        return moved

    @property
    def lasting(self) -> RoomyCache | None:
        """The memory of a row that stands alone, and will: it may go on there after its answer. Else None."""
        return self.cache if self.cache.most == 1 and not self.padded else None

    def row(self, i: int) -> KeyValues:
        """Everything that one row has seen, [1, heads, its length, width], copied where other rows may come."""
        if self.lasting is not None:
            return self.cache.past
        past, spans = self.seen(i)
        return tuple((_columns(k, spans), _columns(v, spans)) for k, v in past)

    def seen(self, i: int) -> tuple[KeyValues, Spans]:
        """One row and which of its columns it sees: views, but where it shares some with others."""
        ends = F.pad(self.mask[i].byte(), (1, 1)).diff().nonzero().flatten().tolist()
        own, spans = self.cache.row(i), list(zip(ends[::2], ends[1::2], strict=True))
        if self.cache.shared is None:
            return own, spans
        both = zip(self.cache.shared, own, strict=True)
        past = tuple((torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)) for before, (k, v) in both)
        length = past[0][0].shape[2] - self.cache.end
        return past, [(0, length), *((length + start, length + end) for start, end in spans)]


class RecordedSteps(Steps):
    """One answer on a GPU: the first step in a room is computed as always, the second is recorded, the others are played."""

    lasting = None
    room: StaticCache | None = None
    recording: Recording | None = None
    taken = 0  # steps in this room

    def take(self, embeddings: Tensor) -> Tensor:
        if self.room is None or self.room.length == self.room.end:
            self.room, self.recording, self.taken = StaticCache(self.row(0), ROOM), None, 0
            self.input, self.position = torch.empty_like(embeddings), self.position.clone()
        self.input.copy_(embeddings)
        counted = self.backbone.tokens_computed + 1
        if self.taken == 1:
            self.recording = record(self._step, embeddings.device)
        hidden: Tensor = self.recording.play() if self.recording is not None else self._step()
        self.backbone.tokens_computed = counted  # what is played counts too, what is recorded only once
        self.taken += 1
        self.room.length += 1
        return hidden

    def _step(self) -> Tensor:
        assert self.room is not None
        self.room.open()
        hidden, _ = self.backbone.hidden(self.input, self.room, self.position[:, None])
        self.room.close()
        self.position += 1
        return hidden

    def row(self, i: int) -> KeyValues:
        return self.room.past if self.room is not None else self.cache.past

    def seen(self, i: int) -> tuple[KeyValues, Spans]:
        past = self.row(i)
        return past, [(0, past[0][0].shape[2])]


def _columns(t: Tensor, spans: Spans) -> Tensor:
    """A copy of some columns of [1, heads, columns, width]."""
    return torch.cat([t[:, :, start:end] for start, end in spans], 2)
