"""Finding pictures in a folder that have no caption yet.

The folder is looked through again and again: network drives, where photographs live, tell nobody of new files. A picture that is
still being written is left until it rests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from plvm.errors import PlvmError, RequestError
from plvm.people import SUFFIXES
from plvm.sidecars.sidecar import Sidecar

REST = 2.0  # seconds after which a file counts as written
HIDDEN = (".", "@", "#")  # folders of systems: .thumbnails, @eaDir, #recycle


@dataclass(frozen=True)
class Shot:
    """A picture file; `mark` is another one when the file is."""

    path: Path
    mark: str
    written: float  # seconds since 1970


class Watched:
    """The pictures in and below `folder`, and what `sidecars` say of them. Raises RequestError for what is no folder."""

    def __init__(self, folder: Path, sidecars: Sequence[Sidecar], *, now: Callable[[], float] = time.time) -> None:
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise RequestError(f"{folder} {what}.", "Name the folder where the pictures are.")
        self.folder, self.sidecars, self._now = folder, sidecars, now
        self._dealt: dict[Path, str] = {}  # with which mark a picture was captioned, or given up
        self._last: dict[Path, str] = {}  # the marks of the last look

    def pictures(self) -> list[Shot]:
        """All pictures, oldest first. Raises RequestError where the folder cannot be read."""
        return sorted(_shots(self.folder), key=_age)

    def waiting(self, complain: Callable[[Path, PlvmError], object], *, all_: bool = False) -> list[Shot]:
        """Pictures without a caption, oldest first; `complain` hears of those whose sidecar cannot be used. With `all_` also
        those that may still be growing. Raises RequestError where the folder cannot be read."""
        shots = {shot.path: shot for shot in _shots(self.folder)}
        self._dealt = {path: mark for path, mark in self._dealt.items() if path in shots}
        found = []
        for shot in shots.values():
            resting = all_ or self._now() - shot.written > REST or self._last.get(shot.path) == shot.mark
            if self._dealt.get(shot.path) != shot.mark and resting:
                try:
                    done = all(sidecar.mark(shot.path) == shot.mark for sidecar in self.sidecars)
                except PlvmError as error:
                    complain(shot.path, error)
                    done = True
                if done:
                    self.deal(shot)
                else:
                    found.append(shot)
        self._last = {path: shot.mark for path, shot in shots.items()}
        return sorted(found, key=_age)

    def deal(self, shot: Shot) -> None:
        """Note that a picture is captioned, or given up until it is another one."""
        self._dealt[shot.path] = shot.mark


def _age(shot: Shot) -> tuple[float, Path]:
    return shot.written, shot.path


def _shots(folder: Path) -> Iterator[Shot]:
    """The pictures in and below a folder; of links to folders none."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise RequestError(f"{folder} cannot be read: {error.strerror}.", "Check its permissions.") from None
    for entry in found:
        if entry.name.startswith(HIDDEN):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _shots(Path(entry.path))
        elif entry.name.lower().endswith(SUFFIXES):
            try:
                about = entry.stat()
            except OSError:  # it went away meanwhile, or is a link to nowhere
                continue
            yield Shot(Path(entry.path), f"{about.st_size}-{about.st_mtime_ns}", about.st_mtime)
