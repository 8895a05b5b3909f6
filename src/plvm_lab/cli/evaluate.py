"""`plvm eval`: how good is it? On drawn portraits, or on pictures in a folder."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say, table
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError
from plvm.runtime import home_folder

if TYPE_CHECKING:
    from plvm.personal import Personal
    from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark
    from plvm_lab.evaluate.suite import Suite

@dataclass(frozen=True)
class SuiteOptions:
    """What is measured on."""

    suite: Annotated[
        str,
        Option(
            "--suite",
            metavar="SUITE",
            help="The benchmark: portraits; lfw or things, on --photos; or what lies in --root: folder, plvm, yollava, rap, "
            "myvlm or mc-llava.",
        ),
    ] = "portraits"
    root: Annotated[
        Path | None, Option("--root", metavar="FOLDER", help="The folder of the suite.", show_default=False)
    ] = None
    only: Annotated[
        list[str] | None,
        Option("--only", metavar="CONCEPT", help="Only these concepts of --root; may be repeated.", show_default="all"),
    ] = None
    check: Annotated[
        bool, Option("--check", help="Only list what is missing, inconsistent or duplicated in --root.")
    ] = False
    seed: Annotated[
        int,
        Option(
            "--seed", metavar="N", min=0,
            help="0 is the published benchmark, of lfw 15; others draw a fresh one, of lfw with the same people.",
        ),  # fmt: skip
    ] = 0
    small: Annotated[bool, Option("--small", help="A few items of every part, to see that all works.")] = False
    photos: Annotated[
        Path | None,
        Option("--photos", metavar="DIR", help="Photographs for lfw and things: DIR/name/picture.jpg.", show_default=False),
    ] = None
    people: Annotated[
        Path | None,
        Option("--people", metavar="DIR", help="For things: photographs of people, as for lfw.", show_default=False),
    ] = None
    split: Annotated[
        str,
        Option("--split", metavar="test|val", help="Of lfw and things: the people or things that count, or those to choose on."),
    ] = "test"
    kept: Annotated[
        Path | None,
        Option("--kept", metavar="DIR", help="Where the faces that were found in --photos are kept for the next run.",
               show_default="faces in your data folder"),
    ] = None  # fmt: skip

    @property
    def drawn(self) -> bool:
        """Whether it is the drawn benchmark."""
        return self.suite == "portraits"

    @property
    def photographed(self) -> bool:
        """Whether it is made of photographs."""
        return self.suite in ("lfw", "things")

    def with_photos(self, vlm: Personal) -> Suite:
        """The benchmark of faces or of things, for a model of photographs. Raises RequestError."""
        from plvm_lab.evaluate import faces_benchmark, things_benchmark
        from plvm_lab.evaluate.kept_faces import keep_faces

        if self.photos is None or self.root is not None or self.only or self.check:
            raise RequestError(f"The suite {self.suite} is made of photographs.", "Name their folder with --photos.")
        if (self.people is None) == (self.suite == "things") or (self.seed and self.suite == "things"):
            raise RequestError("The suite things needs --people and has no --seed; lfw has no --people.", "See plvm eval --help.")
        kept = keep_faces(vlm, self.kept if self.kept is not None else home_folder(os.environ).value / "faces")
        if self.people is not None:
            things = things_benchmark.SMALL if self.small else None
            return things_benchmark.ThingsBenchmark(self.photos, self.people, self.split, things)
        faces = faces_benchmark.SMALL if self.small else faces_benchmark.FacesSize()
        return faces_benchmark.FacesBenchmark(self.photos, kept, self.split, replace(faces, drawn=self.seed))

    def draw(self) -> Suite:
        """The drawn benchmark. Raises RequestError for an option of folders."""
        from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits

        if self.photos is not None or self.people is not None:
            raise RequestError("--photos and --people belong to the suites lfw and things.", "Say --suite, or leave them out.")
        if self.root is not None or self.only or self.check:
            raise RequestError("The portraits are drawn: they have no folder.", "Leave out --root, --only and --check.")
        return portraits("test", self.seed, SMALL if self.small else None)

    def open(self) -> PhotoBenchmark:
        """The suite in --root. Raises RequestError."""
        from plvm_lab.evaluate.suites import SUITES, open_suite

        if self.small or self.seed:
            raise RequestError(
                "--small and --seed draw portraits.", f"Leave them out, or leave out --suite {self.suite}."
            )
        if self.root is None and self.suite in SUITES:
            raise RequestError(f"The suite {self.suite} lies in a folder.", "Name it with --root.")
        return open_suite(self.suite, self.root if self.root is not None else Path(), self.only or ())


@dataclass(frozen=True)
class SystemOptions:
    """Who is measured."""

    system: Annotated[
        str, Option("--system", metavar="SYSTEM", help='Whom to measure; "all": one after the other.')
    ] = "plvm"
    part: Annotated[
        list[str] | None, Option("--part", metavar="PART", help="Only this part; may be repeated.", show_default="all")
    ] = None
    setting: Annotated[
        list[str] | None,
        Option("--set", metavar="NAME=VALUE", help="A setting of the system; may be repeated.", show_default=False),
    ] = None

    @property
    def everyone(self) -> bool:
        """Whether all systems are measured."""
        return self.system == "all"

    def check(self) -> None:
        """Raise RequestError where there is no such system, or a setting is none."""
        from plvm_lab.systems import check_systems

        settings_in(self.setting or ())
        check_systems([] if self.everyone else [self.system])

    def measure(self, vlm: Callable[[], Personal], suite: Suite, folder: Path) -> dict[str, Any]:
        """Measure it, or all one after the other; what was found. The model is loaded when a system needs it."""
        from plvm_lab.systems.comparison import evaluate_system, evaluate_systems, every_system

        settings = settings_in(self.setting or ())
        with progress() as advance:
            options: dict[str, Any] = {
                "command": shlex.join(["plvm", *sys.argv[1:]]), "parts": self.part,
                "key": os.environ.get("OPENAI_API_KEY", ""), "progress": advance,
            }  # fmt: skip
            if not self.everyone:
                return evaluate_system(self.system, vlm, suite, folder, settings, **options)
            options["pictures"] = folder / "pictures"
            return evaluate_systems(every_system(settings, suite), vlm, suite, folder, settings, **options)


def register(app: Typer) -> None:
    add_verb(app, "eval", eval_, "The laboratory")


def eval_(
    destination: Annotated[
        Path | None, Option("--out", metavar="FOLDER", help="Where the results go.", show_default=False)
    ] = None,
    *,
    benchmark: SuiteOptions,
    system: SystemOptions,
    model: o.ModelOptions,
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
      plvm eval --suite lfw --photos lfw --model build/photo/weights/aligner --out results/lfw
      plvm eval --suite things --photos things --people lfw --model build/photo/weights/aligner --out results/things
    """
    begun = time.perf_counter()
    suite: Suite
    vlm = cache(model.load)
    if benchmark.photographed:
        suite = benchmark.with_photos(vlm())
    elif benchmark.drawn:
        suite = benchmark.draw()
    else:
        suite = found = benchmark.open()
        if benchmark.check:
            _list_defects(found, json)
            return
        if found.defects:
            say(f"{count(len(found.defects), 'flaw')} in {benchmark.root}; `--check` lists them.")
    system.check()
    if destination is None:
        raise RequestError("Nothing says where the results go.", "Name a folder with --out.")
    o.make_folder(destination)
    done = system.measure(vlm, suite, destination)
    _tell(done, system, json)
    took = f"{time.perf_counter() - begun:.0f} s"
    if system.everyone:
        say(f"Wrote {destination / 'systems.json'} in {took}; in all sittings: {done['seconds']:.0f} s.")
    else:
        say(f"Wrote {destination / 'summary.json'} in {took}.")


def _tell(done: dict[str, Any], system: SystemOptions, json: bool) -> None:
    """The figures, to stdout; what was skipped, to stderr."""
    if json:
        out_json(done)
    elif system.everyone:
        out(table([overview(row) for row in done["systems"]], OVERVIEW))
    else:
        out(table(headlines(done), ("FIGURE", "VALUE", "LOW", "HIGH")))
    skipped = done["skipped"] if system.everyone else {system.system: done["skipped"]}
    for name, parts in skipped.items():
        if parts:
            say(f"{name} has not the ability for: {', '.join(parts)}.")


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
