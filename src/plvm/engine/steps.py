"""Writing one token a row at a time, behind the keys and values of a prompt.

`Steps` puts what is new behind what was there, for a batch on any device. `RecordedSteps` writes one answer on a GPU, in place.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.engine.gathered import Gathered
from plvm.model.backbone import Backbone, KeyValues
from plvm.model.recording import Recording, record
from plvm.model.static_cache import StaticCache

ROOM = 64  # tokens; when they are written, room for as many more is made


def steps_after(backbone: Backbone, g: Gathered, past: KeyValues) -> Steps:
    """What continues a batch whose prompts are in `past`."""
    alone = len(g.ids) == 1 and g.layout.mask is None
    return (RecordedSteps if alone and backbone.recordable else Steps)(backbone, g, past)


class Steps:
    """`past` [B, heads, P, width] and its mask bool[B, P]; the next token of a row has its `position` int64[B]."""

    def __init__(self, backbone: Backbone, g: Gathered, past: KeyValues) -> None:
        self.backbone, self.past, mask = backbone, past, g.layout.mask
        self.position = torch.tensor(g.nexts, device=g.ids.device)
        self.padded = mask is not None
        self.mask = mask if mask is not None else g.ids.new_ones(len(g.ids), past[0][0].shape[2], dtype=torch.bool)

    def take(self, embeddings: Tensor) -> Tensor:
        """One more token a row, [B, 1, D] -> its hidden state [B, 1, D], valid until the next step."""
        self.mask = F.pad(self.mask, (0, 1), value=True)
        seen = self.mask if self.padded else None
        hidden, past = self.backbone.hidden(embeddings, self.past, self.position[:, None], seen, keep=True)
        assert past is not None
        self.past, self.position = past, self.position + 1
        return hidden

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        self.past = tuple((k[rows], v[rows]) for k, v in self.past)
        self.mask, self.position = self.mask[rows], self.position[rows]

    def beside(self, other: Steps) -> Steps:
        """What continues the rows of both, these first. Columns that nobody of a row sees are left out of what is kept."""
        both = Steps.__new__(Steps)
        parts = [self._packed(), other._packed()]
        length = max(mask.shape[1] for _, mask in parts)
        both.backbone, both.padded = self.backbone, True
        both.position = torch.cat([self.position, other.position])
        both.mask = torch.cat([F.pad(mask, (0, length - mask.shape[1])) for _, mask in parts])

        def together(layer: int, part: int) -> Tensor:
            own = [past[layer][part] for past, _ in parts]
            return torch.cat([F.pad(t, (0, 0, 0, length - t.shape[2])) for t in own])

        both.past = tuple((together(i, 0), together(i, 1)) for i in range(len(parts[0][0])))
        return both

    def _packed(self) -> tuple[KeyValues, Tensor]:
        """Past and mask with what every row sees at its beginning, no longer than the longest row."""
        length = int(self.mask.sum(1).max())
        if length == self.mask.shape[1]:
            return self.past, self.mask
        order = (~self.mask).sort(dim=1, stable=True).indices[:, :length]
        columns = order[:, None, :, None]

        def packed(t: Tensor) -> Tensor:
            return t.gather(2, columns.expand(-1, t.shape[1], -1, t.shape[3]))

        return tuple((packed(k), packed(v)) for k, v in self.past), self.mask.gather(1, order)

    def row(self, i: int) -> KeyValues:
        """Everything that one row has seen, [1, heads, its length, width]."""
        return tuple((k[i : i + 1, :, self.mask[i]], v[i : i + 1, :, self.mask[i]]) for k, v in self.past)


class RecordedSteps(Steps):
    """One answer on a GPU: the first step in a room is computed as always, the second is recorded, the others are played."""

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

    def _packed(self) -> tuple[KeyValues, Tensor]:
        past = self.row(0)
        return past, self.mask.new_ones(1, past[0][0].shape[2])

    def row(self, i: int) -> KeyValues:
        return self.room.past if self.room is not None else super().row(i)
