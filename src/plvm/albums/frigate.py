"""Frigate: the faces that a home camera was taught, in its folder.

As its documentation has it (https://docs.frigate.video/configuration/face_recognition): faces lie in `clips/faces` of the media
folder, everybody's in a folder of their own, and in no database. A new name's blanks become "_". The folder `train` beside them
holds faces that nobody has named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from plvm.albums.album import MissingPicture, Sitter
from plvm.errors import RequestError
from plvm.people import SUFFIXES

FACES = 4  # of somebody, the largest: a camera has many that are alike
UNNAMED = "train"


class Frigate:
    """The faces in `folder`: Frigate's media folder, `clips` or `clips/faces` in it. Raises RequestError where there are none."""

    def __init__(self, folder: Path) -> None:
        self.folder = next((f for f in (folder / "clips" / "faces", folder / "faces", folder) if f.is_dir()), folder)
        if not self.folder.is_dir():
            raise RequestError(
                f"{folder} is not a folder.", "Name Frigate's media folder, where clips/faces/NAME/ has the pictures."
            )
        self.label = f"Frigate {self.folder.resolve()}"

    def people(self) -> Iterator[Sitter]:
        """Everybody who has a folder with a picture."""
        try:
            folders = sorted(entry for entry in self.folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
            for folder in folders:
                faces = _largest(folder)
                if folder.name != UNNAMED and faces:
                    mark = hashlib.sha256(repr([(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in faces]).encode())
                    places = tuple(f"{folder.name}/{face.name}" for face in faces)
                    yield Sitter(folder.name, folder.name.replace("_", " ").strip(), places, mark.hexdigest())
        except OSError as error:
            raise RequestError(f"{self.folder} cannot be read: {error.strerror}.", "Check its permissions.") from None

    def picture(self, place: str) -> bytes:
        """The file `place`, "NAME/FILE"."""
        from plvm.images import MAX_BYTES

        try:
            with open(self.folder / place, "rb") as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            raise MissingPicture(f"{place} cannot be read: {error.strerror}.", "Check its permissions.") from None

    def close(self) -> None:
        """Nothing to let go of."""


def _largest(folder: Path) -> list[Path]:
    """The largest picture files in `folder`: the more bytes, the more of a face is to be seen."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith(".") and f.is_file()]
    return sorted(files, key=lambda f: (-f.stat().st_size, f.name))[:FACES]
