"""`plvm watch`: captions with names for new pictures, in files beside them."""

from __future__ import annotations

import time
from typing import Annotated

from typer import Option, Typer

from plvm.cli import options as o
from plvm.cli.captions import AsJson, AsXmp, Pictures, Writer, sidecars_of
from plvm.cli.console import count, say
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError


def register(app: Typer) -> None:
    add_verb(app, "watch", watch, "Pictures", "FOLDER")


def watch(
    folder: Pictures,
    json: AsJson = False,
    xmp: AsXmp = False,
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
    from plvm.sidecars.watch import Watched

    if every <= 0:
        raise RequestError("--every has to be more than 0 seconds.", "Say for example --every 5.")
    watched = Watched(folder, sidecars_of(json=json, xmp=xmp))
    writer = Writer(watched, store, model)
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
    writer.end()
