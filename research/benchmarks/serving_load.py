"""A server under load: many callers at once, each with people of its own, against one caller who asks one question at a time.

    python research/benchmarks/serving_load.py                  # research/results/serving_load.json: 64 callers, a minute
    python research/benchmarks/serving_load.py --seconds 10     # a short run

Everything goes over loopback to `plvm serve` with mini in a process of its own; callers are coroutines of this process. Every
caller has a key, and behind it two people who are called the same in all homes and are somebody else in each: an answer about
another home's people would differ. Callers ask three questions about a picture, as a dialogue, or one, then go on to the next
picture. No caller sees a picture twice, and nothing that is known of pictures crosses homes: each is looked at anew.

load     all callers at once, for `--seconds`. Told to come again (429), a caller does so after the time that it was told.
alone    the very same requests, each after the other, from one caller to a fresh server; its answers are compared with those
         under load, word by word.
computing   seconds of CPU that the server took, by its own clock: what does not depend on who else uses the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from plvm.images import encode_image
from plvm.server.keys import KeyFile
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

RUN = "from plvm.cli.program import run; run()"
CHAT, CONCEPTS = "/v1/chat/completions", "/v1/concepts"
PEOPLE = ("robin", "kim")
QUESTIONS = (
    "Where is robin?", "What is kim wearing?", "Who is in this picture?", "Describe the picture.", "What is robin doing?",
)  # fmt: skip
PICTURES = 96
OPTIONS = ("--batch", "32")
Reply = tuple[int, dict[str, str], bytes]  # status, headers, content
WAYS = {"dialogues": 3, "single questions": 1}  # questions about a picture


@dataclass
class Process:
    """A server of its own: where it listens, its keys, the operating system's view of it."""

    port: int
    keys: list[str]
    os: psutil.Process

    @property
    def computing(self) -> float:
        """Seconds of CPU so far."""
        times = self.os.cpu_times()
        return float(times.user + times.system)


@contextmanager
def a_server(homes: int) -> Iterator[Process]:
    """`plvm serve` with a key for every home and an empty store."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), new_keys(Path(folder), homes), OPTIONS) as server:
        yield server


def new_keys(folder: Path, homes: int) -> list[str]:
    """A key for every home."""
    file = KeyFile(folder / "keys.json")
    return [file.new(f"home-{i}") for i in range(homes)]


@contextmanager
def serving(folder: Path, keys: list[str], options: Sequence[str]) -> Iterator[Process]:
    """`plvm serve` with the keys and the store in a folder."""
    words = ["serve", "--port", "0", "--keys", str(folder / "keys.json"), "--store", str(folder / "concepts.db"), *options]
    server = subprocess.Popen([sys.executable, "-c", RUN, *words], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        told = next(found for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
        yield Process(int(told[1]), keys, psutil.Process(server.pid))
    finally:
        server.terminate()
        server.wait(60)


class Caller:
    """A connection of one home; opened again where the server, or we, closed it."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, method: str, path: str, body: Any = None, leave_after: float | None = None) -> Reply:
        """(status, headers, body) of a request; with `leave_after` seconds we are gone (status 0) where it is not there then."""
        data = b"" if body is None else json.dumps(body).encode()
        try:
            async with asyncio.timeout(leave_after):
                return await self._exchange(method, path, data)
        except TimeoutError:
            self.close()
            return 0, {}, b""
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return -1, {}, b""

    async def _exchange(self, method: str, path: str, data: bytes) -> Reply:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.key}\r\n"
        about = f"Content-Length: {len(data)}\r\nContent-Type: application/json\r\n\r\n"
        writer.write((head + about).encode() + data)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
        if headers.get("transfer-encoding") != "chunked":
            content = await reader.readexactly(int(headers.get("content-length", 0)))
        else:
            content = b""
            while size := int(await reader.readline(), 16):
                content += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), headers, content

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


@dataclass
class Told:
    """What came of requests: answers by (home, number), seconds of each, and how many had which other status."""

    answers: dict[tuple[int, int], str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)
    clock: float = 0.0
    computing: float = 0.0
    memory: int = 0

    def figures(self) -> dict[str, Any]:
        """As the result file has them."""
        own = sorted(self.seconds)
        at = {f"p{p}": own[min(len(own) - 1, len(own) * p // 100)] for p in (50, 95, 99)} if own else {}
        return {
            "answers": len(self.answers), "seconds": self.clock, "per_second": len(self.answers) / self.clock, **at,
            "computing_per_answer": self.computing / max(1, len(self.answers)), "memory_mib": self.memory / 2**20,
            "other_statuses": {str(k): n for k, n in self.others.items()},
        }  # fmt: skip


class World:
    """The pictures and people of all homes, ready to be sent."""

    def __init__(self, homes: int, seed: int) -> None:
        drawings = Drawings(portraits("val", seed))
        self.homes, names = homes, drawings.benchmark.names
        faces = [_uri(encode_image(drawings.reference(name, n))) for n in range(-(-2 * homes // len(names))) for name in names]
        self.people = [dict(zip(PEOPLE, faces[2 * home : 2 * home + 2], strict=True)) for home in range(homes)]
        self.pictures = [_uri(encode_image(drawings.query(i))) for i in range(min(PICTURES, len(drawings.benchmark.pictures)))]

    async def move_in(self, server: Process) -> None:
        """Enrol everybody."""
        for key, people in zip(server.keys, self.people, strict=False):
            caller = Caller(server.port, key)
            for name, face in people.items():
                status, _, told = await caller.send("POST", CONCEPTS, {"name": name, "images": [face]})
                assert status == 201, told
            caller.close()

    def asked(self, home: int, number: int, turns: int, said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Request `number` of a home: after what was `said` about the same picture, where it is not the first about it."""
        question = QUESTIONS[(home + number) % len(QUESTIONS)]
        content: Any = question
        if number % turns == 0:
            picture = self.pictures[(home + number // turns) % len(self.pictures)]
            content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": question}]
        return {"model": "mini", "messages": [*said, {"role": "user", "content": content}], "max_tokens": 48}

    async def ask(
        self, caller: Caller, home: int, turns: int, told: Told, more: Callable[[int], bool]
    ) -> None:
        """Ask one question after the other while `more(number)`."""
        said: list[Any] = []
        number = 0
        while more(number):
            if number % turns == 0:
                said = []
            body = self.asked(home, number, turns, said)
            begun = time.perf_counter()
            status, headers, content = await caller.send("POST", CHAT, body)
            if status != 200:
                told.others[status] += 1
                await asyncio.sleep(float(headers.get("retry-after", 1)))
                continue
            told.seconds.append(time.perf_counter() - begun)
            choice = json.loads(content)["choices"][0]
            told.answers[home, number] = f"{choice['message']['content']} [{choice['finish_reason']}]"
            said = [*body["messages"], {"role": "assistant", "content": choice["message"]["content"]}]
            number += 1


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


async def load(world: World, server: Process, turns: int, seconds: float) -> Told:
    """All homes at once."""
    told, began, before = Told(), time.perf_counter(), server.computing
    callers = [Caller(server.port, key) for key in server.keys]
    most = turns * len(world.pictures)

    def more(number: int) -> bool:
        return number < most and time.perf_counter() < began + seconds

    await asyncio.gather(*(world.ask(caller, home, turns, told, more) for home, caller in enumerate(callers)))
    told.clock, told.computing = time.perf_counter() - began, server.computing - before
    told.memory = server.os.memory_info().rss
    for caller in callers:
        caller.close()
    return told


async def alone(world: World, server: Process, turns: int, like: Told) -> Told:
    """The requests that `like` has answers to, one at a time."""
    counts = Counter(home for home, _ in like.answers)
    told, began, before = Told(), time.perf_counter(), server.computing
    for home, count in sorted(counts.items()):
        caller = Caller(server.port, server.keys[home])
        await world.ask(caller, home, turns, told, lambda n, count=count: n < count)  # type: ignore[misc]
        caller.close()
    told.clock, told.computing = time.perf_counter() - began, server.computing - before
    told.memory = server.os.memory_info().rss
    return told


def compared(world: World, turns: int, seconds: float) -> dict[str, Any]:
    """The figures of one way to ask."""
    with a_server(world.homes) as server:
        asyncio.run(world.move_in(server))
        many = asyncio.run(load(world, server, turns, seconds))
    with a_server(world.homes) as server:
        asyncio.run(world.move_in(server))
        one = asyncio.run(alone(world, server, turns, many))
    pairs = {key: (answer, one.answers.get(key)) for key, answer in many.answers.items()}
    other = [f"{key}: {under_load!r} / {alone!r}" for key, (under_load, alone) in pairs.items() if under_load != alone]
    load_figures, alone_figures = many.figures(), one.figures()
    errors = sum(n for status, n in (many.others + one.others).items() if status != 429)
    return {
        "load": load_figures, "alone": alone_figures, "errors": errors, "told_to_wait": many.others[429],
        "different_answers": len(other), "which": other[:20],
        "times_faster": load_figures["per_second"] / alone_figures["per_second"],
        "times_less_computing": alone_figures["computing_per_answer"] / load_figures["computing_per_answer"],
    }  # fmt: skip


def at_the_prompt(world: World) -> dict[str, Any]:
    """Seconds from the start of a process to its end: verbs that go through a server that is at rest."""
    found: dict[str, Any] = {}
    with a_server(1) as server, tempfile.TemporaryDirectory() as folder:
        asyncio.run(world.move_in(server))
        picture = Path(folder) / "picture.png"
        picture.write_bytes(base64.b64decode(world.pictures[0].partition(",")[2]))
        told = {"PLVM_SERVER": f"http://127.0.0.1:{server.port}", "PLVM_API_KEY": server.keys[0]}
        for words in (["list"], ["ask", str(picture), "Where is robin?"], ["recognize", str(picture)]):
            taken = []
            for _ in range(8):
                begun = time.perf_counter()
                subprocess.run([sys.executable, "-c", RUN, *words], env=os.environ | told, check=True, capture_output=True)
                taken.append(time.perf_counter() - begun)
            found[words[0]] = {"least": min(taken), "median": statistics.median(taken)}
    return found


def shown(figures: Mapping[str, Any]) -> Shown:
    """Load against alone, and verbs that go through a server."""
    rows = tuple(
        (way, f"{f['alone']['per_second']:.1f}", f"{f['load']['per_second']:.1f}", f"{f['times_faster']:.1f}",
         f"{f['times_less_computing']:.1f}", f"{f['load']['p50']:.2f} s", f"{f['load']['p95']:.2f} s",
         f"{f['load']['memory_mib']:,.0f} MiB", f"{f['errors']}", f"{f['different_answers']} of {f['load']['answers']:,}")
        for way, f in figures["ways"].items()
    )  # fmt: skip
    homes, cores = figures["homes"], figures["cores"]
    note = f"{homes} callers at once, people called the same in all homes, every picture new; {cores} cores for all of it."
    header = ("way", "alone, /s", "load, /s", "times", "times, computing", "p50", "p95", "memory", "errors", "different")
    verbs = tuple((verb, f"{t['least']:.2f} s", f"{t['median']:.2f} s") for verb, t in figures["at_the_prompt"].items())
    return Shown((
        Table("A server under load, against one question at a time", header, rows, note),
        Table("Verbs through a server, from the start of the process to its end", ("verb", "least", "median"), verbs),
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "serving_load.json")
    arguments = parser.parse_args()
    world = World(arguments.homes, arguments.seed)
    ways = {way: compared(world, turns, arguments.seconds) for way, turns in WAYS.items()}
    cores = len(os.sched_getaffinity(0))
    figures = {"homes": world.homes, "cores": cores, "ways": ways, "at_the_prompt": at_the_prompt(world)}
    write_result(arguments.out, arguments.seed, figures, shown(figures))


if __name__ == "__main__":
    main()
