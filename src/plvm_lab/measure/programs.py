"""Commands at the prompt and a server, each a process of its own, beside a script that does the same with transformers alone."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plvm.client import Client, picture_part
from plvm.families import FOLDER
from plvm_lab.measure.asking import Bench, Row
from plvm_lab.measure.in_turn import Ways, in_turn, ratios
from plvm_lab.measure.naive import naive_way
from plvm_lab.measure.subjects import pictures

PLVM = "from plvm.cli.program import run; run()"
NAIVE = """
import sys
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer
folder, picture, question = sys.argv[1:]
model, tokenizer = AutoModelForImageTextToText.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
image = "<image>" * model.config.image_seq_length
words = tokenizer(f"USER:{image}\\n{question} ASSISTANT:", return_tensors="pt", return_token_type_ids=False)
pixels = AutoImageProcessor.from_pretrained(folder)(images=Image.open(picture).convert("RGB"), return_tensors="pt")
print(tokenizer.decode(model.generate(**words, **pixels, max_new_tokens=16)[0]))
"""
ASKED = "Where is <billie>?"


def bench_start(environment: Mapping[str, str], rounds: int = 3, seed: int = 0) -> Iterator[Row]:
    """A question at the prompt, from the start of its process to its end: with the model loaded for it (`ours`), through a
    running server (`served`), and by a script that loads the same backbone with transformers and knows nobody (`naive`);
    `import` is that of torch and transformers alone. A unit is a command; `environment` is that of the processes."""
    with a_home(environment, seed) as home, home.server() as (address, _):
        ask = (PLVM, "ask", home.picture, ASKED)
        ways = {
            "ours": (lambda: home.process(*ask), 1),
            "served": (lambda: home.process(*ask, "--server", address), 1),
            "naive": (lambda: home.process(NAIVE, str(FOLDER / "mini" / "backbone"), home.picture, ASKED), 1),
            "import": (lambda: home.process("import torch, transformers"), 1),
        }
        times = in_turn(ways, rounds)
        yield {"unit": "command", "times": times, **ratios(times), "over_import": ratios(times, "import", "ours")}


def bench_serve(bench: Bench, environment: Mapping[str, str], clients: Sequence[int] = (1, 16)) -> Iterator[Row]:
    """A server's answers to so many clients at once, all about a picture that it knows; a unit is an answer. The naive way is
    `generate` in this process, one request after the other. `memory` is the server's, in bytes, None where the system does not
    tell."""
    vlm, album = bench.vlm, pictures(1, 480, bench.seed)
    billie = vlm.enroll("billie", *album)
    naive = naive_way(vlm, [billie])
    request = vlm.engine.requests([(album[0], ASKED, [billie])], strict_names=True, namespace="bench")[0]
    prompt = naive.prompt(album[0], naive.own(bench.suffix(request), [0]))
    words = max(1, vlm.ask(album[0], ASKED, [billie]).new_tokens)
    with a_home(environment, bench.seed) as home, home.server() as (address, pid), Client(address) as client:
        content = [picture_part(home.picture), {"type": "text", "text": ASKED}]
        messages = [{"role": "user", "content": content}]
        for count in clients:
            with ThreadPoolExecutor(count) as threads:
                at_once = partial(threads.map, lambda _: client.ask(messages))
                ways: Ways = {
                    "ours": (lambda a=at_once, n=count: list(a(range(n))), count),  # type: ignore[misc]
                    "naive": (lambda: naive.answer(album[0], prompt, words), 1),
                }
                times = in_turn(ways, bench.rounds)
            ratio = ratios(times)["ratio"]  # what the server computes is not counted as this process's
            yield {"clients": count, "unit": "answer", "times": times, "ratio": ratio, "bytes": {"memory": resident(pid)}}


@dataclass(frozen=True)
class Home:
    """A folder with a picture, and with a store in which it is billie's; `environment` is that of the processes."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def picture(self) -> str:
        """The path of the picture."""
        return str(self.folder / "picture.png")

    def process(self, code: str, *words: str) -> None:
        """A Python process, from its start to its end."""
        subprocess.run([sys.executable, "-c", code, *words], env=self._own, check=True, capture_output=True)

    @contextmanager
    def server(self) -> Iterator[tuple[str, int]]:
        """`plvm serve`: its address and its process id."""
        words = [sys.executable, "-c", PLVM, "serve", "--port", "0"]
        server = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=self._own)
        try:
            assert server.stderr is not None
            told = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in server.stderr)
            yield next(found[0] for found in told if found), server.pid
        finally:
            server.terminate()
            server.wait(60)

    @property
    def _own(self) -> dict[str, str]:
        return {**self.environment, "PLVM_HOME": str(self.folder)}


@contextmanager
def a_home(environment: Mapping[str, str], seed: int) -> Iterator[Home]:
    """A home for as long as it is measured."""
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name), environment)
        pictures(1, 480, seed)[0].save(home.picture)
        home.process(PLVM, "add", "billie", home.picture)
        yield home


def resident(pid: int) -> int | None:
    """How much memory a process has, in bytes; None where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return 1024 * int(found[1]) if found else None
