"""Ours and the naive way in turn: starting, enrolling, scoring, dialogue, writing, serving. `plvm bench` measures a part.

    python research/benchmarks/speed.py             # the parts whose files are not there, about 15 minutes on two free cores
    python research/benchmarks/speed.py score chat  # these parts, again

    start      research/results/speed_start.json       mini
    enroll     research/results/speed_enroll.json      mini and medium
    score      research/results/speed_score.json       mini and medium; 64, 256 and 576 image tokens on small; 1 to 1,000 people
    chat       research/results/speed_chat.json        mini and medium, turns 2 to 50
    generate   research/results/speed_generate.json    mini and medium, 1 to 32 answers at a time
    serve      research/results/speed_serve.json       mini

medium and small have random weights: LLaVA-shaped, 308 and 57 million parameters in the layers of the language model. The naive
way is what one would write with plain transformers: every question a whole prompt, its picture in it, through `generate`, one at
a time, concepts as rows of a resized vocabulary.

Claims at medium with 576 image tokens: 34 people in a picture >= 10 times the naive rate; the first token of turn 50 within 1.3
times that of turn 2, and >= 5 times sooner than by reading everything again; a written token within 1.1 times the backbone's own
pass; 16 answers at a time >= 4 times the tokens a second of one; enrolling within 1.1 times the encoder's pass.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from plvm_lab.measure.asking import Bench, Row, bench_chat, bench_generate, bench_score
from plvm_lab.measure.enrolling import bench_enroll
from plvm_lab.measure.programs import bench_serve, bench_start
from plvm_lab.measure.subjects import subject
from plvm_lab.measure.told import table_of_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

TITLES = {"start": "A question at the prompt", "enroll": "Enrolling", "score": "Recognising everybody in every picture",
          "chat": "A dialogue: the first token of a turn", "generate": "Writing answers", "serve": "A server"}  # fmt: skip


def part(name: str, device: str, rounds: int, seed: int, sizes: tuple[str, str]) -> Iterator[Row]:
    """The rows of a part; `sizes` are the larger and the smaller subject with random weights."""
    larger, smaller = sizes

    def on(which: str, job: Callable[[Bench], Iterable[Row]], image_tokens: int = 576, times: int = rounds) -> Iterator[Row]:
        bench = Bench(subject(which, image_tokens, device, seed=seed), times, seed)
        for row in job(bench):
            print(f"{name} {which}: {row['ratio']:.1f}", file=sys.stderr)
            yield {"subject": which, **row}

    if name == "start":
        yield from ({"subject": "mini", **row} for row in bench_start(os.environ, rounds, seed))
    elif name == "serve":
        yield from on("mini", lambda b: bench_serve(b, os.environ))
    elif name == "enroll":
        yield from on("mini", bench_enroll, times=3 * rounds)
        yield from on(larger, lambda b: bench_enroll(b, (1, 16)))
    elif name == "score":
        yield from on("mini", lambda b: bench_score(b, (1, 34, 1000), 1))
        yield from on(larger, lambda b: bench_score(b, (34, 100), 1))
        for tokens in (64, 256, 576):
            yield from on(smaller, lambda b: bench_score(b, (34,), 1), tokens)
    elif name == "chat":
        yield from on("mini", lambda b: bench_chat(b, (2, 10, 50)))
        yield from on(larger, lambda b: bench_chat(b, (2, 10, 50)))
    else:
        yield from on("mini", lambda b: bench_generate(b, (1, 4, 16, 32)))
        yield from on(larger, lambda b: bench_generate(b, (1, 16), 16), times=max(1, rounds - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(TITLES)}; default: what is not there")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs=2, default=("medium", "small"), help="the subjects with random weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the files")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(TITLES):
        parser.error(f"there is no part {unknown.pop()}; the parts are {', '.join(TITLES)}")
    for name in arguments.parts or TITLES:
        file = arguments.out / f"speed_{name}.json"
        if arguments.parts or not file.exists():
            rows = list(part(name, arguments.device, arguments.rounds, arguments.seed, tuple(arguments.sizes)))
            figures: dict[str, Any] = {"n": arguments.rounds, "device": arguments.device, "rows": rows}
            write_result(file, arguments.seed, figures, Shown((table_of_rows(TITLES[name], rows),)))


if __name__ == "__main__":
    main()
