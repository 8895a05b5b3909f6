"""What is whole in a store and what is not: every page of its file, every row, every picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from plvm.errors import DamagedStoreError
from plvm.store.database import Database
from plvm.store.entry import Entry
from plvm.store.reader import Reader, namespaces
from plvm.store.store_tables import noted_counts


@dataclass(frozen=True)
class Health:
    """The state of a store. `concepts` and `pictures` are whole in this namespace, `damaged` are not, `missing` more should be
    there; `elsewhere` are damaged or missing in other namespaces; `flaws` are what SQLite says of its file."""

    concepts: int
    pictures: int
    damaged: tuple[Entry, ...]
    missing: int
    elsewhere: int
    flaws: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether everything is what was written."""
        return not (self.damaged or self.missing or self.elsewhere or self.flaws)

    @property
    def needs_salvage(self) -> bool:
        """Whether there is damage that enrolling again does not mend."""
        again = all(entry.can_be_made_again for entry in self.damaged)
        return bool(self.missing or self.elsewhere or self.flaws or not again)


def examine(database: Database, namespace: str) -> Health:
    """Look at everything in a store. Raises StoreError where it cannot be read for another reason than damage."""
    flaws = database.flaws()
    try:
        with database.transaction(write=False) as connection:
            counts = namespaces(connection)
            own = Reader(connection, namespace).found()
            others = sum(_damaged_in(connection, other, count) for other, count in counts.items() if other != namespace)
            flaws += [] if _are_counted(connection, counts) else ["the number of concepts is not what was noted"]
    except DamagedStoreError as error:
        return Health(0, 0, (), 0, 0, tuple(flaws) if flaws else (error.message,))
    pictures = sum(len(concept.references) for concept in own.whole)
    return Health(len(own.whole), pictures, tuple(own.damaged), own.missing, others, tuple(flaws))


def _damaged_in(connection: Connection, namespace: str, count: int) -> int:
    """How many of the `count` concepts of a namespace are not whole, or not there."""
    found = Reader(connection, namespace).found()
    return count - len(found.whole) + found.missing


def _are_counted(connection: Connection, counts: Mapping[str, int]) -> bool:
    return noted_counts(connection) == {namespace: count for namespace, count in counts.items() if count}
