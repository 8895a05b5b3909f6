"""Requests -> answers, in batches, with keys and values kept: the one decoding loop of chat, evaluation and server.

Every row of a batch has its own concepts, its own past, its own sampling parameters and its own source of randomness,
so that what a row says does not depend on what stands beside it. A row that has ended leaves the batch.

Out come text and states, never ids: a concept's id becomes `<name>` in `AnswerText`. The tokenizer's special tokens,
ids that it cannot spell and other requests' names are never chosen; the end token ends the answer.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plvm.engine.gathered import gather
from plvm.engine.request import Request, Session
from plvm.engine.sampler import generator_of, sample
from plvm.engine.steps import steps_after
from plvm.engine.text import AnswerText
from plvm.model.backbone import Backbone, KeyValues
from plvm.prompt.image_first import Prompt
from plvm.types import Answer, SamplingParams


@dataclass(frozen=True, eq=False)
class Completion:
    """An answer, and the state of the dialogue after it: what a next turn continues."""

    answer: Answer
    session: Session


def generate(
    backbone: Backbone,
    prompt: Prompt,
    requests: Sequence[Request],
    params: SamplingParams | Sequence[SamplingParams] = SamplingParams(),  # noqa: B008 - frozen
    *,
    batch: int = 32,
) -> list[Answer]:
    """One answer per request, in order, `batch` at a time; `params` for all, or one for each.

    Raises RequestError where a prompt is longer than the backbone reads.
    """
    many = [params] * len(requests) if isinstance(params, SamplingParams) else list(params)
    answers: dict[int, Answer] = {}
    for start in range(0, len(requests), batch):
        rows = slice(start, start + batch)
        for row, _, done in _decode(backbone, prompt, requests[rows], many[rows]):
            if done is not None:
                answers[start + row] = done.answer
    return [answers[i] for i in range(len(requests))]


def stream(
    backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams | None = None
) -> Generator[str, None, Completion]:
    """The answer in chunks as it is written; they concatenate to its text. Returns (`yield from`) the Completion.

    Nothing is computed before the first chunk is asked for. Closing the generator ends the work and changes nothing.
    """
    for _, chunk, done in _decode(backbone, prompt, [request], [params if params is not None else SamplingParams()]):
        if chunk:
            yield chunk
        if done is not None:
            return done
    raise AssertionError("a decoding ended without a completion")


def complete(backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams | None = None) -> Completion:
    """The whole answer to one request, and the state after it."""
    chunks = stream(backbone, prompt, request, params)
    while True:
        try:
            next(chunks)
        except StopIteration as end:
            return end.value


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
        self.finish: str | None = None
        self.begun = time.perf_counter()

    def choose(self, logits: Tensor) -> str:
        """Choose the next id from logits [V+C]; returns the chunk of text that it settles."""
        token = sample(logits, self.params, self.generator)
        if token == self.end_id:
            chunk, self.finish = self.text.close(), "end"
        else:
            self.ids.append(token)
            chunk = self.text.push(token)
            if not self.text.stopped and len(self.ids) >= min(self.params.max_tokens, self.room):
                chunk, self.finish = chunk + self.text.close(), "length"
        if self.text.stopped:
            self.finish = "stop"
        return chunk

    def complete(self, past: KeyValues) -> Completion:
        """The result; `past` [1, heads, .., width] holds everything but the last chosen id."""
        session, text = self.request.session, self.text.text
        start = self.request.state.length + self.written
        kept = self.text.kept
        cached = min(kept, past[0][0].shape[2] - start)
        answer = Answer(
            text,
            finish=self.finish or "length",
            prompt_tokens=start,
            computed_tokens=self.written + self.request.owed,
            new_tokens=len(self.ids),
            seconds=time.perf_counter() - self.begun,
            names=tuple(
                sorted((n for n in self.request.names if f"<{n}>" in text), key=lambda n: text.index(f"<{n}>"))
            ),
            unlike=session.unlike,
        )
        after = Session(
            tuple((k[:, :, : start + cached], v[:, :, : start + cached]) for k, v in past),
            start + cached,
            pending=(*self.ids[cached:kept], self.end_id),
            concepts=self.request.everyone,
            turns=session.turns + len(self.request.history) + 1,
            shift=session.shift,
            unlike=session.unlike,
        )
        return Completion(answer, after)


@torch.inference_mode()
def _decode(
    backbone: Backbone, prompt: Prompt, requests: Sequence[Request], params: Sequence[SamplingParams]
) -> Iterator[tuple[int, str, Completion | None]]:
    """Yields (row, chunk, completion): chunks as they settle, and with a row's last one its completion."""
    g = gather(backbone, prompt, requests)
    rows = [_Row(backbone, prompt, r, p, n) for r, p, n in zip(requests, params, g.written, strict=True)]
    banned = never_chosen(backbone, prompt)
    vocabulary = g.vocabulary
    hidden, past = g.continued(backbone)
    last, steps = g.last(hidden), steps_after(backbone, g, past)
    alive = list(range(len(rows)))
    while True:
        logits = vocabulary.logits(last.unsqueeze(1), backbone.head_rows)[:, 0].float().to(backbone.device)
        logits[:, : len(banned)].masked_fill_(banned, float("-inf"))
        for i, row in enumerate(alive):
            chunk = rows[row].choose(logits[i])
            done = rows[row].complete(steps.row(i)) if rows[row].finish is not None else None
            if chunk or done is not None:
                yield row, chunk, done
        still = [i for i, row in enumerate(alive) if rows[row].finish is None]
        if not still:
            return
        if len(still) < len(alive):
            keep = torch.tensor(still, device=last.device)
            steps.keep(keep)
            vocabulary = vocabulary.select(keep)
            alive = [alive[i] for i in still]
        ids = torch.tensor([[rows[row].ids[-1]] for row in alive], device=last.device)
        last = steps.take(vocabulary.embed(ids, backbone.word_rows))[:, -1]
