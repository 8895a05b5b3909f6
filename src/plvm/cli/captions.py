"""Captions written beside pictures, for every verb that writes them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option

from plvm.cli import options as o
from plvm.cli.console import count, line, out, progress, say
from plvm.cli.unlike import warn
from plvm.errors import PlvmError

if TYPE_CHECKING:
    from plvm.personal import Personal
    from plvm.sidecars.sidecar import Sidecar
    from plvm.sidecars.watch import Shot, Watched

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
        from plvm.sidecars.caption import describe

        if self._vlm is None:
            self._vlm = self.model.load()
            if self._vlm.calibration.note:
                say(self._vlm.calibration.note)
        with closing(self.store.open()) as opened:
            concepts, namespace = opened.list(aligner=self._vlm.fingerprint), opened.namespace
        unlike: dict[str, float | None] = {}
        with progress() as advance:
            for done, shot in enumerate(shots):
                try:
                    caption = describe(self._vlm, shot.path, concepts, namespace=namespace)
                    for sidecar in self.watched.sidecars:
                        sidecar.write(shot.path, shot.mark, caption)
                except PlvmError as error:
                    self.complain(shot.path, error)
                else:
                    self.written += 1
                    unlike[str(shot.path)] = caption.unlike
                    out(f"{line(str(shot.path))}: {line(caption.sentence)}")
                self.watched.deal(shot)
                advance("pictures", done + 1, len(shots))
        warn(self._vlm, unlike)
