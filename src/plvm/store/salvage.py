"""What is whole in a damaged SQLite store, found in the bytes of its file without SQLite, and made a store again.

A row is looked for by what its header in the file must look like; its seal decides whether it is one. So it does not matter
what else is damaged, and nothing is taken for a concept that was not written as one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plvm.errors import StoreError
from plvm.store.cipher import SIGN
from plvm.store.database import Database
from plvm.store.record import TEXTS, Row, as_text, picture_values, row_values, token_values
from plvm.store.seal import SIZE, is_whole, mended
from plvm.store.sqlite_pages import Pages
from plvm.store.unfinished import unfinished
from plvm.store.writer import NewRow, write

# A record's header: its length, then a number for every value that says kind and length. Those of a concept: NULL for the row's
# number (it stands before the header), six texts, an integer, two seals, the tokens; those of a picture: two integers, a seal,
# the picture.
_ANY, _INTEGER, _SEAL = rb"(?:[\x80-\xff]{0,4}[\x00-\x7f])", rb"[\x01-\x06\x08\x09]", bytes([12 + 2 * SIZE])
_CONCEPT = re.compile(rb"(?=([\x0c-\x30]\x00" + _ANY + rb"{6}" + _INTEGER + _SEAL + _SEAL + _ANY + rb"))", re.DOTALL)
_PICTURE = re.compile(rb"(?=([\x05-\x0c]" + _INTEGER + _INTEGER + _SEAL + _ANY + rb"))", re.DOTALL)
_CONCEPT_COLUMNS = (*TEXTS, "pictures", "seal", "tokens_seal", "tokens")
_PICTURE_COLUMNS = ("concept_id", "position", "seal", "picture")


@dataclass
class Salvaged:
    """What came of it: `concepts` are in the new file, `notes` say what was mended or left behind, `old` is the damaged file."""

    concepts: int = 0
    notes: list[str] = field(default_factory=list)
    old: Path = Path()


def salvage(path: str | Path, secret: bytes | None = None) -> Salvaged:
    """Put every concept that is whole in the damaged file `path`, or can be mended, into a new file in its place; the damaged one
    is kept beside it. A row whose tokens alone are damaged comes along as it is. Raises StoreError where nothing is found."""
    result, path = Salvaged(), Path(path)
    try:
        pages = Pages(path)
        rows, pictures = _concepts_in(pages), _pictures_in(pages)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
    if not rows:
        raise StoreError(
            f"No concept was found in {path}. It was not touched.",
            "Put a backup in its place, or move it away and `plvm import` what you exported before.",
        )
    if not any(as_text(row["name"]).startswith(SIGN) for row in rows.values()):
        secret = None
    elif secret is None:
        hint = "Name the file of its key with --store-key, or set PLVM_STORE_KEY."
        raise StoreError(f"What {path} holds is encrypted.", hint)
    kept = [_kept(row, pictures.get(number, {}), result.notes) for number, row in rows.items()]
    try:
        with unfinished(path.parent, ".plvm-repair-") as temporary:
            with (
                Database.open(temporary, label=str(path), secret=secret) as database,
                database.transaction(write=True) as connection,
            ):
                write(connection, kept)
            result.concepts, result.old = len(kept), _free_name(path)
            _swap(path, temporary, result.old)
    except OSError as error:
        raise StoreError(f"{path} cannot be replaced: {error.strerror}.", "Check the permissions of its folder.") from None
    return result


def _concepts_in(pages: Pages) -> dict[int, Row]:
    """The rows of concepts by number, each as written, or mended to it."""
    rows: dict[int, Row] = {}
    for cell in pages.cells(_CONCEPT):
        for number in cell.row_numbers():
            row = {"id": number, **_row(_CONCEPT_COLUMNS, cell.values[1:])}
            if (values := mended(row_values(row), row["seal"])) is None:
                continue
            good = row | _row(("id", *TEXTS, "pictures"), values)
            tokens = mended(token_values(good), row["tokens_seal"])
            good |= {"tokens": row["tokens"] if tokens is None else tokens[1], "tokens_whole": tokens is not None}
            good["mended"] = not is_whole(row_values(row), row["seal"]) or good["tokens"] != row["tokens"]
            old = rows.setdefault(good["id"], good)
            if old["mended"] or not old["tokens_whole"]:
                rows[good["id"]] = good
    return rows


def _pictures_in(pages: Pages) -> dict[int, dict[int, Row]]:
    """The rows of pictures by their concept's number and position, each as written, or mended to it."""
    pictures: dict[int, dict[int, Row]] = {}
    for cell in pages.cells(_PICTURE):
        row = _row(_PICTURE_COLUMNS, cell.values)
        values = mended(picture_values(row), row["seal"]) if cell.fits(None) else None
        if values is not None:
            good = _row(("concept_id", "position", "picture"), values)
            good["mended"] = values != picture_values(row)
            pictures.setdefault(good["concept_id"], {})[good["position"]] = good
    return pictures


def _row(columns: Sequence[str], values: Sequence[Any]) -> Row:
    return dict(zip(columns, values, strict=True))


def _kept(row: Row, pictures: dict[int, Row], notes: list[str]) -> NewRow:
    """A row and its pictures as they are kept from now on; `notes` get what was mended or lost."""
    texts = {column: as_text(row[column]) for column in TEXTS}
    if row["mended"] or any(picture["mended"] for picture in pictures.values()):
        notes.append(f"<{texts['name']}> was mended")
    if lost := row["pictures"] - len(pictures):
        notes.append(f"<{texts['name']}> lost {lost} of its {row['pictures']} pictures")
    own = [pictures[position]["picture"] for position in sorted(pictures)]
    return NewRow(texts, row["tokens"], own, row["tokens_whole"], hidden=True)


def _free_name(path: Path) -> Path:
    for number in range(1, 10_000):
        place = path.with_name(f"{path.name}.damaged" + (f"-{number}" if number > 1 else ""))
        if not place.exists():
            return place
    raise StoreError(f"{path} was repaired too often.", f"Delete the files {path.name}.damaged-*.")


def _swap(path: Path, new: Path, old: Path) -> None:
    """`path` and its log become `old`, `new` becomes `path`; at every moment the one or the other is there."""
    try:
        os.link(path, old)
    except OSError:  # not every file system gives a file two names
        shutil.copy2(path, old)
    for ending in ("-wal", "-shm", "-journal"):  # the log of the damaged file must not be taken for the new one's
        log = path.with_name(path.name + ending)
        if log.exists():
            os.replace(log, old.with_name(old.name + ending))
    os.replace(new, path)
