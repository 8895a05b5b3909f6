"""Ours and the naive way in turn: starting, enrolling, scoring, dialogue, writing, serving. `plvm bench` measures a part.

    python research/benchmarks/speed.py             # the parts whose files are not there, about 15 minutes on two free cores
    python research/benchmarks/speed.py score chat  # these parts, again

    start      research/results/speed_start.json       mini
    enroll     research/results/speed_enroll.json      mini, photo and medium
    score      research/results/speed_score.json       the same; 64, 256 and 576 image tokens on small; 1 to 1,000 people
    chat       research/results/speed_chat.json        mini, photo and medium, turns 2 to 50
    generate   research/results/speed_generate.json    the same, 1 to 32 answers at a time
    serve      research/results/speed_serve.json       mini

medium and small have random weights: LLaVA-shaped, 308 and 57 million parameters in the layers of the language model. The naive
way is what one would write with plain transformers: every question a whole prompt, its picture in it, through `generate`, one at
a time, concepts as rows of a resized vocabulary.

Claims at medium with 576 image tokens: 34 people in a picture >= 10 times the naive rate; the first token of turn 50 within 1.3
times that of turn 2, and >= 5 times sooner than by reading everything again; a written token within 1.1 times the backbone's own
pass; 16 answers at a time >= 4 times the tokens a second of one; enrolling within 1.1 times the encoder's pass by
transformers.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plvm.runtime import keep_memory
from plvm_lab.measure.asking import Bench, Row, bench_chat, bench_generate, bench_score
from plvm_lab.measure.enrolling import bench_enroll
from plvm_lab.measure.programs import bench_serve, bench_start
from plvm_lab.measure.subjects import subject
from plvm_lab.measure.told import table_of_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

TITLES = {"start": "A question at the prompt", "enroll": "Enrolling", "score": "Recognising everybody in every picture",
          "chat": "A dialogue: the first token of a turn", "generate": "Writing answers", "serve": "A server"}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much is measured: the subjects with random weights, and what is swept."""

    larger: str = "medium"
    photographs: tuple[str, ...] = ("photo",)
    smaller: str = "small"
    together: tuple[int, ...] = (1, 64)
    people: tuple[int, ...] = (1, 34, 1000)
    turns: tuple[int, ...] = (2, 10, 50)
    batches: tuple[int, ...] = (1, 4, 16, 32)
    image_tokens: tuple[int, ...] = (64, 256, 576)


SHORT = Size("toy", (), "toy", (1, 2), (1, 3), (2, 3), (1, 2), (16,))


def part(name: str, device: str, rounds: int, seed: int, size: Size) -> Iterator[Row]:
    """The rows of a part."""

    def on(
        which: str, job: Callable[[Bench], Iterable[Row]], tokens: int = size.image_tokens[-1], times: int = rounds
    ) -> Iterator[Row]:
        times = 9 * times if which == "mini" else times  # its steps are short, and their times vary more
        bench = Bench(subject(which, tokens, device, seed=seed), times, seed)
        for row in job(bench):
            print(f"{name} {which}: {row['ratio']:.1f}", file=sys.stderr)
            yield {"subject": which, **row}

    if name == "start":
        yield from ({"subject": "mini", **row} for row in bench_start(os.environ, rounds, seed))
    elif name == "serve":
        yield from on("mini", lambda b: bench_serve(b, os.environ))
    elif name == "enroll":
        for which in ("mini", *size.photographs):
            yield from on(which, lambda b: bench_enroll(b, size.together))
        yield from on(size.larger, lambda b: bench_enroll(b, tuple(min(16, n) for n in size.together)))
    elif name == "score":
        yield from on("mini", lambda b: bench_score(b, size.people, 1))
        for which in size.photographs:
            yield from on(which, lambda b: bench_score(b, size.people[:2], 1))
        yield from on(size.larger, lambda b: bench_score(b, tuple(min(100, n) for n in size.people[1:]), 1))
        for tokens in size.image_tokens:
            yield from on(size.smaller, lambda b: bench_score(b, size.people[1:2], 1), tokens)
    elif name == "chat":
        for which in ("mini", *size.photographs, size.larger):
            yield from on(which, lambda b: bench_chat(b, size.turns))
    else:
        for which in ("mini", *size.photographs):
            yield from on(which, lambda b: bench_generate(b, size.batches))
        yield from on(size.larger, lambda b: bench_generate(b, size.batches[::2], 16), times=max(1, rounds - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(TITLES)}; default: what is not there")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="small subjects and few points, to see that it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the files")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(TITLES):
        parser.error(f"there is no part {unknown.pop()}; the parts are {', '.join(TITLES)}")
    keep_memory()  # as `plvm` does
    for name in arguments.parts or TITLES:
        file = arguments.out / f"speed_{name}.json"
        if arguments.parts or not file.exists():
            rows = list(part(name, arguments.device, arguments.rounds, arguments.seed, SHORT if arguments.short else Size()))
            figures: dict[str, Any] = {"part": name, "n": arguments.rounds, "device": arguments.device, "rows": rows}
            write_result(file, arguments.seed, figures, shown(figures))


def shown(figures: Mapping[str, Any]) -> Shown:
    """A row for every measurement of a part."""
    return Shown((table_of_rows(TITLES[figures["part"]], figures["rows"]),))


if __name__ == "__main__":
    main()
