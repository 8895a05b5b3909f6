"""Homes behind one server do not notice each other: neither in answers, nor in the work that an answer costs."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest

from plvm.engine import engine
from plvm.engine.decoding import Completion, Decoding
from plvm.engine.prefix import digest_of
from plvm.personal import Personal
from plvm.server import service as of_service
from plvm.server.chat_routes import question_of
from plvm.server.chat_schema import ChatRequest
from plvm.server.service import Service
from plvm.store import ConceptStore
from plvm.store.database import Database
from plvm.types import SamplingParams
from serving import asked, part, uri
from serving import service as service
from toys import picture

HOMES = ("red", "blue")
SHORT = SamplingParams(max_tokens=12)


def move_in(service: Service) -> dict[str, Any]:
    """Somebody else is called billie in each home."""
    return {
        home: service.store(home).add(service.vlm.enroll("billie", picture(20 + i))) for i, home in enumerate(HOMES)
    }


def told(service: Service, homes: list[str], body: dict[str, Any]) -> list[Completion]:
    """What each of `homes` gets for the same request, all at once."""

    async def answer(home: str) -> Completion:
        question = question_of(service, home, ChatRequest.model_validate(body))
        done = [what async for what in service.answer(question)][-1]
        assert isinstance(done, Completion)
        return done

    async def all_at_once() -> list[Completion]:
        waiting = [asyncio.create_task(answer(home)) for home in homes]
        while service.worker.waiting < len(homes):
            await asyncio.sleep(0.01)
        service.worker.start()
        return await asyncio.gather(*waiting)

    try:
        return asyncio.run(all_at_once())
    finally:
        service.worker.stop()
        service.worker._stopping = False


def test_one_name_in_two_homes_is_two_people_in_one_batch(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    people = move_in(service)
    joined: list[int] = []
    join = Decoding.join
    monkeypatch.setattr(Decoding, "join", lambda self, r, p: (joined.append(len(r)), join(self, r, p))[1])
    homes = list(HOMES) * 4
    answers = told(service, homes, asked("Where is billie?"))
    assert joined == [8], "one batch"
    alone = {h: service.vlm.ask(picture(1), "Where is <billie>?", [people[h]], SHORT).text for h in HOMES}
    assert alone["red"] != alone["blue"], "else nothing could be noticed"
    assert [a.answer.text for a in answers] == [alone[home] for home in homes]


class Work:
    """Counts what is done: pictures decoded, pictures looked at, references encoded, tokens of prompts computed."""

    def __init__(self, vlm: Personal, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vlm, self.decoded, self.looked, self.encoded = vlm, 0, 0, 0
        self.together: list[int] = []  # pictures that were looked at side by side
        opened, compute, features = of_service.opened, engine.compute_prefixes, vlm.encoder.features_and_glance

        def counted_open(*words: Any) -> Any:
            self.decoded += 1
            return opened(*words)

        def counted_look(backbone: Any, prompt: Any, images: Any, **more: Any) -> Any:
            self.looked += len(images)
            self.together += [len(images)] if images else []
            return compute(backbone, prompt, images, **more)

        def counted_encode(pixels: Any) -> Any:
            self.encoded += len(pixels)
            return features(pixels)

        monkeypatch.setattr(of_service, "opened", counted_open)
        monkeypatch.setattr(engine, "compute_prefixes", counted_look)
        monkeypatch.setattr(vlm.encoder, "features_and_glance", counted_encode)

    def of(self, service: Service, homes: list[str], body: dict[str, Any]) -> tuple[int, ...]:
        """(decoded, looked at, encoded, tokens computed) for a request of `homes`."""
        before = self.decoded, self.looked, self.encoded, self.vlm.backbone.tokens_computed
        told(service, homes, body)
        after = self.decoded, self.looked, self.encoded, self.vlm.backbone.tokens_computed
        return tuple(b - a for a, b in zip(before, after, strict=True))


def test_what_one_home_has_asked_saves_another_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal work takes equal time: so nobody can find out from how long an answer takes what others asked."""
    move_in(service)
    said = [{"role": "user", "content": [part(1), {"type": "text", "text": "Who?"}]}, {"role": "assistant", "content": "A hat."}]
    guests = [{"name": "zoe", "images": [uri(picture(7))]}]
    body = asked("Where is billie? And zoe?", None, concepts=guests)
    body["messages"] = [*said, *body["messages"]]
    work = Work(service.vlm, monkeypatch)
    first = work.of(service, ["red"], body)
    assert first[:3] == (1, 1, 1), "everything is new"
    assert work.of(service, ["blue"], body) == first, "to another home it is just as new"
    again = work.of(service, ["red"], body)
    assert again[:3] == (0, 0, 0) and again[3] < first[3], "only who asked before has less to wait for"


@pytest.mark.slow
def test_how_long_a_home_waits_does_not_tell_what_another_has_asked(service: Service) -> None:
    """Of pairs of pictures another home has asked about one. By the seconds of CPU that they take nobody can tell which, though a
    home can of its own."""
    wilcoxon = pytest.importorskip("scipy.stats").wilcoxon
    move_in(service)
    draw, trials = random.Random(0), 60

    def cost(home: str, seed: int) -> tuple[float, int]:
        """Seconds of CPU, and tokens that were computed."""
        before = service.vlm.backbone.tokens_computed
        begun = time.process_time()
        told(service, [home], asked("Where is billie?", seed, max_tokens=1))
        return time.process_time() - begun, service.vlm.backbone.tokens_computed - before

    cost("blue", 99)  # what the first question of all costs
    costs: dict[str, list[float]] = {"seen by another": [], "new": [], "seen": []}
    for trial in range(trials):
        seeds = {"seen by another": 100 + 2 * trial, "new": 101 + 2 * trial}
        cost("red", seeds["seen by another"])
        computed = set()
        for which in draw.sample(list(seeds), 2):
            seconds, tokens = cost("blue", seeds[which])
            costs[which].append(seconds)
            computed.add(tokens)
        assert len(computed) == 1, "as many tokens for one as for the other"
        costs["seen"].append(cost("blue", seeds["new"])[0])
    assert wilcoxon(costs["seen by another"], costs["new"]).pvalue > 1e-4
    assert wilcoxon(costs["seen"], costs["new"], alternative="less").pvalue < 1e-4, "else this test would notice nothing"


def test_side_by_side_each_home_has_its_own_work_done(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    move_in(service)
    body = asked("Where is zoe?", concepts=[{"name": "zoe", "images": [uri(picture(7))]}])
    work = Work(service.vlm, monkeypatch)
    assert work.of(service, list(HOMES) * 2, body)[:3] == (4, 2, 2)
    assert work.together == [2], "in one go, and yet each its own"


def test_what_another_process_forgets_leaves_the_memory_of_this_one(service: Service, tmp_path: Path) -> None:
    move_in(service)
    service.follow()
    for home in HOMES:
        told(service, [home], asked("Where is billie?", concepts=[{"name": "zoe", "images": [uri(picture(7))]}]))
    look, digest = service.vlm.engine.prefixes.get, digest_of(picture(1))
    service.follow()
    assert all(look(home, digest) is not None for home in HOMES) and len(service.visitors) == 2
    before = [service.sessions.forgotten(home) for home in HOMES]
    with Database.open(tmp_path / "concepts.db") as other:
        ConceptStore(other, namespace="red").forget("billie")
    service.follow()
    assert look("red", digest) is None and look("blue", digest) is not None
    assert len(service.visitors) == 1 and [service.sessions.forgotten(home) for home in HOMES] == [before[0] + 1, before[1]]


def test_who_is_forgotten_leaves_no_byte_in_the_store_nor_a_trace_in_memory(service: Service, tmp_path: Path) -> None:
    move_in(service)
    kept = service.store("red").get("billie")
    secrets = [kept.references[0][200:240], kept.tokens.context.numpy().tobytes()[:64]]
    told(service, ["red"], asked("Where is billie?"))
    service.vlm.look(kept.references[0], namespace="red")
    assert service.vlm.engine.prefixes.get("red", digest_of(picture(20))) is not None

    def found() -> list[bool]:
        data = b"".join(file.read_bytes() for file in tmp_path.glob("concepts.db*"))
        return [secret in data for secret in secrets]

    assert found() == [True, True]
    service.forget("red", "billie")
    assert found() == [False, False]
    assert service.sessions.forget("red") == 0 and len(service.store("blue").names()) == 1
    assert service.vlm.engine.prefixes.get("red", digest_of(picture(20))) is None
