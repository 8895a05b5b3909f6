"""Answers that are written side by side: rows join the batch while others are being written, and leave it when they have ended.

Every row has its own concepts, its own past, its own sampling parameters and its own source of randomness, so that what a
row says does not depend on what stands beside it, nor on when it joined. The tokenizer's special tokens, ids that it cannot
spell and other requests' names are never chosen; the end token ends an answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.engine.gathered import gather
from plvm.engine.request import Request, Session
from plvm.engine.sampler import generator_of, sample_all
from plvm.engine.steps import ROOM, steps_after
from plvm.engine.text import AnswerText
from plvm.errors import PlvmError
from plvm.model.backbone import Backbone, KeyValues
from plvm.model.roomy_cache import RoomyCache
from plvm.prompt.image_first import Prompt
from plvm.types import Answer, SamplingParams

_biases: WeakKeyDictionary[Prompt, dict[tuple[object, ...], Tensor]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Completion:
    """An answer, and the state of the dialogue after it: what a next turn continues. `ids` were chosen, the end token apart;
    the first of them from the logits `first` [V+C]. Of an answer that was written elsewhere neither is known. The session has no
    past then, nor where nobody goes on from it."""

    answer: Answer
    session: Session
    ids: tuple[int, ...] = ()
    first: Tensor | None = None


class Written(NamedTuple):
    """What a step wrote of one answer: its `ticket`, the `chunk` of text that it settled, maybe none, and, with the last one,
    its `completion`, or the `error` that ended this answer and no other."""

    ticket: int
    chunk: str
    completion: Completion | None = None
    error: PlvmError | None = None


class Writing(Protocol):
    """Answers that are being written, here (`Decoding`) or elsewhere; its length is their number."""

    def __len__(self) -> int: ...

    def join(self, requests: Sequence[Request], params: Sequence[SamplingParams]) -> list[int]:
        """Let requests in; returns a ticket for each. Raises RequestError where a prompt is too long; then nobody has joined."""

    def step(self) -> list[Written]:
        """What was written of them since the last step; those that have ended leave."""

    def drop(self, tickets: Iterable[int]) -> None:
        """Send answers away, whole or not."""


class Decoding:
    """The answers that are being written now. `join` lets requests in, `step` writes a token of every one, `drop` sends away.
    `going_on`: whether anybody goes on from their sessions, each of which is a copy of all keys and values of a row."""

    def __init__(self, backbone: Backbone, prompt: Prompt, *, going_on: bool = True) -> None:
        self.backbone, self.prompt, self.going_on = backbone, prompt, going_on
        self._bias = _bias(backbone, prompt)
        self._rows: dict[int, _Row] = {}  # by ticket, in the order of the batch
        self._next = 0

    def __len__(self) -> int:
        return len(self._rows)

    @torch.inference_mode()
    def join(self, requests: Sequence[Request], params: Sequence[SamplingParams]) -> list[int]:
        """Let requests in; returns a ticket for each. Their prompts are computed here, side by side.

        Raises RequestError where a prompt is longer than the backbone reads; then nobody has joined."""
        g = gather(self.backbone, self.prompt, requests)
        last, cache = g.continued(self.backbone, ROOM)
        new = steps_after(self.backbone, g, cache)
        tickets = list(range(self._next, self._next + len(requests)))
        self._next += len(requests)
        rows = [_Row(self.backbone, self.prompt, r, p, n) for r, p, n in zip(requests, params, g.written, strict=True)]
        if not self._rows:
            self._steps, self._last, self._vocabulary = new, last, g.vocabulary
            self._rows = dict(zip(tickets, rows, strict=True))
            return tickets
        self._advance()
        self._steps = self._steps.beside(new)
        self._last = torch.cat([self._last, last])
        self._rows |= zip(tickets, rows, strict=True)
        self._vocabulary = self._vocabulary.beside(g.vocabulary)
        return tickets

    @torch.inference_mode()
    def step(self) -> list[Written]:
        """Write one token of every answer; those that have ended leave."""
        self._advance()
        head = self.backbone.head_rows
        logits = self._vocabulary.logits(self._last.unsqueeze(1), head, self._bias.to(head))[:, 0].float()
        logits = logits.to(self.backbone.device)
        written, rows = [], self._rows.values()
        tokens = sample_all(logits, [row.params for row in rows], [row.generator for row in rows])
        for i, (ticket, row) in enumerate(self._rows.items()):
            if row.first is None:
                row.first = logits[i].clone()
            chunk = row.put(tokens[i])
            done = self._completed(i, row) if row.finish is not None else None
            if chunk or done is not None:
                written.append(Written(ticket, chunk, done))
        if ended := [w.ticket for w in written if w.completion is not None]:
            self.drop(ended)
        return written

    @torch.inference_mode()
    def drop(self, tickets: Iterable[int]) -> None:
        """Send answers away, whole or not; the others go on as if they had never been there. Unknown tickets are nobody's."""
        gone = set(tickets) & self._rows.keys()
        if not gone:
            return
        places = list(self._rows)
        still = [i for i, ticket in enumerate(places) if ticket not in gone]
        late = [i for i in still if i >= len(still)]  # these fill the gaps, so that few rows have to move
        order = [late.pop() if places[i] in gone else i for i in range(len(still))]
        self._rows = {places[i]: self._rows[places[i]] for i in order}
        if order:
            self._steps.keep(order)
            keep = torch.tensor(order, device=self._last.device)
            self._vocabulary = self._vocabulary.select(keep)
            self._last = self._last[keep]

    def _completed(self, i: int, row: _Row) -> Completion:
        if not self.going_on:
            return Completion(row.answer(), Session((), 0, concepts=row.request.everyone), tuple(row.ids), row.first)
        return row.complete(self._steps.row(i), self._steps.lasting)

    def _advance(self) -> None:
        """Put the tokens that were chosen last behind the others, if they are not there yet."""
        rows = list(self._rows.values())
        if not any(row.ahead for row in rows):
            return
        last = [row.ids[-1] for row in rows]
        ids, table = torch.tensor(last, device=self._last.device).unsqueeze(1), self.backbone.word_rows
        names = max(last) >= self._vocabulary.base
        self._last = self._steps.take(self._vocabulary.embed(ids, table) if names else F.embedding(ids, table))[:, -1]
        for row in rows:
            row.ahead = False


def _bias(backbone: Backbone, prompt: Prompt) -> Tensor:
    """[V]: minus infinity for ids that may not be said, else 0; made once for each prompt's way of writing."""
    key = (backbone.vocabulary_size, backbone.image_id, prompt.end_id, backbone.device, backbone.dtype)
    made = _biases.setdefault(prompt, {})
    if key not in made:
        bias = backbone.word_rows.new_zeros(backbone.vocabulary_size)
        bias[never_chosen(backbone, prompt)] = float("-inf")
        made[key] = bias
    return made[key]


def never_chosen(backbone: Backbone, prompt: Prompt) -> Tensor:
    """bool[V]: ids that may not be said: special tokens other than the end, and ids that the tokenizer cannot spell."""
    tokenizer = prompt.tokenizer
    banned = torch.zeros(backbone.vocabulary_size, dtype=torch.bool)
    banned[len(tokenizer) :] = True
    special = [i for i, token in tokenizer.added_tokens_decoder.items() if token.special]
    for i in (*special, *tokenizer.all_special_ids, backbone.image_id):
        if i < len(banned):
            banned[i] = True
    banned[prompt.end_id] = False
    return banned.to(backbone.device)


class _Row:
    """One answer that is being written."""

    def __init__(
        self, backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams, written: int
    ) -> None:
        self.request = request
        self.params = params
        self.written = written
        self.text = AnswerText(prompt, request.names, backbone.vocabulary_size, params.stop)
        self.generator = generator_of(params)
        self.room = backbone.max_tokens - request.state.length - written
        self.ids: list[int] = []
        self.end_id = prompt.end_id
        self.ahead = False  # whether the last id is chosen and not yet behind the others
        self.first: Tensor | None = None
        self.finish: str | None = None
        self.begun = time.perf_counter()

    def put(self, token: int) -> str:
        """Put the id that was chosen behind the others; returns the chunk of text that it settles."""
        if token == self.end_id:
            chunk, self.finish = self.text.close(), "end"
        else:
            self.ids.append(token)
            self.ahead = True
            chunk = self.text.push(token)
            if not self.text.stopped and len(self.ids) >= min(self.params.max_tokens, self.room):
                chunk, self.finish = chunk + self.text.close(), "length"
        if self.text.stopped:
            self.finish = "stop"
        return chunk

    def complete(self, past: KeyValues, room: RoomyCache | None) -> Completion:
        """The result; `past` [1, heads, .., width] holds everything but the last chosen id, in `room` if there is one."""
        session, start, kept = self.request.session, self.request.state.length + self.written, self.text.kept
        cached = min(kept, past[0][0].shape[2] - start)
        after = Session(
            tuple((k[:, :, : start + cached], v[:, :, : start + cached]) for k, v in past),
            start + cached,
            pending=(*self.ids[cached:kept], self.end_id),
            concepts=self.request.everyone,
            turns=session.turns + len(self.request.history) + 1,
            shift=session.shift,
            unlike=session.unlike,
            room=room,
        )
        if room is not None:
            room.release(after.length)
        return Completion(self.answer(), after, tuple(self.ids), self.first)

    def answer(self) -> Answer:
        """What has been written, as an answer."""
        text = self.text.text
        return Answer(
            text,
            finish=self.finish or "length",
            prompt_tokens=self.request.state.length + self.written,
            computed_tokens=self.written + self.request.owed,
            new_tokens=len(self.ids),
            seconds=time.perf_counter() - self.begun,
            names=tuple(
                sorted((n for n in self.request.names if f"<{n}>" in text), key=lambda n: text.index(f"<{n}>"))
            ),
            unlike=self.request.session.unlike,
        )
