"""How the numbers are multiplied on a CPU: float32 as torch does by itself, float32 as plvm does, and bfloat16. How long each
takes, in turn, and how often the answers differ.

    python research/benchmarks/number_formats.py --photos PHOTOS    # research/results/number_formats.json, 20 minutes
    python research/benchmarks/number_formats.py --subjects mini    # without photographs

Answers are those about people for validation: mini's drawn ones, and photo's in PHOTOS. The three ways get the same pictures and
the same references; each enrols for itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from plvm.engine.generate import generate
from plvm.engine.request import Request
from plvm.engine.score import yes_of
from plvm.personal import Personal
from plvm.products import by_torch
from plvm.runtime import keep_memory
from plvm.types import SamplingParams
from plvm_lab.evaluate.faces_benchmark import FacesBenchmark, FacesSize
from plvm_lab.evaluate.kept_faces import keep_faces
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.evaluate.result_table import Table
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.evaluate.suite import Suite
from plvm_lab.measure.asking import QUESTION, endless_prompt
from plvm_lab.measure.in_turn import in_turn, within
from plvm_lab.measure.subjects import SUBJECTS, people, pictures, subject
from plvm_lab.systems.plvm import Plvm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, command, progress, write_result

Within = Callable[[], AbstractContextManager[None]]
WAYS: dict[str, tuple[torch.dtype, Within]] = {
    "float32, torch": (torch.float32, by_torch),
    "float32": (torch.float32, nullcontext),
    "bfloat16": (torch.bfloat16, nullcontext),
}
FIRST = "float32, torch"  # what the others are held against
PEOPLE, SIDE_BY_SIDE, WORDS = 34, 16, 16
PARTS = {"mini": ("recognition", "who", "captions", "held_out_wordings"), "photo": None}  # None: all
DRAWN = 6  # the draw of references, pictures and rows: no other result is of it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="*", choices=SUBJECTS, default=["mini", "photo", "medium"])
    parser.add_argument("--photos", type=Path, help="PHOTOS/NAME/picture.jpg; without it, photo's answers are not compared")
    parser.add_argument("--kept", type=Path, default=Path("build/faces"), help="where the faces that were found are kept")
    parser.add_argument("--work", type=Path, default=Path("build/number_formats"), help="records")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="a few items of everything, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "number_formats.json")
    arguments = parser.parse_args()

    keep_memory()  # as `plvm` does
    times, answers = list[dict[str, Any]](), list[dict[str, Any]]()
    for name in arguments.subjects:
        tokens = 16 if arguments.small else 576
        models = {way: subject(name, tokens, "cpu", dtype, arguments.seed) for way, (dtype, _) in WAYS.items()}
        times += [{"subject": name, **row} for row in timed(models, arguments.rounds, arguments.seed)]
        if name == "mini":
            bench: Suite = portraits("val", DRAWN, SMALL if arguments.small else None)
        elif name == "photo" and arguments.photos is not None:
            kept = [keep_faces(vlm, arguments.kept) for vlm in models.values()]
            bench = FacesBenchmark(arguments.photos, kept[0], "val", FacesSize(identities=20, rows=10, worse=1, drawn=DRAWN))
        else:
            continue
        answers += [{"subject": name, **row} for row in answered(models, bench, PARTS[name], arguments.work / name)]
    figures = {"n": arguments.rounds, "times": times, "answers": answers}
    write_result(arguments.out, arguments.seed, figures, shown(figures))


def timed(models: Mapping[str, Personal], rounds: int, seed: int) -> Iterator[dict[str, Any]]:
    """Every job in all ways, in turn."""
    jobs = {way: jobs_of(vlm, seed) for way, vlm in models.items()}
    for job in jobs[FIRST]:
        ways = {way: (within(WAYS[way][1], own[job][0]), own[job][1]) for way, own in jobs.items()}
        yield {"job": job, "times": in_turn(ways, rounds)}


def jobs_of(vlm: Personal, seed: int) -> dict[str, tuple[Callable[[], Any], int]]:
    """What is measured, each with how many units it does."""
    some = people(vlm, PEOPLE, seed)
    seen = vlm.engine.look(pictures(1, 480, seed), namespace="bench")[0].settled
    wording, endless = vlm.prompt.template.recognize, endless_prompt(vlm)
    pairs = [Request(seen, wording.replace("{name}", f"<{c.name}>"), (c,)) for c in some]
    asked = [Request(seen, QUESTION.replace("n0", c.name), (c,)) for c in some[:SIDE_BY_SIDE]]

    def write(count: int, words: int) -> tuple[Callable[[], Any], int]:
        params = SamplingParams(max_tokens=words)
        return lambda: generate(vlm.backbone, endless, asked[:count], params, batch=count), count * words

    return {
        f"P(present) of one of {PEOPLE}": (lambda: yes_of(vlm.backbone, vlm.prompt, pairs), PEOPLE),
        "the first token of an answer": write(1, 1),
        f"one of {WORDS} tokens": write(1, WORDS),
        f"the same of {SIDE_BY_SIDE} answers": write(SIDE_BY_SIDE, WORDS),
    }


def answered(
    models: Mapping[str, Personal], bench: Suite, parts: Sequence[str] | None, work: Path
) -> Iterator[dict[str, Any]]:
    """How many answers of each part of a benchmark are right in all ways, and the same as in the first."""
    records: dict[str, dict[str, Any]] = {}
    for way, (_, context) in WAYS.items():
        folder = work / way.replace(", ", "-")
        with context():
            evaluate(Plvm(models[way]), bench, folder, command=command(), parts=parts, progress=progress)
        lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
        records[way] = {record["id"]: record for record in map(json.loads, lines)}
    asked = Counter(record["part"] for record in records[FIRST].values())
    for part, n in asked.items():
        own = {way: {i: r for i, r in found.items() if r["part"] == part} for way, found in records.items()}
        yield {
            "part": part, "n": n,
            "right": {way: sum(bool(r["right"]) for r in found.values()) for way, found in own.items()},
            "same": {way: sum(r["answer"] == own[FIRST][i]["answer"] for i, r in found.items()) for way, found in own.items()},
        }  # fmt: skip


def shown(figures: Mapping[str, Any]) -> Shown:
    """Times and answers."""
    header = ("what", *WAYS)
    times = tuple(
        (f"{row['subject']}, {row['job']}", *(_told(row["times"], way) for way in WAYS)) for row in figures["times"]
    )
    note = (
        f"Medians of {figures['n']}, and how many times as quick as the first, taken in turn on one CPU; medium has random "
        "weights and 576 image tokens."
    )
    tables = [Table("Number formats: seconds", header, times, note)]
    answers = tuple(
        (f"{row['subject']}, {row['part']}", f"{row['n']:,}", *(f"{row['right'][way]:,}" for way in WAYS),
         *(f"{row['same'][way]:,}" for way in list(WAYS)[1:]))
        for row in figures["answers"]
    )  # fmt: skip
    if answers:
        header = ("what", "asked", *(f"right: {way}" for way in WAYS), *(f"the same: {way}" for way in list(WAYS)[1:]))
        note = f"People for validation, one reference each. The same: word for word what {FIRST} says."
        tables.append(Table("Number formats: answers", header, answers, note))
    return Shown(tuple(tables))


def _told(times: Mapping[str, Any], way: str) -> str:
    """The seconds of a way, and how many times as quick it is as the first."""
    seconds, first = times[way]["seconds"], times[FIRST]["seconds"]
    return f"{1000 * seconds:.3g} ms" + ("" if way == FIRST else f" ({first / seconds:.2f}x)")


if __name__ == "__main__":
    main()
