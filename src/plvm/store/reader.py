"""Reading concepts so that damage to one of them is damage to that one alone, and is noticed.

In SQLite rows are looked up in the tables themselves, not in an index that may be damaged apart from them, and values are
taken as bytes and numbers whatever a damaged row calls them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, LargeBinary, String, cast, func, select
from sqlalchemy.exc import DatabaseError

from plvm.store.record import Damage, Record
from plvm.store.store_tables import concepts, count_of, references
from plvm.types import Concept

_NUMBERS = ("id", "concept_id", "position", "pictures")
UNREADABLE = ("its row in the file cannot be read",)


@dataclass(frozen=True)
class Found:
    """What a namespace holds: whole concepts and damaged ones, each by name; `missing`: how many more there should be."""

    whole: list[Concept]
    damaged: list[Damage]
    missing: int = 0


class Reader:
    """Reads the concepts of one namespace within a transaction."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self.namespace = namespace
        self._sqlite = connection.dialect.name == "sqlite"

    def rows(self) -> list[tuple[str, int, str]]:
        """The names as they stand there, their rows' numbers, and the display names ("" where there is none)."""
        rows = self._connection.execute(self._select(concepts, "id", "name", "display").where(self._own()))
        return [(_text(row.name), row.id, _text(row.display)) for row in rows]

    def people(self) -> dict[str, str]:
        """Name -> display name, "" where there is none."""
        return {name: display for name, _, display in self.rows()}

    def ids(self) -> dict[str, int]:
        """Name -> its row's number."""
        return {name: number for name, number, _ in self.rows()}

    def missing(self) -> int:
        """How many concepts there should be more than there are: their rows are damaged beyond being found."""
        expected = count_of(self._connection, self.namespace) if self._sqlite else None
        return 0 if expected is None else max(0, expected - len(self.rows()))

    def found(self, chosen: Sequence[int] | None = None) -> Found:
        """The concepts with the row numbers `chosen`, or all; each list is sorted by name."""
        names = {number: name for name, number, _ in self.rows()}
        records = self._records() if chosen is None else {}
        whole: list[Concept] = []
        damaged: list[Damage] = []
        for number in names if chosen is None else chosen:
            record = records.get(number)
            damage = None if record is None else record.damage()
            if record is None or damage is not None:  # look closer
                record = self.record(number)
                damage = Damage(names[number], UNREADABLE) if record is None else record.damage()
            if damage is None and record is not None:
                try:
                    whole.append(record.concept())
                except (ValueError, TypeError) as error:
                    damage = Damage(names[number], (str(error),))
            if damage is not None:
                damaged.append(damage)
        whole.sort(key=lambda concept: concept.name)
        damaged.sort(key=lambda damage: damage.name)
        return Found(whole, damaged, self.missing() if chosen is None else 0)

    def record(self, number: int) -> Record | None:
        """One row with its pictures, damaged or not; None where the database cannot read it."""
        try:
            row = self._connection.execute(self._select(concepts).where(concepts.c.id == number)).mappings().first()
            if row is None:
                return None
            record = _record(row)
            record.images = self._images(references.c.concept_id == number).get(number, {})
            if self._sqlite and len(record.images) != record.values["pictures"]:  # the index may have lost one
                record.images = self._images(self._unindexed(references.c.concept_id) == number).get(number, {})
        except DatabaseError as error:
            if not self._sqlite or is_busy(error):
                raise
            return None
        return record

    def _records(self) -> dict[int, Record]:
        """All rows with their pictures at once, which is quicker; {} where damage in the file is in the way."""
        try:
            rows = self._connection.execute(self._select(concepts).where(self._own())).mappings()
            records = {row["id"]: _record(row) for row in rows}
            own = references.c.concept_id.in_(select(concepts.c.id).where(self._own()))
            for number, images in self._images(own).items():
                if number in records:
                    records[number].images = images
        except DatabaseError as error:
            if not self._sqlite or is_busy(error):
                raise
            return {}
        return records

    def with_pictures(self, pictures: Sequence[bytes]) -> set[str]:
        """The names of those who keep one of `pictures`."""
        found: set[str] = set()
        for picture in pictures:
            same = (func.length(references.c.picture) == len(picture)) & (references.c.picture == picture)
            rows = self._connection.execute(self._select(concepts, "name").join(references).where(same & self._own()))
            found |= {_text(row.name) for row in rows}
        return found

    def _own(self) -> Any:
        return self._unindexed(concepts.c.namespace) == self.namespace

    def _images(self, place: Any) -> dict[int, dict[int, tuple[bytes, bytes | None]]]:
        """The pictures with their seals, by concept and position."""
        found: dict[int, dict[int, tuple[bytes, bytes | None]]] = {}
        for row in self._connection.execute(self._select(references).where(place)):
            found.setdefault(row.concept_id, {})[row.position] = (row.picture, row.seal)
        return found

    def _unindexed(self, column: Any) -> Any:
        if not self._sqlite:
            return column
        return column + ("" if isinstance(column.type, String) else 0)

    def _select(self, table: Any, *names: str) -> Any:
        columns = [column for column in table.c if not names or column.name in names]
        if not self._sqlite:
            return select(*columns)
        kinds = [Integer if column.name in _NUMBERS else LargeBinary for column in columns]
        taken: list[Any] = [cast(c, kind).label(c.name) for c, kind in zip(columns, kinds, strict=True)]
        return select(*taken)


def _record(row: Mapping[Any, Any]) -> Record:
    return Record(row["id"], {key: value for key, value in row.items() if key != "id"})


def namespaces(connection: Connection) -> Counter[str]:
    """Every namespace, as it stands there, and how many concepts it has."""
    column: Any = concepts.c.namespace
    rows = connection.execute(select(cast(column, LargeBinary) if connection.dialect.name == "sqlite" else column))
    return Counter(_text(row[0]) for row in rows)


def is_busy(error: DatabaseError) -> bool:
    """Whether another program stands in the way: then nothing is known of the row that was asked for."""
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOMEM"))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)
