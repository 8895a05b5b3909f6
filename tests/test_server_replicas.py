"""Two replicas behind one address are one server: the same answers, the same people, the same files, also when one is killed."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import postgres
from family import write_family
from pictures import encoded
from plvm.personal import load
from plvm.server.refusals import Refusal
from plvm.server.service import Service
from plvm.store.database import Database
from serving import asked, running, uri
from toys import picture

httpx2 = pytest.importorskip("httpx2")
psutil = pytest.importorskip("psutil")
serve = pytest.importorskip("ray.serve", reason="Ray Serve is not installed: nothing is known here about replicas")
PEOPLE = {"billie": 5, "avril": 6, "zoe": 7}
QUESTIONS = ["Who is in the picture?", "What is billie doing?", "Where are avril and zoe?"]


@dataclass
class Replicas:
    """A running `plvm serve --ray`, and the model and the store behind it."""

    process: Any
    http: Any
    family: Path
    store: str

    def asked(self, question: str, seed: int | None) -> Any:
        """The body of a request."""
        return asked(question, seed, model=self.family.name)

    def workers(self) -> dict[int, Any]:
        """The processes of the replicas, by their number."""
        found = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                if "ServeReplica" in " ".join(process.cmdline()):
                    found[process.pid] = process
        return found

    def counts(self, route: str) -> dict[str, float]:
        """What every replica has answered at `route`, as soon as both told it."""
        told: dict[str, float] = {}
        until = time.monotonic() + 120
        while len(told) < 2 and time.monotonic() < until:
            for labels, count in re.findall(r"plvm_requests_total{(.*)} (\S+)", self.http.get("/metrics").text):
                if f'route="{route}",status="200"' in labels.replace(", ", ","):
                    told[re.search('replica="(.*?)"', labels)[1]] = float(count)  # type: ignore[index]
        return told


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory, server: postgres.Server) -> Iterator[Replicas]:
    server.empty()
    family = write_family(tmp_path_factory.mktemp("replicas"))
    command = [
        sys.executable, "-c", "from plvm.cli.program import run; run()", "serve", "--ray", "--replicas", "2", "--port", "0",
        "--model", str(family), "--store", server.url, "--device", "cpu", "--per-minute", "1000000",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PLVM_HOME": str(family.parent / "home")}
    log = family.parent / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stderr=errors, env=environment, cwd=family.parent)
    try:
        until = time.monotonic() + 500
        while (told := re.search(r"the API at (http://127\.0\.0\.1:\d+)/v1", log.read_text())) is None:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        with httpx2.Client(base_url=told[1], timeout=120) as http:
            for name, seed in PEOPLE.items():
                assert http.post("/v1/concepts", json={"name": name, "images": [uri(picture(seed))]}).status_code == 201
            yield Replicas(process, http, family, server.url)
        process.send_signal(signal.SIGINT)
        assert process.wait(90) in (0, 130) and "Traceback" not in log.read_text(), log.read_text()
        assert len(log.read_text().splitlines()) == 1, "Ray is heard on the terminal: " + log.read_text()
    finally:
        process.kill()


def told(http: Any, body: Any) -> tuple[str, list[str]]:
    """The text of an answer, and who was in its prompt."""
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"], answer.json()["plvm"]["concepts"]


@pytest.mark.slow
def test_their_answers_are_those_of_one_process(replicas: Replicas) -> None:
    cases = [replicas.asked(question, seed) for question in QUESTIONS for seed in (1, 2, 3)]
    there = [told(replicas.http, case) for case in cases * 2]
    one = Service(load(replicas.family), Database.open(replicas.store), name=replicas.family.name)
    with running(one) as address, httpx2.Client(base_url=address, timeout=60) as http:
        here = [told(http, case) for case in cases]
    assert there == here * 2 and len({text for text, _ in here}) > 1
    counts = replicas.counts("/v1/chat/completions")
    assert len(counts) == 2 and min(counts.values()) > 0, "both have answered"


@pytest.mark.slow
def test_what_one_was_given_the_other_has(replicas: Replicas) -> None:
    http = replicas.http
    assert http.post("/v1/concepts", json={"name": "ruth", "images": [uri(picture(9))]}).status_code == 201
    file = http.post("/v1/files", files={"file": ("a.png", encoded(picture(1), "PNG"), "image/png")}).json()["id"]
    by_id = replicas.asked("Is ruth here?", None)
    by_id["messages"][0]["content"].append({"type": "image_url", "image_url": {"url": file}})
    for _ in range(12):
        assert http.get("/v1/concepts/ruth").status_code == 200
        assert http.post("/v1/chat/completions", json=by_id).json()["plvm"]["concepts"] == ["ruth"]
    for route in ("/v1/concepts/{name}", "/v1/chat/completions"):
        assert len(replicas.counts(route)) == 2, "both were asked"
    assert http.delete(f"/v1/files/{file}").status_code == http.delete("/v1/concepts/ruth").status_code == 200
    for _ in range(12):
        assert http.get(f"/v1/files/{file}").json()["error"]["code"] == "file_not_found"
        assert http.get("/v1/concepts/ruth").status_code == 404


@pytest.mark.slow
def test_of_one_that_is_killed_only_what_it_was_answering_fails(replicas: Replicas) -> None:
    bodies = [replicas.asked(QUESTIONS[1], seed) for seed in (1, 2, 3)]
    expected = [told(replicas.http, body) for body in bodies]
    before, done, over = set(replicas.workers()), list[tuple[float, float, int, bool]](), threading.Event()
    assert len(before) == 2

    def ask(number: int) -> None:
        with httpx2.Client(base_url=replicas.http.base_url, timeout=120) as http:
            while not over.is_set():
                begun = time.monotonic()
                answer = http.post("/v1/chat/completions", json=bodies[number % 3])
                right = answer.status_code == 200 and answer.json()["choices"][0]["message"]["content"] == expected[number % 3][0]
                done.append((begun, time.monotonic(), answer.status_code, right))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for client in clients:
        client.start()
    try:
        while len(done) < 12:
            time.sleep(0.01)
        killed, victim = time.monotonic(), before.pop()
        os.kill(victim, signal.SIGKILL)
        until = killed + 120
        while len(now := set(replicas.workers()) - {victim}) < 2 and time.monotonic() < until:
            time.sleep(0.2)
    finally:
        over.set()
        for client in clients:
            client.join()
    failed = [(begun - killed, end - killed, status) for begun, end, status, right in done if not right]
    assert all(begun < 0 for begun, _, _ in failed) and len(failed) <= len(clients), failed
    assert sum(begun > killed for begun, *_ in done) > len(clients), "the other one goes on alone"
    assert len(now) == 2 and before < now and len(replicas.counts("/metrics")) == 2, "another one takes its place"
    assert [told(replicas.http, body) for body in bodies] == expected


def test_a_refusal_comes_whole_out_of_another_process() -> None:
    refusal = Refusal(429, "busy", "As many wait as can.", "Try again.", param="file", retry_after=3)
    again = copy.copy(refusal)  # by what a pickle is made of, too
    assert vars(again) == vars(refusal) and str(again) == str(refusal)


def test_what_does_not_end_in_time_does_not_start_ray_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question after `ray.shutdown` starts a new cluster, which the process then cannot end."""
    from plvm.server import replicas

    told = list[str]()
    monkeypatch.setattr(replicas.serve, "delete", lambda name, **_: told.append("delete"))
    still = type("Status", (), {"applications": {replicas.NAME: "DELETING"}})
    monkeypatch.setattr(replicas.serve, "status", lambda: (told.append("status"), still)[1])
    monkeypatch.setattr(replicas.ray, "shutdown", lambda: told.append("shutdown"))
    replicas._end(0.35)
    time.sleep(0.3)
    assert told[0] == "delete" and "status" in told and told[-1] == "shutdown", told
