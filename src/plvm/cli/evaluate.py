"""`plvm eval`: how good is it? The benchmark on drawn portraits."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from json import loads
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
        str, Option("--system", metavar="SYSTEM", help='Whom to measure; "all": one after the other.')
    ] = "plvm",
    seed: Annotated[
        int, Option("--seed", metavar="N", help="0 is the published benchmark; others draw a fresh one.", min=0)
    ] = 0,
    part: Annotated[
        list[str] | None, Option("--part", metavar="PART", help="Only this part; may be repeated.", show_default="all")
    ] = None,
    setting: Annotated[
        list[str] | None,
        Option("--set", metavar="NAME=VALUE", help="A setting of the system; may be repeated.", show_default=False),
    ] = None,
    small: Annotated[bool, Option("--small", help="A few items of every part, to see that all works.")] = False,
    model: o.Model = "mini",
    device: o.Device = None,
    dtype: o.Dtype = None,
    bits: o.Bits = None,
    json: o.Json = False,
) -> None:
    """Measure a system; writes records.jsonl and summary.json.

    A run that was interrupted goes on where it stopped. With "all" every system gets a folder of its own, and
    systems.json has their rows side by side. The system openai asks an endpoint (--set url=.. --set model=..) with the
    key in OPENAI_API_KEY.

    \b
    Example:
      plvm eval --suite portraits --system plvm --out results/portraits
    """
    from functools import cache

    from plvm.evaluate.datasets import SMALL, portraits
    from plvm.systems import check_systems
    from plvm.systems.run import evaluate_system, evaluate_systems, every_system

    if suite not in SUITES:
        raise RequestError(f'There is no suite "{suite[:40]}".', f"The suites are: {', '.join(SUITES)}.")
    settings = settings_in(setting or ())
    everyone = system == "all"
    check_systems([] if everyone else [system])
    make_folder(destination)
    benchmark = portraits("test", seed, SMALL if small else None)
    begun = time.perf_counter()
    options: dict[str, Any] = {
        "command": shlex.join(["plvm", *sys.argv[1:]]), "parts": part, "key": os.environ.get("OPENAI_API_KEY", ""),
    }  # fmt: skip

    @cache
    def vlm() -> Any:
        return load_model(model, device, dtype, bits)

    with progress() as advance:
        options["progress"] = advance
        if everyone:
            options["pictures"] = destination / "pictures"
            done = evaluate_systems(every_system(settings), vlm, benchmark, destination, settings, **options)
        else:
            done = evaluate_system(system, vlm, benchmark, destination, settings, **options)
    if json:
        out_json(done)
    elif everyone:
        out(table([overview(row) for row in done["systems"]], OVERVIEW))
    else:
        out(table(headlines(done), ("FIGURE", "VALUE", "LOW", "HIGH")))
    for name, parts in done["skipped"].items() if everyone else [(system, done["skipped"])]:
        if parts:
            say(f"{name} has not the ability for: {', '.join(parts)}.")
    say(
        f"Wrote {destination / ('systems.json' if everyone else 'summary.json')} in {time.perf_counter() - begun:.0f} s."
    )


def settings_in(texts: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE texts as settings; a value that is JSON is that value, any other is text. Raises RequestError."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise RequestError(f"{text[:40]!r} is no setting.", "Write it as --set NAME=VALUE.")
        try:
            found[name] = loads(value)
        except ValueError:
            found[name] = value
    return found


OVERVIEW = ("SYSTEM", "POSITIVE", "NEGATIVE", "MEAN", "AUC", "TEXT QA", "VISUAL QA", "ENROL S", "ENROL BYTES")


def overview(row: dict[str, Any]) -> tuple[str, ...]:
    """A system's row for reading."""
    recognition = row["recognition"] or {}
    shares = [recognition.get(k) for k in ("positive", "negative", "mean", "auc")] + [row["text_qa"], row["visual_qa"]]
    told = ["-" if s is None or s["value"] is None else f"{s['value']:.3f}" for s in shares]
    seconds, size = row["enroll_seconds"], row["enroll_bytes"]
    return (
        row["system"], *told, "-" if seconds is None else f"{seconds:.4f}", "-" if size is None else str(size)
    )  # fmt: skip


def headlines(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Every figure of a summary that has an interval: (dotted name, value, low, high)."""
    from plvm.evaluate.figures import intervals

    return [
        (name, *("-" if found[k] is None else f"{found[k]:.3f}" for k in ("value", "low", "high")))
        for name, found in intervals(summary)
    ]
