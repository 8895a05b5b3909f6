"""`plvm watch`: captions with names for new pictures, in files beside them."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, line, out, progress, say
from plvm.cli.unlike import warn
from plvm.cli.verbs import add_verb
from plvm.errors import PlvmError, RequestError

if TYPE_CHECKING:
    from plvm.personal import Personal
    from plvm.sidecars.sidecar import Sidecar
    from plvm.sidecars.watch import Shot, Watched


def register(app: Typer) -> None:
    add_verb(app, "watch", watch, "Pictures", "FOLDER")


def watch(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="Where the pictures are, also in folders below it.")],
    json: Annotated[bool, Option("--json", help="Write PICTURE.plvm.json (the default).")] = False,
    xmp: Annotated[bool, Option("--xmp", help="Write PICTURE.xmp, for photo apps.")] = False,
    once: Annotated[bool, Option("--once", help="End when every picture has a caption.")] = False,
    every: Annotated[float, Option("--every", metavar="SECONDS", help="How often to look for new pictures.")] = 5.0,
    *,
    store: o.StoreOptions,
    model: o.ModelOptions,
) -> None:
    """Write captions with names beside new pictures.

    A caption is what the model says of the picture, and who of those who are enrolled is there. Pictures that have
    theirs are left alone, so it goes on where it stopped; Ctrl-C ends it. What others wrote in a sidecar stays.
    """
    from plvm.sidecars.json_sidecar import JsonSidecar
    from plvm.sidecars.watch import Watched
    from plvm.sidecars.xmp import XmpSidecar

    if every <= 0:
        raise RequestError("--every has to be more than 0 seconds.", "Say for example --every 5.")
    sidecars: list[Sidecar] = [*([JsonSidecar()] if json or not xmp else []), *([XmpSidecar()] if xmp else [])]
    watched = Watched(folder, sidecars)
    writer = _Writer(watched, store, model)
    try:
        while True:
            waiting = watched.waiting(writer.complain, all_=once)
            if waiting:
                writer.caption(waiting)
            if once:
                break
            time.sleep(every)
    except KeyboardInterrupt:
        say(f"Stopped: {count(writer.written, 'caption')} written.")
        raise
    say(f"{count(writer.written, 'caption')} written, {writer.failed:,} left out.")
    if writer.failed and not writer.written:
        raise Exit(2)


class _Writer:
    """Captions pictures as they come; the model is loaded for the first."""

    def __init__(self, watched: Watched, store: o.StoreOptions, model: o.ModelOptions) -> None:
        self.watched, self.store, self.model = watched, store, model
        self.written = self.failed = 0
        self._vlm: Personal | None = None

    def complain(self, picture: Path, error: PlvmError) -> None:
        """Tell of a picture that is left out."""
        self.failed += 1
        say(f"{picture}: {error.line}")

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
