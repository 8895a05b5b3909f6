"""`plvm eval`: how good is it? The benchmark on drawn portraits."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, progress, say, table
from plvm.cli.session import load_model, make_folder
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError

SUITES = ("portraits",)


def register(app: Typer) -> None:
    add_verb(app, "eval", eval_, "The model")


def eval_(
    destination: o.Out,
    suite: Annotated[str, Option("--suite", metavar="SUITE", help="The benchmark: portraits.")] = "portraits",
    system: Annotated[
        str, Option("--system", metavar="SYSTEM", help="Whom to measure: plvm, description or embedding.")
    ] = "plvm",
    seed: Annotated[
        int, Option("--seed", metavar="N", help="0 is the published benchmark; others draw a fresh one.", min=0)
    ] = 0,
    part: Annotated[
        list[str] | None, Option("--part", metavar="PART", help="Only this part; may be repeated.", show_default="all")
    ] = None,
    small: Annotated[bool, Option("--small", help="A few items of every part, to see that all works.")] = False,
    model: o.Model = "mini",
    device: o.Device = None,
    dtype: o.Dtype = None,
    bits: o.Bits = None,
    json: o.Json = False,
) -> None:
    """Measure a system; writes records.jsonl and summary.json.

    A run that was interrupted goes on where it stopped.

    \b
    Example:
      plvm eval --suite portraits --system plvm --out results/portraits
    """
    from plvm.evaluate.datasets import SMALL, portraits
    from plvm.evaluate.runner import evaluate
    from plvm.systems import SYSTEMS, build_system

    if suite not in SUITES:
        raise RequestError(f'There is no suite "{suite[:40]}".', f"The suites are: {', '.join(SUITES)}.")
    if system not in SYSTEMS:
        raise RequestError(f'There is no system "{system[:40]}".', f"The systems are: {', '.join(SYSTEMS)}.")
    make_folder(destination)
    benchmark = portraits("test", seed, SMALL if small else None)
    subject = build_system(system, load_model(model, device, dtype, bits))
    command = shlex.join(["plvm", *sys.argv[1:]])
    with progress() as advance:
        summary = evaluate(subject, benchmark, destination, command=command, parts=part, progress=advance)
    if json:
        out_json(summary)
    else:
        out(table(headlines(summary), ("FIGURE", "VALUE", "LOW", "HIGH")))
    say(f"Wrote {destination / 'summary.json'}.")


def headlines(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Every figure of a summary that has an interval: (dotted name, value, low, high)."""
    from plvm.evaluate.figures import intervals

    return [
        (name, *("-" if found[k] is None else f"{found[k]:.3f}" for k in ("value", "low", "high")))
        for name, found in intervals(summary)
    ]
