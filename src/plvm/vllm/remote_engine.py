"""The engine whose backbone is run by a vLLM server: the same questions, prompts and answers, computed there."""

from __future__ import annotations

import base64
import io
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from PIL import Image

from plvm.engine.checks import checked_question
from plvm.engine.decoding import Completion
from plvm.engine.engine import Engine
from plvm.engine.prefix import ImagePrefix, digest_of
from plvm.engine.request import Request, Session
from plvm.engine.score import BATCH, recognitions
from plvm.engine.window import Said, window_of
from plvm.errors import EngineError
from plvm.images import Source
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Answer, Concept, SamplingParams
from plvm.vllm.remote_decoding import RemoteDecoding, Seen, body_for, image_length
from plvm.vllm.wire import LIKELIEST, Vllm, likeliest

SIDE = 1536  # pixels: no picture is sent with a longer side; no vision tower that we know sees more
ONE_WORD = SamplingParams(max_tokens=1)


class RemoteEngine(Engine):
    """An `Engine` that has of its `backbone` only the words' rows and asks `vllm` for all else. Names are said by spelling them.

    Raises EngineError where the server does not answer, or was not started for this.
    """

    local = False

    def __init__(self, backbone: Backbone, prompt: Prompt, fingerprint: str, vllm: Vllm) -> None:
        super().__init__(backbone, prompt, fingerprint)
        self.vllm = vllm
        backbone.max_tokens = min(backbone.max_tokens, vllm.max_tokens or backbone.max_tokens)
        (nothing,) = self.computed([None])
        self._likeliest(Request(nothing, "Who is this?"))  # whatever is wrong with the server is said now

    def computed(self, pictures: Sequence[Image.Image | None]) -> Sequence[ImagePrefix]:
        """Pictures as they are sent; nothing is computed of them here."""
        before, after = self.prompt.prefix()
        bare, own = len(before) + len(after), image_length(self.backbone)
        features = self.backbone.word_rows.new_zeros(1, self.backbone.width) if self.prompt.definitions_first else None
        return [
            Seen((), bare)
            if picture is None
            else Seen((), bare + own, digest_of(picture), features, picture=_sent(picture))
            for picture in pictures
        ]

    def decoding(self) -> RemoteDecoding:
        return RemoteDecoding(self.vllm, self.backbone, self.prompt)

    def answer(self, requests: Sequence[Request], params: SamplingParams | None, *, batch: int = 32) -> list[Answer]:
        """One answer per request, in order, `batch` asked for at a time. Raises RequestError, EngineError."""
        answers = []
        for start in range(0, len(requests), batch):
            some, found = requests[start : start + batch], {}
            decoding = self.decoding()
            decoding.join(some, [params if params is not None else SamplingParams()] * len(some))
            while len(decoding):
                for written in decoding.step():
                    if written.error is not None:
                        raise written.error
                    if written.completion is not None:
                        found[written.ticket] = written.completion.answer
            answers += [found[i] for i in range(len(some))]
        return answers

    def stream(self, request: Request, params: SamplingParams | None) -> Generator[str, None, Completion]:
        """The answer in chunks as it is written; returns (`yield from`) the Completion. Raises RequestError, EngineError."""
        decoding = self.decoding()
        decoding.join([request], [params if params is not None else SamplingParams()])
        try:
            while True:
                for written in decoding.step():
                    if written.error is not None:
                        raise written.error
                    if written.chunk:
                        yield written.chunk
                    if written.completion is not None:
                        return written.completion
        finally:
            decoding.drop([0])

    def next_request(
        self, start: ImagePrefix, state: ImagePrefix | Session, question: str, joining: Sequence[Concept],
        said: Said, *, longest: int, strict_names: bool, exact_names: bool = False,
    ) -> Request:  # fmt: skip
        """The next question of a dialogue, with all that was said: nothing is kept between calls. Who joins late is defined at the
        beginning, and of a long dialogue the last turns are read."""
        everyone = (*(state.concepts if isinstance(state, Session) else ()), *joining)
        people = {c.name: c.display for c in everyone}
        text = checked_question(question, people, strict_names=strict_names, exact_names=exact_names)
        turns, window = self.prompt.template.turns, window_of(self.backbone, self.prompt, longest)
        kept = tuple(said[-(turns - 1) :] if turns > 1 else () if turns else said)
        while kept and not window.holds(self.backbone, self.prompt, Request(start, text, everyone, history=kept)):
            kept = kept[1:]
        return Request(start.settled, text, everyone, history=kept)

    def recognize(
        self, images: Sequence[Source | ImagePrefix], concepts: Sequence[Concept], question: str | None,
        *, namespace: str, batch: int = BATCH,
    ) -> list[list[float]]:  # fmt: skip
        """P(present) of every concept (columns) in every picture (rows), `batch` asked about at a time."""
        self.check(concepts)
        asked = recognitions(self.prompt, self.look(images, namespace=namespace), concepts, question)
        with ThreadPoolExecutor(max_workers=batch) as together:
            found = list(together.map(self._chances, asked))
        return [found[i * len(concepts) : (i + 1) * len(concepts)] for i in range(len(images))]

    def _chances(self, request: Request) -> float:
        """P(Yes) / (P(Yes) + P(No)) as the first word of an answer."""
        found, ends = self._likeliest(request), []
        least = sorted(found.values(), reverse=True)[:LIKELIEST][-1]
        for word in (self.prompt.yes_id, self.prompt.no_id):
            if word not in found:  # then it is asked for alone: vLLM tells the chance of what it takes, too
                found[word] = self._likeliest(request, allowed_token_ids=[word])[word]
                if found[word] > least:
                    hint = "Start it without --logprobs-mode, or with --logprobs-mode raw_logprobs."
                    raise EngineError("The vLLM server tells chances as they are after what may be said was cut down.", hint)
            ends.append(found[word])
        return float(torch.tensor(ends).softmax(0)[0])

    def _likeliest(self, request: Request, **more: Any) -> dict[int, float]:
        """The log-probabilities of the likeliest first tokens of an answer, and of the one that is taken."""
        body = body_for(self.backbone, self.prompt, request, ONE_WORD)
        reply = self.vllm.ask(
            body.pop("messages"), **body, **more, logprobs=True, top_logprobs=LIKELIEST, return_tokens_as_token_ids=True
        )
        return likeliest(reply)


def _sent(picture: Image.Image) -> str:
    """A picture as a data URI, without loss unless it is larger than SIDE."""
    picture = picture.convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"

