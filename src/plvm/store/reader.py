"""Reading concepts so that damage to one of them is damage to that one alone, and is noticed.

In SQLite rows are looked up in the tables themselves, not in an index that may be damaged apart from them, and values are
taken as bytes and numbers whatever a damaged row calls them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, Integer, LargeBinary, String, Table, bindparam, cast, func, select
from sqlalchemy.exc import DatabaseError

from plvm.store.entry import UNREADABLE, Entry
from plvm.store.known import Roster, known_of
from plvm.store.record import Record, as_text, picture_place, shown_names
from plvm.store.store_tables import concepts, count_of, edition_of, references
from plvm.types import Concept


@dataclass(frozen=True)
class Found:
    """What a namespace holds: whole concepts and damaged ones, each by name; `missing`: how many more there should be."""

    whole: list[Concept]
    damaged: list[Entry]
    missing: int = 0


class Reader:
    """Reads the concepts of one namespace within a transaction, which changes none of them while it is used."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self.namespace = namespace
        self._known = known_of(connection)
        self._cipher = self._known.cipher
        self._sqlite = connection.dialect.name == "sqlite"
        self._roster: Roster | None = None

    def rows(self) -> list[tuple[str, int, str]]:
        """(name, row's number, display name, "" where there is none) of all, as they stand there."""
        rows = self._connection.execute(_rows_of(self._sqlite, concepts, "id", "name", "display"), {"namespace": self.namespace})
        show = partial(shown_names, self._cipher, self.namespace)
        return [(name, number, display) for number, (name, display) in ((row.id, show(row.name, row.display)) for row in rows)]

    def roster(self) -> Roster:
        """Who is there."""
        if self._roster is None:
            self._roster = self._read_roster()
        return self._roster

    def _read_roster(self) -> Roster:
        edition = edition_of(self._connection, self.namespace)
        held = self._known.rosters.get(self.namespace)
        if held is None or held.edition != edition or edition is None:
            rows = self.rows()
            people = {name: (number, display) for name, number, display in sorted(rows)}
            held = self._known.rosters[self.namespace] = Roster(edition, people, len(rows))
        return held

    def people(self) -> Mapping[str, str]:
        """Name -> display name, "" where there is none, sorted by name."""
        return self.roster().displays

    def ids(self) -> Mapping[str, int]:
        """Name -> its row's number."""
        return self.roster().numbers

    def missing(self) -> int:
        """How many concepts there should be more than there are: their rows are damaged beyond being found."""
        expected = count_of(self._connection, self.namespace)
        return 0 if expected is None else max(0, expected - self.roster().rows)

    def found(self, chosen: Sequence[int] | None = None) -> Found:
        """The concepts with the row numbers `chosen`, or all; each list is sorted by name."""
        whole: list[Concept] = []
        damaged: list[Entry] = []
        for entry, record in self._records(chosen):
            if record is None or entry.damage:
                damaged.append(entry)
                continue
            try:
                whole.append(record.concept(entry, self._cipher))
            except ValueError as error:
                damaged.append(replace(entry, damage=(str(error),)))
        whole.sort(key=lambda concept: concept.name)
        damaged.sort(key=lambda entry: entry.name)
        return Found(whole, damaged, self.missing() if chosen is None else 0)

    def entries(self, chosen: Sequence[int] | None = None) -> Sequence[Entry]:
        """The concepts with the row numbers `chosen`, or all, without their tokens, damaged ones too, sorted by name; it needs
        no torch."""
        return sorted((entry for entry, _ in self._records(chosen)), key=lambda entry: entry.name)

    def record(self, number: int) -> Record | None:
        """One row with its pictures, damaged or not; None where the database cannot read it."""
        record = self._read([number]).get(number)
        if self._sqlite and record is not None and len(record.pictures) != record.row["pictures"]:  # the index may have lost one
            record = self._read([number], indexed=False).get(number, record)
        return record

    def with_pictures(self, pictures: Sequence[bytes]) -> set[str]:
        """The names of those who keep one of `pictures`."""
        found: set[str] = set()
        for picture in pictures:
            place = picture_place(self.namespace)
            hidden = self._cipher.hide(picture, place)  # of another value each time, but always as long
            alike = (func.length(references.c.picture) == len(hidden)) & (_owner(self._sqlite) == self.namespace)
            if hidden == picture:
                alike &= references.c.picture == picture
            columns = [*_select(self._sqlite, concepts, "id").selected_columns, references.c.picture]
            for row in self._connection.execute(select(*columns).select_from(concepts.join(references)).where(alike)):
                with suppress(ValueError):
                    if self._cipher.show(row.picture, place) == picture:
                        found.add(self._name_of(row.id))
        return found

    def _records(self, chosen: Sequence[int] | None = None) -> Iterator[tuple[Entry, Record | None]]:
        """What each concept is, and its rows, None where they cannot be read."""
        if chosen is None:
            parts: list[tuple[Sequence[int], Sequence[int] | None]] = [([number for _, number, _ in self.rows()], None)]
        else:
            parts = [(some, some) for some in portions(chosen)]
        for numbers, place in parts:
            records = self._read(place)
            yield from (self._looked_at(number, records.get(number)) for number in numbers)

    def _looked_at(self, number: int, record: Record | None) -> tuple[Entry, Record | None]:
        entry = None if record is None else record.entry(self._cipher)
        if entry is None or entry.damage:  # look closer, at this one alone
            record = self.record(number)
            entry = Entry(self._name_of(number), damage=(UNREADABLE,)) if record is None else record.entry(self._cipher)
        return entry, record

    def _name_of(self, number: int) -> str:
        return self.roster().names.get(number, "")

    def _read(self, numbers: Sequence[int] | None, *, indexed: bool = True) -> dict[int, Record]:
        """The rows with these numbers, None: all, with their pictures, by number; {} where damage in the file is in the way."""
        theirs, pictures = _records_of(self._sqlite, numbers is None, indexed)
        place = {"namespace": self.namespace} if numbers is None else {"numbers": list(numbers)}
        try:
            rows = self._connection.execute(theirs, place).mappings()
            records = {row["id"]: Record(dict(row)) for row in rows}
            for row in self._connection.execute(pictures, place).mappings():
                if row["concept_id"] in records:
                    records[row["concept_id"]].pictures[row["position"]] = dict(row)
        except DatabaseError as error:
            if not self._sqlite or is_busy(error):
                raise
            return {}
        return records


@cache  # to make a statement takes longer than to run it
def _rows_of(sqlite: bool, table: Table, *names: str) -> Any:
    """The rows of a `namespace`."""
    return _select(sqlite, table, *names).where(_owner(sqlite) == bindparam("namespace"))


@cache
def _records_of(sqlite: bool, everybody: bool, indexed: bool) -> tuple[Any, Any]:
    """The concepts of a `namespace`, or those with the row `numbers`, and their pictures."""
    if everybody:
        place: Any = _owner(sqlite) == bindparam("namespace")
    else:
        place = concepts.c.id.in_(bindparam("numbers", expanding=True))
    owner = references.c.concept_id if indexed else _unindexed(sqlite, references.c.concept_id)
    pictures = _select(sqlite, references).where(owner.in_(select(concepts.c.id).where(place)))
    return _select(sqlite, concepts).where(place), pictures


def _owner(sqlite: bool) -> Any:
    return _unindexed(sqlite, concepts.c.namespace)


def _unindexed(sqlite: bool, column: Any) -> Any:
    if not sqlite:
        return column
    return column + ("" if isinstance(column.type, String) else 0)


def _select(sqlite: bool, table: Table, *names: str) -> Any:
    columns = [column for column in table.c if not names or column.name in names]
    if not sqlite:
        return select(*columns)
    kinds = [Integer if isinstance(column.type, Integer) else LargeBinary for column in columns]
    taken: list[Any] = [cast(c, kind).label(c.name) for c, kind in zip(columns, kinds, strict=True)]
    return select(*taken)


def portions(numbers: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    """`numbers`, so many at a time as a statement can name."""
    return (numbers[first : first + size] for first in range(0, len(numbers), size))


def namespaces(connection: Connection) -> Counter[str]:
    """Every namespace, as it stands there, and how many concepts it has."""
    column: Any = concepts.c.namespace
    rows = connection.execute(select(cast(column, LargeBinary) if connection.dialect.name == "sqlite" else column))
    return Counter(as_text(row[0]) for row in rows)


def is_busy(error: DatabaseError) -> bool:
    """Whether another program stands in the way: then nothing is known of the row that was asked for."""
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOMEM"))
