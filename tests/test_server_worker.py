"""The model thread: who waits, who joins, who is sent away; and what its failure costs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from plvm.engine.decoding import Completion, Decoding
from plvm.engine.request import Request
from plvm.errors import PlvmError
from plvm.personal import Personal
from plvm.server.chat_routes import question_of
from plvm.server.chat_schema import ChatRequest
from plvm.server.limits import Limits
from plvm.server.refusals import Refusal
from plvm.server.worker import Job, Worker
from plvm.types import SamplingParams
from serving import a_service, asked, running, uri
from toys import picture

httpx2 = pytest.importorskip("httpx2")
openai = pytest.importorskip("openai")


class Told:
    """What a job told."""

    def __init__(self) -> None:
        self.text, self.end, self.over = "", None, threading.Event()  # type: ignore[var-annotated]

    def __call__(self, what: str | Completion | PlvmError | None) -> None:
        if isinstance(what, str):
            self.text += what
        else:
            self.end = what
            self.over.set()

    def wait(self) -> Any:
        assert self.over.wait(30)
        return self.end


def question(number: int, tokens: int = 12) -> Callable[[Personal], tuple[Request, SamplingParams]]:
    def run(vlm: Personal) -> tuple[Request, SamplingParams]:
        one = vlm.enroll(f"p{number}", picture(number + 10))
        (request,) = vlm.engine.requests(
            [(picture(number % 3), f"Where is <p{number}>?", [one])], strict_names=True, namespace="default"
        )
        return request, SamplingParams(max_tokens=tokens)

    return run


@pytest.fixture
def worker(vlm: Personal) -> Iterator[Worker]:
    found = Worker(vlm, batch=3, queue=20)
    yield found
    found.stop(5)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes a moment, so that a test can come in the middle."""
    step = Decoding.step
    monkeypatch.setattr(Decoding, "step", lambda self: (time.sleep(0.02), step(self))[1])


def test_who_wants_a_whole_answer_is_not_woken_for_its_pieces(vlm: Personal, tmp_path: Path) -> None:
    service = a_service(vlm, tmp_path)

    async def told(**how: bool) -> list[Any]:
        question = question_of(service, "default", ChatRequest.model_validate(asked("What is there?")))
        return [what async for what in service.answer(question, **how)]

    service.worker.start()
    try:
        (*pieces, done), whole = asyncio.run(told()), asyncio.run(told(whole=True))
    finally:
        service.worker.stop()
    assert "".join(pieces) == done.answer.text != ""
    assert [what.answer.text for what in whole] == [done.answer.text]


def test_answers_side_by_side_are_those_alone(worker: Worker, vlm: Personal) -> None:
    told = [Told() for _ in range(8)]
    for i, one in enumerate(told):
        worker.submit(Job(question(i), one, 60))
    worker.start()
    for i, one in enumerate(told):
        done = one.wait()
        alone = vlm.engine.answer([question(i)(vlm)[0]], SamplingParams(max_tokens=12))[0]
        assert one.text == done.answer.text == alone.text
    assert worker.waiting == worker.writing == 0


def test_a_full_queue_refuses_and_says_when_to_come_again(vlm: Personal) -> None:
    worker = Worker(vlm, batch=1, queue=2)
    for _ in range(2):
        worker.submit(Job(question(0), Told(), 60))
    with pytest.raises(Refusal) as refused:
        worker.submit(Job(question(0), Told(), 60))
    assert refused.value.status == 429 and refused.value.retry_after >= 1


@pytest.mark.usefixtures("slow")
def test_who_leaves_is_not_written_for_any_more(worker: Worker) -> None:
    worker.start()
    told = Told(), Told()
    jobs = [Job(question(i, 40), t, 60) for i, t in enumerate(told)]
    for job in jobs:
        worker.submit(job)
    while worker.writing < 2:
        time.sleep(0.005)
    worker.leave(jobs[0])
    assert isinstance(told[1].wait(), Completion) and not told[0].over.is_set()
    assert worker.writing == 0


@pytest.mark.usefixtures("slow")
def test_who_takes_too_long_is_told_so(worker: Worker) -> None:
    worker.start()
    late, good = Told(), Told()
    worker.submit(Job(question(0, 60), late, 0.3))
    worker.submit(Job(question(1, 5), good, 60))
    assert late.wait().status == 504 and isinstance(good.wait(), Completion)


@pytest.mark.usefixtures("slow")
def test_a_failure_of_the_model_ends_what_it_wrote_and_nothing_else(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.start()
    hit = [Told() for _ in range(3)]
    for i, one in enumerate(hit):
        worker.submit(Job(question(i, 60), one, 60))
    waiting = Told()
    worker.submit(Job(question(4), waiting, 60))
    while worker.writing < 3:
        time.sleep(0.005)
    step = Decoding.step

    def fails(self: Decoding) -> Any:
        monkeypatch.setattr(Decoding, "step", step)
        raise MemoryError

    monkeypatch.setattr(Decoding, "step", fails)
    assert [one.wait().status for one in hit] == [500] * 3
    assert isinstance(waiting.wait(), Completion) and worker.restarts == 1


@pytest.mark.usefixtures("slow")
def test_stopping_finishes_what_was_taken(worker: Worker) -> None:
    worker.start()
    told = [Told() for _ in range(5)]
    for i, one in enumerate(told):
        worker.submit(Job(question(i), one, 60))
    assert worker.stop(30)
    assert all(isinstance(one.end, Completion) for one in told)
    with pytest.raises(Refusal, match="stopping"):
        worker.submit(Job(question(0), Told(), 60))


@pytest.mark.usefixtures("slow")
def test_a_client_that_leaves_in_the_middle_costs_no_more_tokens(vlm: Personal, tmp_path: Path) -> None:
    service = a_service(vlm, tmp_path)
    with running(service) as address:
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
        body = {**asked("Who is here?"), "max_tokens": 400}
        stream = client.chat.completions.create(**body, stream=True)
        next(iter(stream))
        stream.close()
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(**body, timeout=0.4)
        since = time.monotonic()
        while service.worker.writing and time.monotonic() - since < 10:
            time.sleep(0.05)
        assert service.worker.writing == 0 and service.worker.tokens == 0


@pytest.mark.usefixtures("slow")
def test_many_clients_at_once_get_their_own_answers_or_are_told_to_come_again(vlm: Personal, tmp_path: Path) -> None:
    service = a_service(vlm, tmp_path, limits=Limits(batch=4, queue=2))
    with running(service) as address, httpx2.Client(base_url=address, timeout=60) as http:

        def ask(number: int) -> Any:
            guest = {"name": f"p{number}", "images": [uri(picture(number + 10))]}
            return http.post("/v1/chat/completions", json=asked(f"Where is p{number}?", number % 3, concepts=[guest]))

        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(12)))
        assert {a.status_code for a in answers} == {200, 429}
        for number, answer in enumerate(answers):
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                continue
            alone = ask(number).json()
            assert json.dumps(alone["choices"]) == json.dumps(answer.json()["choices"])
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=8)
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda _: client.chat.completions.create(**asked("Who?")).choices[0].message.content, range(8)))
        assert len(set(told)) == 1, "the client comes again by itself"
