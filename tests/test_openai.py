"""An OpenAI-compatible endpoint, over real HTTP: a server that is busy, broken, cut off or silent is asked again, and a
run that stopped asks nothing twice."""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plvm.albums.retry_after import seconds
from plvm.errors import RequestError
from plvm_lab import endpoint as client
from plvm_lab.endpoint import Endpoint, Patience
from plvm_lab.evaluate.system import ABILITIES, Ask, Turn
from plvm_lab.systems import build_system, settings_of
from plvm_lab.systems.openai_api import letter_of
from plvm_lab.systems.paid_answers import PaidAnswers, Price

SECRET = "sk-very-secret"
Plan = Callable[[int, dict[str, Any]], str]  # number of the request, its body -> what the server does


class Server(ThreadingHTTPServer):
    """Answers as `plan` says; remembers who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: Plan = lambda number, body: "Yes."
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.bodies)
            self.server.bodies.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            what = self.server.plan(number, body)
        finally:
            with self.server.lock:  # before the answer is there: then the next question may come at once
                self.server.at_once -= 1
        self.act(what)

    def act(self, what: str) -> None:
        if what == "hang":
            time.sleep(1.5)
        elif what == "cut":  # half an answer, then the connection ends
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'{"choices": [{"mess')
        elif what == "drop":  # no answer at all
            self.close_connection = True
        elif what.startswith("status "):
            _, status, *more = what.split(" ")
            data = json.dumps({"error": {"message": f"no, {SECRET}", "code": more[0] if more else None}}).encode()
            self.send_response(int(status))
            if status == "429":
                self.send_header("Retry-After", "0.2")
            if status == "302":
                self.send_header("Location", f"{self.server.url}/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            found = {
                "choices": [{"message": {"content": what}}],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 10},
            }
            data = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def endpoint(server: Server, folder: Path, **changes: Any) -> PaidAnswers:
    patience = Patience(**({"timeout": 0.5, "attempts": 5, "backoff": 0.01} | changes))
    return PaidAnswers(Endpoint(server.url, SECRET, patience), folder)


def asking(*words: str) -> list[dict[str, Any]]:
    return [{"model": "m", "messages": [{"role": "user", "content": w}]} for w in words]


def word(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]


@pytest.mark.parametrize("trouble", ["status 429", "status 500", "status 503", "cut", "drop", "hang", "not an answer"])
def test_what_is_busy_broken_cut_off_or_silent_is_asked_again(server: Server, tmp_path: Path, trouble: str) -> None:
    def plan(number: int, body: dict[str, Any]) -> str:
        return trouble if number < 2 else "Yes."

    server.plan = plan
    if trouble == "not an answer":
        server.plan = lambda number, body: "status 200" if number < 2 else "Yes."
    assert endpoint(server, tmp_path).complete(asking("a")) == ["Yes."]
    assert len(server.bodies) == 3


def test_it_waits_as_long_as_retry_after_says_and_else_twice_as_long_each_time(server: Server, tmp_path: Path) -> None:
    waits: list[float] = []
    patience = Patience(timeout=5, attempts=6, backoff=1.0, longest=3.0)
    asked = PaidAnswers(Endpoint(server.url, "", patience), tmp_path, sleep=waits.append)
    server.plan = lambda number, body: ("status 429", "status 500", "status 500", "status 500", "status 500", "Yes.")[
        number
    ]
    assert asked.complete(asking("a")) == ["Yes."]
    assert waits[0] == 0.2
    for wait, most in zip(waits[1:], (2, 3, 3, 3), strict=True):
        assert most / 2 <= wait <= most
    assert server.keys == [None] * 6, "no key, no header"


def test_a_retry_after_date_is_a_wait(server: Server) -> None:
    assert seconds("3", 60) == 3 and seconds("900", 60) == 60 and seconds("-1", 60) == 0
    assert (
        seconds("Wed, 21 Oct 2015 07:28:00 GMT", 60) == 0 and seconds("soon", 60) is None and seconds(None, 60) is None
    )


def test_a_server_that_stays_broken_ends_the_run_with_what_was_answered_kept(server: Server, tmp_path: Path) -> None:
    server.plan = lambda number, body: "status 500" if word(body) == "b" else "Yes."
    with pytest.raises(RequestError, match="no answer in 5 attempts") as error:
        endpoint(server, tmp_path, concurrency=1).complete(asking("a", "b", "c"))
    assert "kept" in error.value.hint
    server.plan = lambda number, body: "No."
    server.bodies.clear()
    assert endpoint(server, tmp_path).complete(asking("a", "b", "c"))[:2] == ["Yes.", "No."]
    assert "a" not in map(word, server.bodies)


def test_interrupted_and_resumed_it_asks_nothing_twice(server: Server, tmp_path: Path) -> None:
    words = [f"question {i}" for i in range(20)]
    first = endpoint(server, tmp_path, concurrency=3)

    def plan(number: int, body: dict[str, Any]) -> str:
        return "status 400" if number == 9 else f"to {word(body)}"

    server.plan = plan
    with pytest.raises(RequestError, match="400"):
        first.complete(asking(*words))
    server.plan = lambda number, body: f"to {word(body)}"
    assert endpoint(server, tmp_path).complete(asking(*words)) == [f"to {w}" for w in words]
    asked = Counter(map(word, server.bodies))
    assert set(asked) == set(words) and sum(asked.values()) == 21, "only the refused one was asked twice"
    endpoint(server, tmp_path).complete(asking(*words, *words))
    assert len(server.bodies) == 21


def test_no_more_questions_run_at_a_time_than_allowed(server: Server, tmp_path: Path) -> None:
    def plan(number: int, body: dict[str, Any]) -> str:
        time.sleep(0.03)
        return "Yes."

    server.plan = plan
    endpoint(server, tmp_path, concurrency=3, timeout=20).complete(asking(*map(str, range(12))))
    assert 1 < server.most_at_once <= 3


def test_it_stops_at_the_cost_limit_and_goes_on_when_that_is_raised(server: Server, tmp_path: Path) -> None:
    def costing(limit: float) -> PaidAnswers:
        patience = Patience(timeout=20, concurrency=1)
        return PaidAnswers(Endpoint(server.url, "", patience), tmp_path, Price(2.0, 50.0, limit))  # $0.0025 an answer

    words = list(map(str, range(8)))
    with pytest.raises(RequestError, match=r"limit is \$0\.01"):
        costing(0.01).complete(asking(*words))
    assert len(server.bodies) == 4
    again = costing(1.0)
    assert again.spent == pytest.approx(0.01), "what was spent before counts"
    again.complete(asking(*words))
    assert len(server.bodies) == 8 and again.spent == pytest.approx(0.02)


def test_the_key_goes_to_the_endpoint_alone(server: Server, tmp_path: Path) -> None:
    asked = endpoint(server, tmp_path)
    asked.complete(asking("a"))
    assert server.keys == [f"Bearer {SECRET}"]
    assert all(SECRET.encode() not in p.read_bytes() for p in tmp_path.rglob("*.json"))
    for status in ("401", "302"):
        server.plan = lambda number, body, status=status: f"status {status}"
        with pytest.raises(RequestError, match=status) as error:
            asked.complete(asking(status))
        assert SECRET not in str(error.value), "servers may repeat the key in their answer"
    assert len(server.bodies) == 3, "a redirect is not followed"


def test_a_filtered_question_is_an_answer_that_cannot_be_read(server: Server, tmp_path: Path) -> None:
    server.plan = lambda number, body: "status 400 content_filter"
    assert endpoint(server, tmp_path).complete(asking("a")) == [""]


# ---------------------------------------------------------------- the system


def a_system(server: Server, folder: Path, **options: Any) -> Any:
    return build_system("openai", None, url=server.url, model="m", key=SECRET, keep=folder, timeout=20, **options)


BLUE, RED = Image.new("RGB", (700, 600), "blue"), Image.new("RGB", (60, 50), "red")


def pictures_in(body: dict[str, Any]) -> list[Image.Image]:
    urls = [
        p["image_url"]["url"]
        for m in body["messages"]
        for p in m["content"]
        if isinstance(p, dict) and "image_url" in p
    ]
    assert all(u.startswith("data:image/jpeg;base64,") for u in urls)
    return [Image.open(io.BytesIO(base64.b64decode(u.partition(",")[2]))) for u in urls]


def words_in(body: dict[str, Any]) -> str:
    return " ".join(p.get("text", "") for m in body["messages"] for p in m["content"] if isinstance(p, dict))


def test_recognition_shows_reference_and_picture_and_reads_yes_and_no(server: Server, tmp_path: Path) -> None:
    def plan(number: int, body: dict[str, Any]) -> str:
        return {"billie": "Yes, it is.", "avril": "No.", "kai": "I cannot tell."}[
            words_in(body).split("<")[1].split(">")[0]
        ]

    server.plan = plan
    system = a_system(server, tmp_path)
    assert system.abilities == set(ABILITIES)
    known = [system.learn(name, RED) for name in ("billie", "avril", "kai")]
    np.testing.assert_array_equal(system.recognize([BLUE], known), [[1.0, 0.0, np.nan]])
    shown = pictures_in(server.bodies[0])
    assert [p.size for p in shown] == [(60, 50), (512, 439)] and "Answer with Yes or No" in words_in(server.bodies[0])
    assert system.bytes_of(known[0]) > 500 and server.bodies[0]["temperature"] == 0


def test_a_choice_is_a_letter_and_the_options_are_shown(server: Server, tmp_path: Path) -> None:
    system = a_system(server, tmp_path, reference="none", body={"max_tokens": None, "max_completion_tokens": 5})
    server.plan = lambda number, body: "(B)"
    known = (system.learn("billie", RED),)
    ask = Ask(BLUE, "Where is <billie>?", known, ("<billie> is here.", "<billie> is there."))
    np.testing.assert_array_equal(system.choose([ask])[0], [0, 1])
    assert "A. <billie> is here.\nB. <billie> is there." in words_in(server.bodies[0])
    assert len(pictures_in(server.bodies[0])) == 1
    assert "max_tokens" not in server.bodies[0] and server.bodies[0]["max_completion_tokens"] == 5


@pytest.mark.parametrize(
    ("said", "index"),
    [("B", 1), ("b", None), ("B.", 1), ("**B**", 1), ("The answer is B.", 1), ("Answer: A", 0), ("A woman.", None),
     ("C", None), ("", None), ("B) red hair", 1), ("Both", None)],
)  # fmt: skip
def test_a_letter_is_read_where_it_is_one(said: str, index: int | None) -> None:
    assert letter_of(said, 2) == index


def test_a_description_is_written_once_and_stands_in_every_question(server: Server, tmp_path: Path) -> None:
    server.plan = lambda number, body: "a red square" if number == 0 else "Yes"
    system = a_system(server, tmp_path, reference="description")
    known = system.learn("billie", RED)
    system.recognize([BLUE], [known])
    assert "16 words" in words_in(server.bodies[0]) and len(pictures_in(server.bodies[0])) == 1
    assert "<billie> is this person: a red square" in words_in(server.bodies[1])
    assert len(pictures_in(server.bodies[1])) == 1 and len(server.bodies) == 2


def test_a_dialogue_carries_its_earlier_turns_and_those_who_join(server: Server, tmp_path: Path) -> None:
    server.plan = lambda number, body: f"answer {number}"
    system = a_system(server, tmp_path)
    billie = system.learn("billie", RED)
    said = system.converse(BLUE, [Turn("What place is this?"), Turn("Is <billie> here?", (billie,))])
    assert said == ["answer 0", "answer 1"]
    assert [m["role"] for m in server.bodies[1]["messages"]] == ["user", "assistant", "user"]
    assert [p.size for p in pictures_in(server.bodies[1])] == [(512, 439), (60, 50)]


def test_an_endpoint_without_an_address_or_a_limit_without_prices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="needs an endpoint"):
        build_system("openai", None, keep=tmp_path)
    with pytest.raises(RequestError, match="needs prices"):
        build_system("openai", None, url="http://x/v1", model="m", max_cost=1.0, keep=tmp_path)
    with pytest.raises(RequestError, match="not the address"):
        build_system("openai", None, url="ftp://x", model="m", keep=tmp_path)


def test_every_setting_reaches_its_place(server: Server, tmp_path: Path) -> None:
    changed = {
        "url": server.url, "model": "m", "max_tokens": 5, "body": {"seed": 1}, "reference": "none", "references": 3,
        "words": 9, "side": 100, "timeout": 7.0, "attempts": 2, "backoff": 0.5, "longest": 9.0, "concurrency": 1,
        "max_cost": 4.0, "prompt_price": 1.0, "answer_price": 2.0,
    }  # fmt: skip
    assert set(settings_of("openai")) == set(changed), "what can be set is what a system has"
    assert settings_of("openai")["timeout"] == 120 and settings_of("openai")["reference"] == "picture"
    system: Any = build_system("openai", None, keep=tmp_path, **changed)
    groups = (system.access, system.introduction, system.endpoint.patience, system.answers.price)
    assert {k: v for group in groups for k, v in asdict(group).items()} == changed
    with pytest.raises(RequestError, match='no setting "time_out"') as caught:
        build_system("openai", None, time_out=3)
    assert "timeout" in str(caught.value)


def test_without_its_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(RequestError, match="needs httpx2 and tenacity") as caught:
        Endpoint("http://host/v1")
    assert "plvm[openai]" in caught.value.hint


@pytest.mark.parametrize("url", ["", "host/v1", "ftp://host", "http://", "http://[", "file:///etc/passwd"])
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(RequestError, match="not the address"):
        Endpoint(url, SECRET)


@pytest.mark.parametrize("key", ["two\nlines", "two\r\nHost: evil", "schlüssel"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(RequestError, match="not one line") as caught:
        Endpoint("http://host/v1", key)
    assert key not in str(caught.value)


def test_an_answer_without_an_end_is_not_read_to_the_end(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LONGEST_BODY", 1000)
    server.plan = lambda number, body: "Yes. " * 500
    with pytest.raises(RequestError, match="too long"):
        endpoint(server, tmp_path, attempts=2).complete(asking("a"))
    assert len(server.bodies) == 2
