"""Which face of a reference is meant: the options that say so, and the sheet from which somebody can tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from plvm.cli.console import say
from plvm.errors import ImageError, RequestError, WhichFaceError
from plvm.runtime import home_folder

SHEET = "which-face.png"


def box_of(text: str) -> tuple[float, float, float, float] | None:
    """The box that --box says; None where it says nothing. Raises RequestError."""
    if not text:
        return None
    try:
        left, top, right, bottom = map(float, text.split(","))
    except ValueError:
        raise RequestError(f"{text[:40]!r} is no box.", "Write it as --box LEFT,TOP,RIGHT,BOTTOM, in pixels.") from None
    return left, top, right, bottom


def with_sheet(error: WhichFaceError) -> ImageError:
    """The error with a hint that names a picture of the numbered faces, written here for whoever reads it."""
    from plvm.vision.crop_sheet import crop_sheet

    path = home_folder(os.environ).value / SHEET
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    crop_sheet(error.picture, error.boxes).save(path)
    return ImageError(error.message, f"{path} shows them with numbers: say --face N, or --box LEFT,TOP,RIGHT,BOTTOM.")


def tell_strangers(word: str, files: Sequence[str | Path], total: int) -> None:
    """Say which of the `total` pictures of `<word>` seem to show somebody else than the others: those in `files`."""
    if len(files) == total:
        say(f"The {total} pictures of <{word}> do not seem to show the same person: keep those that do.")
    elif files:
        verb = "seems" if len(files) == 1 else "seem"
        say(f"{', '.join(map(str, files))} {verb} to show somebody else than the other pictures of <{word}>: look at them again.")
