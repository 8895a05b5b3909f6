"""Answers that a vLLM server writes: it puts them side by side, here somebody listens to each."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from plvm.engine.decoding import Completion, Written
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.errors import EngineError, PlvmError, RequestError
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Answer, SamplingParams
from plvm.vllm.spelled import SpelledText, spelled
from plvm.vllm.wire import Vllm, body_of, parts_of

PAUSE = 0.05  # seconds that `step` waits for something to be said


@dataclass(frozen=True, eq=False)
class Seen(ImagePrefix):
    """A picture as a data URI: the server looks at it itself."""

    picture: str = ""

    @property
    def bytes(self) -> int:
        """How much memory it holds."""
        return len(self.picture) + super().bytes


@dataclass(eq=False)
class _Row:
    """One answer that is being written; `over`: nobody wants the rest."""

    request: Request
    text: SpelledText
    begun: float = field(default_factory=time.perf_counter)
    finish: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    over: bool = False


class RemoteDecoding:
    """The answers that `vllm` is writing now. `join` asks, `step` says what was written since, `drop` stops listening."""

    def __init__(self, vllm: Vllm, backbone: Backbone, prompt: Prompt) -> None:
        self.vllm, self.backbone, self.prompt = vllm, backbone, prompt
        self._rows: dict[int, _Row] = {}
        self._heard: queue.SimpleQueue[tuple[int, dict[str, Any] | PlvmError | None]] = queue.SimpleQueue()
        self._next = 0

    def __len__(self) -> int:
        return len(self._rows)

    def join(self, requests: Sequence[Request], params: Sequence[SamplingParams]) -> list[int]:
        """Ask the server; returns a ticket for each request. Raises RequestError where a prompt is longer than the server reads;
        then nobody has joined."""
        asked = [spelled(request, self.prompt.template.introduce) for request in requests]
        bodies = [body_for(self.backbone, self.prompt, a, p) for a, p in zip(asked, params, strict=True)]
        tickets = list(range(self._next, self._next + len(requests)))
        self._next += len(requests)
        for ticket, request, body in zip(tickets, requests, bodies, strict=True):
            self._rows[ticket] = _Row(request, SpelledText(request.everyone))
            threading.Thread(target=self._listen, args=(ticket, self._rows[ticket], body), daemon=True).start()
        return tickets

    def step(self) -> list[Written]:
        """What was written since the last step; nothing, after a moment, where that is nothing."""
        written = []
        try:
            said = [self._heard.get(timeout=PAUSE)]
            while not self._heard.empty():
                said.append(self._heard.get())
        except queue.Empty:
            return []
        for ticket, what in said:
            if (row := self._rows.get(ticket)) is None:
                continue
            if isinstance(what, dict):
                if chunk := self._read(row, what):
                    written.append(Written(ticket, chunk))
                continue
            del self._rows[ticket]
            if isinstance(what, PlvmError):
                written.append(Written(ticket, "", error=what))
            elif not row.finish:
                error = EngineError("The vLLM server broke an answer off.", "Ask again; the server's log may say more.")
                written.append(Written(ticket, "", error=error))
            else:
                written.append(Written(ticket, row.text.close(), _completion(row)))
        return written

    def drop(self, tickets: Iterable[int]) -> None:
        """Send answers away, whole or not. Unknown tickets are nobody's."""
        for ticket in set(tickets) & self._rows.keys():
            self._rows.pop(ticket).over = True

    def _listen(self, ticket: int, row: _Row, body: dict[str, Any]) -> None:
        """In a thread of its own: hear an answer to its end, or until nobody wants it."""
        end: PlvmError | None = None
        try:
            chunks = self.vllm.stream(body.pop("messages"), **body, stream_options={"include_usage": True})
            for chunk in chunks:
                if row.over:
                    chunks.close()  # type: ignore[attr-defined]
                    return
                self._heard.put((ticket, chunk))
        except PlvmError as error:
            end = error
        except Exception as error:  # whatever it was, somebody waits to hear of it
            end = EngineError(f"What the vLLM server says cannot be read: {type(error).__name__}.", "Is it a vLLM server?")
        self._heard.put((ticket, end))

    def _read(self, row: _Row, chunk: dict[str, Any]) -> str:
        row.usage = chunk.get("usage") or row.usage
        text = ""
        for choice in chunk.get("choices", [])[:1]:
            text += row.text.push(choice["delta"].get("content") or "")
            if (why := choice.get("finish_reason")) is not None:
                row.finish = "length" if why == "length" else "stop" if isinstance(choice.get("stop_reason"), str) else "end"
        return text


def body_for(backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams) -> dict[str, Any]:
    """The body that asks a request. Raises RequestError where it leaves no room for an answer."""
    state = request.state
    picture = state.picture if isinstance(state, Seen) else ""
    parts, rows = parts_of(backbone, prompt, request, picture)
    room = backbone.max_tokens - rows - (image_length(backbone) if picture else 0)
    if room < 1:
        raise RequestError(
            f"The prompt has {backbone.max_tokens - room:,} tokens; the model reads fewer than {backbone.max_tokens:,}.",
            "Shorten the question, ask about fewer concepts, or begin a new dialogue.",
        )
    return body_of(backbone, prompt, parts, replace(params, max_tokens=min(params.max_tokens, room)))


def image_length(backbone: Backbone) -> int:
    """How many tokens a picture has, where all have the same number; else 0."""
    return int(getattr(backbone.model.config, "image_seq_length", 0))


def _completion(row: _Row) -> Completion:
    usage, request = row.usage, row.request
    tokens = int(usage.get("prompt_tokens", 0))
    known = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
    answer = Answer(
        row.text.text, finish=row.finish, prompt_tokens=tokens, computed_tokens=tokens - known,
        new_tokens=int(usage.get("completion_tokens", 0)), seconds=time.perf_counter() - row.begun, names=row.text.names,
    )  # fmt: skip
    return Completion(answer, Session((), 0, concepts=request.everyone, turns=len(request.history) + 1))
