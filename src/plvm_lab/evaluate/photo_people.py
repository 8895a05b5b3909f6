"""The people of a folder of photographs, and which of them are for what: decided by a seed before anything else.

PHOTOS/<person>/*.jpg.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from plvm.errors import RequestError
from plvm.people import SUFFIXES

SEED, TEST, VAL, STRANGERS = 24, 34, 60, 200  # of the family that is built from photographs
_LEAST, _MOST = 6, 20  # pictures of somebody who is tested
Split = Mapping[str, Sequence[str]]


def people_in(photos: Path) -> dict[str, list[Path]]:
    """Each person's pictures. Raises RequestError where there are none."""
    folders = sorted(p for p in photos.iterdir() if p.is_dir()) if photos.is_dir() else []
    found = {p.name: sorted(q for q in p.iterdir() if q.suffix.lower() in SUFFIXES) for p in folders}
    if not (found := {name: files for name, files in found.items() if files}):
        raise RequestError(f"There is no picture of anybody in {photos}.", "Lay them out as PHOTOS/NAME/picture.jpg.")
    return found


def split_people(people: Mapping[str, Sequence[Path]], seed: int, *, test: int, val: int, strangers: int) -> Split:
    """Names by what they are for: `test` and `val` people with 6 to 20 pictures, as many `strangers` for either with fewer, and
    "train", the others."""

    def ranked(what: str, names: Sequence[str]) -> list[str]:
        return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{what}:{name}".encode()).hexdigest())

    many = ranked("many", [n for n, files in people.items() if _LEAST <= len(files) <= _MOST])
    few = ranked("few", [n for n, files in people.items() if len(files) < _LEAST])
    split = {
        "test": many[:test], "val": many[test : test + val], "test_strangers": few[:strangers],
        "val_strangers": few[strangers : 2 * strangers],
    }  # fmt: skip
    taken = {name for names in split.values() for name in names}
    return split | {"train": sorted(set(people) - taken)}
