"""`plvm bench`: what is claimed about speed, measured here."""

from __future__ import annotations

import json as json_
import shlex
import sys
from pathlib import Path
from typing import Annotated

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, progress, table
from plvm.cli.verbs import add_verb

bench = Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure what is claimed about speed.")


def register(app: Typer) -> None:
    add_verb(bench, "train", train)
    app.add_typer(bench, name="bench", rich_help_panel="The laboratory")


@bench.callback()
def bench_() -> None:
    """Measure what is claimed about speed."""


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

    from plvm.errors import PlvmError, RequestError
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
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json_.dumps(found, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise PlvmError(f"{file} cannot be written: {error.strerror}.", "Name another --out.") from None
    if json:
        out(json_.dumps(found))  # one line: whoever reads it takes the last one
        return
    header = ("IMAGE TOKENS", "M", "NAIVE/S", "SHARED/S", "SPEEDUP", "MEMORY", "GRADIENT DIFFERENCE")
    keys = ("image_tokens", "m", "naive_per_s", "shared_per_s", "speedup", "peak_memory_ratio")
    rows = [(*(row[k] for k in keys), f"{row['max_gradient_difference']:.1e}") for row in found["rows"]]
    out(table(rows, header))
