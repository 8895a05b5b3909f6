"""Requests -> answers, in batches, with keys and values kept: whole, or in chunks as they are written.

Out come text and states, never ids: a concept's id becomes `<name>` in `AnswerText`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from plvm.engine.decoding import Completion, Decoding, Written
from plvm.engine.request import Request
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Answer, SamplingParams


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
        for written in _decode(backbone, prompt, requests[rows], many[rows], going_on=False):
            if written.completion is not None:
                answers[start + written.ticket] = written.completion.answer
    return [answers[i] for i in range(len(requests))]


def stream(
    backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams | None = None
) -> Generator[str, None, Completion]:
    """The answer in chunks as it is written; they concatenate to its text. Returns (`yield from`) the Completion.

    Nothing is computed before the first chunk is asked for. Closing the generator ends the work and changes nothing.
    """
    for written in _decode(backbone, prompt, [request], [params if params is not None else SamplingParams()]):
        if written.chunk:
            yield written.chunk
        if written.completion is not None:
            return written.completion
    raise AssertionError("a decoding ended without a completion")


def complete(backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams | None = None) -> Completion:
    """The whole answer to one request, and the state after it."""
    chunks = stream(backbone, prompt, request, params)
    while True:
        try:
            next(chunks)
        except StopIteration as end:
            return end.value


def _decode(
    backbone: Backbone, prompt: Prompt, requests: Sequence[Request], params: Sequence[SamplingParams], *, going_on: bool = True
) -> Iterator[Written]:
    """What every step writes; the tickets count the requests from 0."""
    decoding = Decoding(backbone, prompt, going_on=going_on)
    decoding.join(requests, params)
    while len(decoding):
        yield from decoding.step()
