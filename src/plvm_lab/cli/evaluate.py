"""`plvm eval`: how good is it? On drawn portraits, or on pictures in a folder."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say, table
from plvm.cli.context import load_model, make_folder
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError

if TYPE_CHECKING:
    from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark


OptionalOut = Annotated[
    Path | None, Option("--out", metavar="FOLDER", help="Where the results go.", show_default=False)
]


def register(app: Typer) -> None:
    add_verb(app, "eval", eval_, "The laboratory")


def eval_(
    destination: OptionalOut = None,
    suite: Annotated[
        str,
        Option(
            "--suite",
            metavar="SUITE",
            help="The benchmark: portraits, or what lies in --root: folder, plvm, yollava, rap, myvlm or mc-llava.",
        ),
    ] = "portraits",
    root: Annotated[
        Path | None, Option("--root", metavar="FOLDER", help="The folder of the suite.", show_default=False)
    ] = None,
    only: Annotated[
        list[str] | None,
        Option("--only", metavar="CONCEPT", help="Only these concepts of --root; may be repeated.", show_default="all"),
    ] = None,
    check: Annotated[
        bool, Option("--check", help="Only list what is missing, inconsistent or duplicated in --root.")
    ] = False,
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
    Examples:
      plvm eval --suite portraits --system plvm --out results/portraits
      plvm eval --suite folder --root photos --system plvm --out results/photos
    """
    from functools import cache

    from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
    from plvm_lab.evaluate.suite import Suite
    from plvm_lab.systems import check_systems
    from plvm_lab.systems.comparison import evaluate_system, evaluate_systems, every_system

    begun = time.perf_counter()
    benchmark: Suite
    if suite == "portraits":
        if root is not None or only or check:
            raise RequestError("The portraits are drawn: they have no folder.", "Leave out --root, --only and --check.")
        benchmark = portraits("test", seed, SMALL if small else None)
    else:
        if small or seed:
            raise RequestError("--small and --seed draw portraits.", f"Leave them out, or leave out --suite {suite}.")
        benchmark = _open(suite, root, only or ())
        if check:
            _list_defects(benchmark, json)
            return
        if benchmark.defects:
            say(f"{count(len(benchmark.defects), 'flaw')} in {root}; `--check` lists them.")
    settings = settings_in(setting or ())
    everyone = system == "all"
    check_systems([] if everyone else [system])
    if destination is None:
        raise RequestError("Nothing says where the results go.", "Name a folder with --out.")
    make_folder(destination)
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
            done = evaluate_systems(every_system(settings, benchmark), vlm, benchmark, destination, settings, **options)
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
    took = f"{time.perf_counter() - begun:.0f} s"
    if everyone:
        say(f"Wrote {destination / 'systems.json'} in {took}; in all sittings: {done['seconds']:.0f} s.")
    else:
        say(f"Wrote {destination / 'summary.json'} in {took}.")


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


def _open(suite: str, root: Path | None, only: Sequence[str]) -> PhotoBenchmark:
    """The suite in a folder."""
    from plvm_lab.evaluate.suites import SUITES, open_suite

    if root is None and suite in SUITES:
        raise RequestError(f"The suite {suite} lies in a folder.", "Name it with --root.")
    return open_suite(suite, root if root is not None else Path(), only)


def _list_defects(suite: PhotoBenchmark, json: bool) -> None:
    """What is wrong with a folder, to stdout."""
    from plvm_lab.evaluate.suites.builder import KINDS

    if json:
        out_json(suite.facts | {"defects": [d.__dict__ | {"means": KINDS[d.kind]} for d in suite.defects]})
        return
    if suite.defects:
        out(table([(d.kind, d.where, d.what) for d in suite.defects], ("FLAW", "WHERE", "WHAT")))
    facts = suite.facts
    say(
        f"{count(facts['identities'], 'concept')}, {count(facts['pictures'], 'query picture')}, "
        f"{facts['positive']:,} positive and {facts['negative']:,} negative pairs, {facts['text']:,} text and "
        f"{facts['visual']:,} visual questions; {count(len(suite.defects), 'flaw')}."
    )


def headlines(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    """Every figure of a summary that has an interval: (dotted name, value, low, high)."""
    from plvm.hub import intervals

    return [
        (name, *("-" if found[k] is None else f"{found[k]:.3f}" for k in ("value", "low", "high")))
        for name, found in intervals(summary)
    ]
