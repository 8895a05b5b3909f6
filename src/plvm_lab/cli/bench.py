"""`plvm bench`: what is claimed about speed, measured here."""

from __future__ import annotations

import json as json_
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, progress, table, waiting
from plvm.cli.verbs import add_verb

bench = Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure what is claimed about speed.")


def register(app: Typer) -> None:
    for verb in (start, enroll, score, chat, generate, train, serve):
        add_verb(bench, verb.__name__, verb)
    app.add_typer(bench, name="bench", rich_help_panel="The laboratory")


@bench.callback()
def bench_() -> None:
    """Measure what is claimed about speed."""


@dataclass(frozen=True)
class Subjects:
    """What is measured."""

    subjects: Annotated[
        list[str] | None,
        Option("--subject", metavar="NAME", help="mini, photo, or one with random weights: medium (308 M), small (57 M), toy; "
               "may be repeated.", show_default="mini"),
    ] = None  # fmt: skip
    image_tokens: Annotated[
        list[int] | None,
        Option("--image-tokens", metavar="N", help="Of a subject with random weights: a square; may be repeated.",
               show_default="576"),
    ] = None  # fmt: skip
    dtype: o.Dtype = None

    def each(self) -> list[tuple[str, int]]:
        """(name, image tokens) of every subject; those of a shipped one are its own."""
        from plvm_lab.measure.subjects import SHIPPED

        return [(n, t) for n in self.subjects or ["mini"] for t in ([0] if n in SHIPPED else self.image_tokens or [576])]


@dataclass(frozen=True)
class BenchOptions:
    """How often it is measured, and where the result goes."""

    rounds: Annotated[int, Option("--rounds", metavar="N", help="Of each way, in turn.", min=1)] = 3
    seed: Annotated[int, Option("--seed", metavar="N", help="Of weights, people and pictures.", min=0)] = 0
    file: Annotated[
        Path | None, Option("--out", metavar="FILE", help="Keep the result there too.", show_default=False)
    ] = None
    device: o.Device = None
    json: o.Json = False

    def tell(
        self, title: str, job: Callable[[Any], Iterable[Mapping[str, Any]]], subjects: Subjects = Subjects()
    ) -> None:
        """Measure a job on every subject; write what came of it. Raises RequestError."""
        from plvm.runtime import choose_device, choose_dtype
        from plvm_lab.evaluate.provenance import provenance
        from plvm_lab.evaluate.result_table import json_of
        from plvm_lab.measure.asking import Bench
        from plvm_lab.measure.subjects import subject
        from plvm_lab.measure.told import table_of_rows

        rows, device = [], choose_device(self.device).value
        number = choose_dtype(subjects.dtype, device=device).value if subjects.dtype else None
        for name, tokens in subjects.each():
            with waiting(f"Measuring {name}"):
                bench = Bench(subject(name, tokens, device, number, self.seed), self.rounds, self.seed)
                rows += [{"subject": name, **row} for row in job(bench)]
        shown = table_of_rows(title, rows)
        found = {"rows": rows, "n": self.rounds, "device": device} | provenance(shlex.join(["plvm", *sys.argv[1:]]), self.seed)
        _write(found | {"tables": [json_of(shown)]}, self.file)
        if self.json:
            out(json_.dumps(found))  # one line: whoever reads it takes the last one
        else:
            out("\n".join("\n".join(f"{name}: {cell}" for name, cell in zip(shown.header, row, strict=True)) + "\n"
                          for row in shown.rows).rstrip())  # fmt: skip


Counts = list[int] | None


def start(options: BenchOptions) -> None:
    """A question at the prompt, from the start of its process to its end, and through a running server; mini alone.

    \b
    Example:
      plvm bench start --rounds 5
    """
    from plvm_lab.measure.programs import bench_start

    options.tell("A question at the prompt", lambda b: bench_start(os.environ, b.rounds, b.seed))


def enroll(
    options: BenchOptions,
    subjects: Subjects,
    together: Annotated[
        Counts, Option("--together", metavar="N", help="Pictures at a time; may be repeated.", min=1, show_default="1, 64")
    ] = None,
) -> None:  # fmt: skip
    """Concept tokens from a picture each, against the encoder's own pass and one at a time.

    \b
    Example:
      plvm bench enroll --together 1 --together 16
    """
    from plvm_lab.measure.enrolling import bench_enroll

    options.tell("Enrolling", lambda b: bench_enroll(b, together or (1, 64)), subjects)


def score(
    options: BenchOptions,
    subjects: Subjects,
    concepts: Annotated[
        Counts, Option("--concepts", metavar="N", help="People in each picture; may be repeated.", min=1, show_default="34")
    ] = None,
    pictures: Annotated[int, Option("--pictures", metavar="N", help="Pictures.", min=1)] = 2,
) -> None:  # fmt: skip
    """P(present) of everybody in every picture, against one prompt through `generate` for each pair.

    \b
    Example:
      plvm bench score --subject medium --concepts 1 --concepts 34
    """
    from plvm_lab.measure.asking import bench_score

    options.tell("Recognising", lambda b: bench_score(b, concepts or (34,), pictures), subjects)


def chat(
    options: BenchOptions,
    subjects: Subjects,
    turns: Annotated[
        Counts, Option("--turn", metavar="N", help="A turn of the dialogue; may be repeated.", min=1, show_default="2, 50")
    ] = None,
) -> None:  # fmt: skip
    """The time to the first token of an answer in a dialogue, against reading again all that the model reads of it.

    \b
    Example:
      plvm bench chat --subject medium --turn 2 --turn 10
    """
    from plvm_lab.measure.asking import bench_chat

    options.tell("A dialogue", lambda b: bench_chat(b, turns or (2, 50)), subjects)


def generate(
    options: BenchOptions,
    subjects: Subjects,
    batch: Annotated[
        Counts, Option("--batch", metavar="N", help="Answers at a time; may be repeated.", min=1, show_default="1, 16")
    ] = None,
    words: Annotated[int, Option("--tokens", metavar="N", help="Tokens of an answer.", min=2)] = 32,
) -> None:  # fmt: skip
    """Tokens of answers, against the backbone's own pass and against one answer at a time through `generate`.

    \b
    Example:
      plvm bench generate --subject medium --batch 1 --batch 16
    """
    from plvm_lab.measure.asking import bench_generate

    options.tell("Writing answers", lambda b: bench_generate(b, batch or (1, 16), words), subjects)


def serve(
    options: BenchOptions,
    clients: Annotated[
        Counts, Option("--clients", metavar="N", help="Who ask at once; may be repeated.", min=1, show_default="1, 16")
    ] = None,
) -> None:  # fmt: skip
    """Answers of a running server to several clients at once, against one request after the other; mini alone.

    \b
    Example:
      plvm bench serve --clients 16
    """
    from plvm_lab.measure.programs import bench_serve

    options.tell("A server", lambda b: bench_serve(b, os.environ, clients or (1, 16)))


def train(
    image_tokens: Annotated[
        list[int] | None,
        Option("--image-tokens", metavar="N", help="A square number; may be repeated.", show_default="64, 576"),
    ] = None,
    packs: Annotated[
        list[int] | None,
        Option("--packs", metavar="M", help="Samples on one picture; may be repeated.", min=1,
               show_default="1, 4, 8, 16"),
    ] = None,
    rounds: Annotated[int, Option("--rounds", metavar="N", help="Steps of each way, in turn.", min=1)] = 5,
    seed: Annotated[int, Option("--seed", metavar="N", help="Of weights and samples.", min=0)] = 0,
    file: Annotated[
        Path | None, Option("--out", metavar="FILE", help="Keep the result there too.", show_default=False)
    ] = None,
    device: o.Device = None,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Samples per second of training with pictures shared and the naive way, at equal gradients.

    \b
    Example:
      plvm bench train --json
    """
    from transformers import AutoTokenizer

    from plvm.errors import RequestError
    from plvm.families import FOLDER
    from plvm.runtime import choose_device
    from plvm_lab.evaluate.provenance import provenance
    from plvm_lab.evaluate.result_table import json_of
    from plvm_lab.measure.training import IMAGE_TOKENS, PACKS, bench_train, table_of_rates

    counts = image_tokens or IMAGE_TOKENS
    if odd := [n for n in counts if n < 1 or round(n**0.5) ** 2 != n]:
        raise RequestError(f"{odd[0]} image tokens are no square.", "Name a square number, such as 64 or 576.")
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / "mini" / "backbone")
    with progress() as advance:
        found = bench_train(
            tokenizer, lambda done, total: advance("measuring", done, total), image_tokens=counts,
            packs=packs or PACKS, rounds=rounds, seed=seed, device=choose_device(device).value,
        )  # fmt: skip
    found |= provenance(shlex.join(["plvm", *sys.argv[1:]]), seed)
    found["tables"] = [json_of(table_of_rates(found))]
    _write(found, file)
    if json:
        out(json_.dumps(found))  # one line: whoever reads it takes the last one
        return
    header = ("IMAGE TOKENS", "M", "NAIVE/S", "SHARED/S", "SPEEDUP", "MEMORY", "GRADIENT DIFFERENCE")
    keys = ("image_tokens", "m", "naive_per_s", "shared_per_s", "speedup", "peak_memory_ratio")
    rows = [(*(row[k] for k in keys), f"{row['max_gradient_difference']:.1e}") for row in found["rows"]]
    out(table(rows, header))


def _write(found: Mapping[str, Any], file: Path | None) -> None:
    from plvm.errors import PlvmError

    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json_.dumps(found, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise PlvmError(f"{file} cannot be written: {error.strerror}.", "Name another --out.") from None
