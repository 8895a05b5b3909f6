"""`plvm caption`: captions with names for every picture of a folder, and a sheet of who was found where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.captions import AsJson, AsXmp, Pictures, Writer, sidecars_of
from plvm.cli.console import count, progress, say
from plvm.cli.verbs import add_verb

if TYPE_CHECKING:
    from plvm.sidecars.watch import Shot


def register(app: Typer) -> None:
    add_verb(app, "caption", caption, "Pictures", "FOLDER")


def caption(
    folder: Pictures,
    json: AsJson = False,
    xmp: AsXmp = False,
    sheet: Annotated[
        Path | None,
        Option("--sheet", metavar="FILE", help="Write an HTML page of all pictures and who is in them; it is made of the JSON "
               "files, which are then written too.", show_default=False),
    ] = None,
    again: Annotated[
        bool, Option("--again", help="Also for pictures that have their caption: say it when more people are enrolled.")
    ] = False,
    *,
    store: o.StoreOptions,
    model: o.ModelOptions,
) -> None:  # fmt: skip
    """Write captions with names beside all pictures of a folder.

    A caption is what the model says of the picture, and who of those who are enrolled is there. Pictures that have theirs
    are left alone: broken off, the same command goes on where it stopped. What others wrote in a sidecar stays.

    \b
    Example:
      plvm caption holidays/ --xmp --sheet holidays.html
    """
    from plvm.sidecars.watch import Watched

    watched = Watched(folder, sidecars_of(json=json or sheet is not None, xmp=xmp))
    writer = Writer(watched, store, model)
    waiting = watched.pictures() if again else watched.waiting(writer.complain, all_=True)
    try:
        if waiting:
            writer.caption(waiting)
        if sheet is not None:
            _write_sheet(sheet, watched.pictures(), folder)
    except KeyboardInterrupt:
        say(f"Stopped: {count(writer.written, 'caption')} written; the same command goes on from here.")
        raise
    writer.end()


def _write_sheet(file: Path, shots: list[Shot], folder: Path) -> None:
    from plvm.sidecars.album_sheet import write_contact_sheet

    with progress() as advance:
        shown = write_contact_sheet(file, shots, folder, lambda done, total: advance("thumbnails", done, total))
    say(f"{file} shows {count(shown, 'picture')}.")
