"""Requests of a batch side by side, whatever their lengths: what goes through the backbone together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import add

import torch
from torch import Tensor

from plvm.engine.layout import Layout, lay_out
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.errors import RequestError
from plvm.model.backbone import Backbone
from plvm.model.roomy_cache import RoomyCache
from plvm.model.shared_cache import SharedCache
from plvm.model.static_cache import KeyValues
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import ConceptVocabulary, vocabulary_of

GROWTH = 4  # the room of a single row is this part of it, at least, so that few turns of a dialogue need another


@dataclass(frozen=True, eq=False)
class Gathered:
    """A batch of B requests: their `ids` int64[B, T], right-padded, and `layout`; `written`, the lengths of the suffixes without
    padding; `nexts`, the positions of what comes after them."""

    requests: Sequence[Request]
    ids: Tensor
    layout: Layout
    written: tuple[int, ...]
    nexts: tuple[int, ...]
    vocabulary: ConceptVocabulary

    @property
    def past(self) -> KeyValues:
        """What the requests continue [B, heads, P, width], right-padded."""
        return stack(self.requests, max(r.state.length for r in self.requests))

    def last(self, backbone: Backbone) -> Tensor:
        """The hidden state [B, D] of each row's last token; what neighbours continue together is not copied for each."""
        runs = (list(run) for _, run in groupby(self.requests, lambda r: id(r.state.past)))
        cache = SharedCache([(run[0].state.past, len(run)) for run in runs])
        return self._states(backbone, cache)

    def continued(self, backbone: Backbone, room: int = 0) -> tuple[Tensor, RoomyCache]:
        """The hidden state [B, D] of each row's last token, and the keys and values of everything, with room for so many more
        tokens. What several requests continue together is not copied for each."""
        own, mask = self.ids.shape[1], self.layout.mask
        together = len({id(r.state.past) for r in self.requests}) == 1 < len(self.requests)
        if together and backbone.family.shares:
            past = self.requests[0].state.past
            cache, mask = RoomyCache(past, len(self.requests), own + room, past), None
            cache.rows = len(self.requests)
        else:
            cache = self._room(own, room)
        states = self._states(backbone, cache, mask)
        cache.length += own
        return states, cache

    def _room(self, own: int, more: int) -> RoomyCache:
        """What the requests continue, with room for their `own` tokens and `more`: where it is, if that is a single session's and
        there is room for its own."""
        state = self.requests[0].state
        there = state.room if isinstance(state, Session) and len(self.requests) == 1 else None
        if there is not None and there.claim(state.length, state.length + own):
            return there
        count, length = len(self.requests), max(r.state.length for r in self.requests)
        if count == 1:
            more = max(more, length // GROWTH)
        cache = RoomyCache(state.past, count, length + own + more)
        for request in self.requests:
            cache.put(request.state.past)
        return cache

    def _states(self, backbone: Backbone, cache: RoomyCache | SharedCache, mask: Tensor | None = None) -> Tensor:
        embeddings, together = self.vocabulary.embed(self.ids, backbone.word_rows), len(set(self.written)) == 1
        hidden, _ = backbone.hidden(embeddings, cache, self.layout.positions, mask, last=together)
        if together:
            return hidden[:, -1]
        return hidden[torch.arange(len(hidden), device=hidden.device), torch.tensor(self.written, device=hidden.device) - 1]


def gather(backbone: Backbone, prompt: Prompt, requests: Sequence[Request]) -> Gathered:
    """Requests -> one batch. Raises RequestError where a prompt is longer than the backbone reads."""
    device = backbone.device
    images = [r.features for r in requests]
    vocabulary = vocabulary_of([r.everyone for r in requests], backbone.word_rows, images)
    suffixes = [r.write(prompt, vocabulary) for r in requests]
    lengths = [r.state.length for r in requests]
    for past, suffix in zip(lengths, suffixes, strict=True):
        if past + len(suffix) >= backbone.max_tokens:
            raise RequestError(
                f"The prompt has {past + len(suffix):,} tokens; the model reads fewer than {backbone.max_tokens:,}.",
                "Shorten the question, ask about fewer concepts, or begin a new dialogue.",
            )
    nexts, written = [r.state.length + r.state.shift for r in requests], [len(s) for s in suffixes]
    width = max(written)
    ids = torch.tensor([s + [prompt.end_id] * (width - len(s)) for s in suffixes], device=device)
    layout = lay_out(lengths, nexts, width, device, written)
    return Gathered(requests, ids, layout, tuple(written), tuple(map(add, nexts, written)), vocabulary)


def stack(requests: Sequence[Request], length: int) -> KeyValues:
    """Keys and values of the requests' states as one batch, right-padded to `length`; shared ones are read once."""
    unique: dict[int, int] = {}
    states: list[ImagePrefix | Session] = []
    rows = []
    for request in requests:
        row = unique.setdefault(id(request.state.past), len(states))
        if row == len(states):
            states.append(request.state)
        rows.append(row)
    if len(states) == 1:  # views of one state: whoever continues it copies
        return tuple((k.expand(len(rows), -1, -1, -1), v.expand(len(rows), -1, -1, -1)) for k, v in states[0].past)

    def together(layer: int, part: int) -> Tensor:
        own = [s.past[layer][part] for s in states]
        _, heads, _, width = own[0].shape
        all_rows = own[0].new_empty(len(rows), heads, length, width)
        for i, row in enumerate(rows):
            real = own[row].shape[2]
            all_rows[i, :, :real], all_rows[i, :, real:] = own[row][0], 0
        return all_rows

    return tuple((together(i, 0), together(i, 1)) for i in range(len(states[0].past)))
