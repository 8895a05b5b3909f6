"""Captions written beside pictures, for every verb that writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from typer import Argument, Exit, Option

from plvm.cli import options as o
from plvm.cli.console import count, line, out, progress, say
from plvm.cli.unlike import warn
from plvm.errors import PlvmError

if TYPE_CHECKING:
    from plvm.personal import Personal
    from plvm.sidecars.caption import Caption
    from plvm.sidecars.sidecar import Sidecar
    from plvm.sidecars.watch import Shot, Watched
    from plvm.types import Concept

T = TypeVar("T")
TOGETHER = 8  # pictures whose captions are written side by side; so many are done again where the work is broken off

Pictures = Annotated[Path, Argument(metavar="FOLDER", help="Where the pictures are, also in folders below it.")]
AsJson = Annotated[bool, Option("--json", help="Write PICTURE.plvm.json (the default).")]
AsXmp = Annotated[bool, Option("--xmp", help="Write PICTURE.xmp, for photo apps.")]


def sidecars_of(*, json: bool, xmp: bool) -> list[Sidecar]:
    """What is written beside a picture: JSON where nothing is said."""
    from plvm.sidecars.json_sidecar import JsonSidecar
    from plvm.sidecars.xmp import XmpSidecar

    return [*([JsonSidecar()] if json or not xmp else []), *([XmpSidecar()] if xmp else [])]


class Writer:
    """Captions pictures as they come; the model is loaded for the first."""

    def __init__(self, watched: Watched, store: o.StoreOptions, model: o.ModelOptions) -> None:
        self.watched, self.store, self.model = watched, store, model
        self.written = self.failed = 0
        self._vlm: Personal | None = None

    def complain(self, picture: Path, error: PlvmError) -> None:
        """Tell of a picture that is left out."""
        self.failed += 1
        say(f"{picture}: {error.line}")

    def end(self) -> None:
        """Say what was done; the exit code is 2 where nothing was, and something should have been."""
        say(f"{count(self.written, 'caption')} written, {self.failed:,} left out.")
        if self.failed and not self.written:
            raise Exit(2)

    def caption(self, shots: list[Shot]) -> None:
        """Write the sidecars of `shots`, with whoever is enrolled by now."""
        if self._vlm is None:
            self._vlm = self.model.load()
            if self._vlm.calibration.note:
                say(self._vlm.calibration.note)
        with closing(self.store.open()) as opened:
            concepts, namespace = opened.list(aligner=self._vlm.fingerprint), opened.namespace
        unlike: dict[str, float | None] = {}
        with progress() as advance:
            for start in range(0, len(shots), TOGETHER):
                some = shots[start : start + TOGETHER]
                for shot, caption in self._captions(some, concepts, namespace):
                    unlike[str(shot.path)] = caption.unlike
                    self._write(shot, caption)
                for shot in some:
                    self.watched.deal(shot)
                self._vlm.engine.prefixes.forget(namespace=namespace)  # nobody asks about these pictures again
                advance("pictures", start + len(some), len(shots))
        warn(self._vlm, unlike)

    def _captions(self, shots: list[Shot], concepts: list[Concept], namespace: str) -> Iterator[tuple[Shot, Caption]]:
        """The captions of all that can be read, written side by side; one after the other where that is refused."""
        from plvm.sidecars.caption import describe

        vlm = self._vlm
        assert vlm is not None
        looked = ((shot, self._tried(shot, partial(vlm.look, shot.path, namespace=namespace))) for shot in shots)
        seen = [(shot, state) for shot, state in looked if state is not None]
        try:
            captions = describe(vlm, [state for _, state in seen], concepts, namespace=namespace)
            yield from ((shot, caption) for (shot, _), caption in zip(seen, captions, strict=True))
        except PlvmError:
            for shot, state in seen:
                alone = self._tried(shot, partial(describe, vlm, [state], concepts, namespace=namespace))
                yield from ((shot, caption) for caption in alone or ())

    def _write(self, shot: Shot, caption: Caption) -> None:
        def write() -> bool:
            for sidecar in self.watched.sidecars:
                sidecar.write(shot.path, shot.mark, caption)
            return True

        if self._tried(shot, write):
            self.written += 1
            out(f"{line(str(shot.path))}: {line(caption.sentence)}")

    def _tried(self, shot: Shot, work: Callable[[], T]) -> T | None:
        """What `work` gives; None where it is refused, which is told."""
        try:
            return work()
        except PlvmError as error:
            self.complain(shot.path, error)
            return None
