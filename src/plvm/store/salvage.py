"""What is whole in a damaged SQLite store, found in the bytes of its file without SQLite, and made a store again.

A row is looked for by what its header in the file must look like; its seal decides whether it is one. So it does not matter
what else is damaged, and nothing is taken for a concept that was not written as one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import insert

from plvm.errors import StoreError
from plvm.store.database import Database
from plvm.store.record import TEXTS, Row, as_text, picture_values, row_values, seals_of, token_values
from plvm.store.seal import SIZE, Value, is_whole, mended, seal
from plvm.store.sqlite_pages import Cell, Pages
from plvm.store.store_tables import add_to_count, concepts, references
from plvm.store.unfinished import unfinished

# A record's header: its length, then a number for every value that says kind and length. Those of a concept: NULL for the row's
# number (it stands before the header), six texts, an integer, two seals, the tokens; those of a picture: two integers, a seal,
# the picture.
_ANY, _INTEGER, _SEAL = rb"(?:[\x80-\xff]{0,4}[\x00-\x7f])", rb"[\x01-\x06\x08\x09]", bytes([12 + 2 * SIZE])
_CONCEPT = re.compile(rb"(?=([\x0c-\x30]\x00" + _ANY + rb"{6}" + _INTEGER + _SEAL + _SEAL + _ANY + rb"))", re.DOTALL)
_PICTURE = re.compile(rb"(?=([\x05-\x0c]" + _INTEGER + _INTEGER + _SEAL + _ANY + rb"))", re.DOTALL)
_CONCEPT_COLUMNS = ("id", *TEXTS, "pictures", "seal", "tokens_seal", "tokens")
_PICTURE_COLUMNS = ("concept_id", "position", "seal", "picture")


@dataclass
class Salvaged:
    """What came of it: `concepts` are in the new file, `notes` say what was mended or left behind, `old` is the damaged file."""

    concepts: int = 0
    notes: list[str] = field(default_factory=list)
    old: Path = Path()


def salvage(path: str | Path) -> Salvaged:
    """Put every concept that is whole in the damaged file `path`, or can be mended, into a new file in its place; the damaged one
    is kept beside it. A row whose tokens alone are damaged comes along as it is. Raises StoreError where nothing is found."""
    result, path = Salvaged(), Path(path)
    try:
        rows, pictures = _rows_in(Pages(path))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
    if not rows:
        raise StoreError(
            f"No concept was found in {path}. It was not touched.",
            "Put a backup in its place, or move it away and `plvm import` what you exported before.",
        )
    sealed = [_resealed(row, pictures.get(row["id"], {}), result.notes) for row in rows.values()]
    try:
        with unfinished(path.parent, ".plvm-repair-") as temporary:
            with Database.open(temporary, label=str(path)) as database:
                _write(database, sealed)
            result.concepts, result.old = len(sealed), _free_name(path)
            _swap(path, temporary, result.old)
    except OSError as error:
        raise StoreError(f"{path} cannot be replaced: {error.strerror}.", "Check the permissions of its folder.") from None
    return result


def _rows_in(pages: Pages) -> tuple[dict[int, Row], dict[int, dict[int, Row]]]:
    """Concepts by number, pictures by number and position: each as written, or mended to it."""
    rows: dict[int, Row] = {}
    pictures: dict[int, dict[int, Row]] = {}
    for cell in pages.cells(_CONCEPT):
        for found in _concept_rows(cell):
            if found["id"] not in rows or rows[found["id"]]["mended"] or not _tokens_whole(rows[found["id"]]):
                rows[found["id"]] = found
    for cell in pages.cells(_PICTURE):
        row: Row = dict(zip(_PICTURE_COLUMNS, cell.values, strict=True))
        values = mended(picture_values(row), row["seal"]) if cell.fits(None) else None
        if values is not None:
            was_whole = is_whole(picture_values(row), row["seal"])
            row = dict(zip(("concept_id", "position", "picture"), values, strict=True))
            row["mended"] = not was_whole
            pictures.setdefault(row["concept_id"], {})[row["position"]] = row
    return rows, pictures


def _concept_rows(cell: Cell) -> Iterator[Row]:
    """The row of a concept that a cell may be, once for every number that may stand before it and fits its seal."""
    for number in cell.row_numbers():
        row = dict(zip(_CONCEPT_COLUMNS, (number, *cell.values[1:]), strict=True))
        values = mended(row_values(row), row["seal"])
        if values is None:
            continue
        was_whole = is_whole(row_values(row), row["seal"])
        row |= dict(zip(("id", *TEXTS, "pictures"), values, strict=True))
        tokens = mended(token_values(row), row["tokens_seal"])
        if tokens is None:
            yield row | {"mended": not was_whole}
        else:
            yield row | {"tokens": tokens[1], "mended": not (was_whole and _tokens_whole(row))}


def _tokens_whole(row: Row) -> bool:
    return is_whole(token_values(row), row["tokens_seal"])


def _resealed(row: Row, pictures: dict[int, Row], notes: list[str]) -> tuple[Row, list[Row]]:
    """A row and its pictures as they are kept from now on: pictures in a row, everything whole sealed, damaged tokens not."""
    texts = {column: as_text(row[column]) for column in TEXTS}
    lost = row["pictures"] - len(pictures)
    if row.pop("mended") + sum(picture["mended"] for picture in pictures.values()):
        notes.append(f"<{texts['name']}> was mended")
    if lost:
        notes.append(f"<{texts['name']}> lost {lost} of its {row['pictures']} pictures")
    own: list[Row] = []
    for position, key in enumerate(sorted(pictures)):
        picture = {"concept_id": row["id"], "position": position, "picture": pictures[key]["picture"]}
        own.append(picture | {"seal": seal(picture_values(picture))})
    kept = row | texts | {"display": texts["display"] or None, "pictures": len(own)}
    seals: dict[str, Value | None] = dict(seals_of(kept))
    return kept | seals | ({} if _tokens_whole(row) else {"tokens_seal": None}), own


def _write(database: Database, sealed: list[tuple[Row, list[Row]]]) -> None:
    with database.transaction(write=True) as connection:
        for row, pictures in sealed:
            connection.execute(insert(concepts).values(row))
            for picture in pictures:
                connection.execute(insert(references).values(picture))
        for namespace, count in Counter(row["namespace"] for row, _ in sealed).items():
            add_to_count(connection, namespace, count)


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
