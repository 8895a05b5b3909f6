"""`/v1/chat/completions`: a question about a picture, answered whole or as a stream."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from plvm.choosing import CROWD, names_in
from plvm.engine.decoding import Completion
from plvm.errors import PlvmError, UnknownConceptError
from plvm.naming.display import resolve
from plvm.naming.mentions import marked
from plvm.server.caller import caller_of
from plvm.server.chat_schema import AssistantMessage, ChatRequest, ChatResponse, Choice, Ours, TokenDetails, Usage
from plvm.server.errors_schema import ErrorResponse, body_of
from plvm.server.messages import Dialogue, Guest, Part, dialogue_of, merged
from plvm.server.question import Question, first_words
from plvm.server.refusals import Refusal, refusal_of
from plvm.server.service import Service
from plvm.types import Concept, SamplingParams

router = APIRouter(tags=["chat"])
Caller = Annotated[str, Depends(caller_of)]
DEFAULT_TOKENS = 64
ENDS = {"end": "stop", "stop": "stop", "length": "length"}


@router.post(
    "/v1/chat/completions",
    response_model=ChatResponse,
    responses={"4XX": {"model": ErrorResponse}, "5XX": {"model": ErrorResponse}},
)
async def complete_chat(body: ChatRequest, request: Request, namespace: Caller) -> Any:
    """Answer the last question of a dialogue. Names in any message stand for the caller's concepts; with `stream` the answer
    comes as server-sent events."""
    service: Service = request.app.state.service
    service.check_model(body.model)
    try:
        reply = _Reply(service, await asyncio.to_thread(question_of, service, namespace, body), body)
        return await (_streamed(reply) if body.stream else _whole(reply, request))
    except UnknownConceptError as error:  # a mistake in the question, not in the address
        raise Refusal(400, "unknown_concept", error.message, error.hint) from None


def question_of(service: Service, namespace: str, body: ChatRequest) -> Question:
    """The question in a request, with everything it needs but the model. Raises Refusal, PlvmError."""
    if body.logprobs and not service.vlm.engine.local:
        hint = "Leave them out, or ask a server that computes the model itself."
        raise Refusal(400, "unsupported_value", "A model behind vLLM has no logprobs of names.", hint, param="logprobs")
    dialogue = dialogue_of([m.read(i) for i, m in enumerate(body.messages)])
    guests = merged(dialogue.guests, [_guest(i, g) for i, g in enumerate(body.concepts) if not isinstance(g, str)])
    limits = service.limits
    pictures = sum(len(g.pictures) for g in guests) + (dialogue.picture is not None)
    for what, count, most in (("people", len(guests), limits.people), ("pictures", pictures, limits.pictures)):
        if count > most:
            raise Refusal(400, f"too_many_{what}", f"{count} {what} come with this request; {most} may.", "Send fewer.")
    params = params_of(body, limits.tokens)
    stored, named = _people(service, namespace, dialogue, [n for n in body.concepts if isinstance(n, str)], bool(guests))
    visitors = [service.visitor(namespace, g.name, [(p.picture or "", p.where) for p in g.pictures]) for g in guests]
    shown = dialogue.picture
    picture = None if shown is None else service.seen(namespace, shown.picture or "", shown.where)
    return Question(
        namespace, dialogue.question, picture, params, dialogue.said, stored, named, visitors,
        strict_names=body.strict_names, words=body.names == "words",
    )  # fmt: skip


def params_of(body: ChatRequest, most: int) -> SamplingParams:
    """How the answer is chosen; greedy where nothing is said. Raises RequestError."""
    wanted = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    stop = [body.stop] if isinstance(body.stop, str) else body.stop or []
    if len(stop) > 4:
        raise Refusal(400, "invalid_value", f"{len(stop)} stop strings are too many.", "Give at most 4.", param="stop")
    return SamplingParams(
        temperature=body.temperature if body.temperature is not None else 0.0,
        top_p=body.top_p if body.top_p is not None else 1.0,
        max_tokens=min(wanted if wanted is not None else DEFAULT_TOKENS, most),
        stop=tuple(stop),
        seed=body.seed,
    )


def _guest(number: int, guest: Any) -> Guest:
    where = f"concepts[{number}].images"
    return Guest(guest.name, tuple(Part(picture=image, where=f"{where}[{i}]") for i, image in enumerate(guest.images)))


def _people(
    service: Service, namespace: str, dialogue: Dialogue, wanted: list[str], guests: bool
) -> tuple[list[Concept], list[str]]:
    """The stored concepts that may be in the prompt, and the words of those that the question or the request names. Whoever was
    named earlier may be there, too; where nobody is named now and nobody comes with the request, everybody may."""
    must: list[str] = []

    def choice(people: Mapping[str, str]) -> list[str] | None:
        def named(text: str) -> list[str]:
            return [name for name in names_in(marked(text, people)) if name in people]

        must.extend(dict.fromkeys([*(resolve(name, people) or name for name in wanted), *named(dialogue.question)]))
        if not must and not guests and (dialogue.picture is not None or len(people) <= CROWD):
            return None
        return [*must, *(name for question, _ in dialogue.said for name in named(question))]

    return service.store(namespace).chosen(choice, aligner=service.vlm.fingerprint), must


class _Reply:
    """What is said about one answer, whole or in pieces."""

    def __init__(self, service: Service, question: Question, body: ChatRequest) -> None:
        self.service, self.question, self.body = service, question, body
        id, now = f"chatcmpl-{secrets.token_hex(12)}", int(time.time())
        self.head: dict[str, Any] = {"id": id, "created": now, "model": service.name}

    def finish(self, done: Completion) -> Any:
        return ENDS[done.answer.finish]

    def usage(self, done: Completion) -> Usage:
        answer = done.answer
        return Usage(
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.new_tokens,
            total_tokens=answer.prompt_tokens + answer.new_tokens,
            prompt_tokens_details=TokenDetails(cached_tokens=answer.prompt_tokens - answer.computed_tokens),
        )

    def ours(self, done: Completion) -> Ours:
        familiarity, unlike = self.service.vlm.familiarity, done.answer.unlike
        warning = familiarity.warning({"The picture": unlike}) if familiarity is not None else ""
        unread = [f"messages[{i}]" for i, m in enumerate(self.body.messages) if m.role in ("system", "developer")]
        return Ours(
            unlike=None if unlike is None else round(unlike, 3), warning=warning or None, names=list(done.answer.names),
            concepts=[c.name for c in self.question.concepts], ignored=unread,
        )  # fmt: skip

    def logprobs(self, done: Completion) -> dict[str, Any] | None:
        """The first token's chances, as OpenAI has those of all."""
        if not self.body.logprobs:
            return None
        words = first_words(self.service.vlm, self.question, done, self.body.top_logprobs or 0)
        chosen, *likeliest = [{"token": w, "logprob": p, "bytes": list(w.encode())} for w, p in words]
        return {"content": [{**chosen, "top_logprobs": likeliest}], "refusal": None}

    def whole(self, done: Completion) -> ChatResponse:
        message = AssistantMessage(content=self.question.shown(done.answer.text))
        choice = Choice(message=message, logprobs=self.logprobs(done), finish_reason=self.finish(done))
        return ChatResponse(**self.head, choices=[choice], usage=self.usage(done), plvm=self.ours(done))

    def piece(self, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return event({**self.head, "object": "chat.completion.chunk", "choices": [choice], **more})

    def last(self, done: Completion) -> str:
        text = self.piece({}, self.finish(done), self.logprobs(done), plvm=self.ours(done).model_dump())
        if self.body.stream_options is not None and self.body.stream_options.include_usage:
            usage = self.usage(done).model_dump()
            text += event({**self.head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        return text


def event(data: Any) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


async def _whole(reply: _Reply, request: Request) -> Any:
    """The answer in one piece; nothing more is computed once the caller has left."""
    answering = asyncio.create_task(_last_of(reply))
    try:
        while not (await asyncio.wait([answering], timeout=0.25))[0]:
            if await request.is_disconnected():
                break
        if not answering.done():
            return JSONResponse({}, 499)
        return Response(reply.whole(answering.result()).model_dump_json(), media_type="application/json")
    finally:
        answering.cancel()


async def _last_of(reply: _Reply) -> Completion:
    async with aclosing(reply.service.answer(reply.question, whole=True)) as told:  # type: ignore[type-var]
        async for what in told:
            if isinstance(what, Completion):
                return what
    raise AssertionError("an answer ended without a completion")


async def _streamed(reply: _Reply) -> Any:
    """The answer as events. What is refused before the first word is refused with its status."""
    told = reply.service.answer(reply.question)
    first = await anext(told)
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(reply, first, told), media_type="text/event-stream", headers=headers)


async def _events(reply: _Reply, first: str | Completion, told: AsyncIterator[str | Completion]) -> AsyncIterator[str]:
    try:
        yield reply.piece({"role": "assistant", "content": ""})
        what: str | Completion | None = first
        while what is not None:
            if isinstance(what, Completion):
                yield reply.last(what)
            else:
                yield reply.piece({"content": reply.question.shown(what)})
            what = await anext(told, None)
        yield "data: [DONE]\n\n"
    except PlvmError as error:
        yield event(body_of(refusal_of(error)))
    finally:
        with suppress(RuntimeError):
            await told.aclose()  # type: ignore[attr-defined]
