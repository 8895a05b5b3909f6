"""What is whole in a store and what is not: every page of its file, every row, every picture."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from plvm.errors import DamagedStoreError
from plvm.store.database import Database
from plvm.store.reader import Reader
from plvm.store.record import Damage
from plvm.store.tables import concepts


@dataclass(frozen=True)
class Health:
    """The state of a store. `concepts` and `pictures` are whole in this namespace, `damaged` are not, `missing` more should be
    there; `elsewhere` are damaged or missing in other namespaces; `flaws` are what SQLite says of its file."""

    concepts: int
    pictures: int
    damaged: tuple[Damage, ...]
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
        again = all(damage.remains is not None for damage in self.damaged)
        return bool(self.missing or self.elsewhere or self.flaws or not again)


def examine(database: Database, namespace: str) -> Health:
    """Look at everything in a store. Raises StoreError where it cannot be read for another reason than damage."""
    flaws = tuple(database.flaws())
    try:
        with database.transaction(write=False) as connection:
            reader = Reader(connection, namespace)
            own = reader.found()
            others = set(connection.execute(select(concepts.c.namespace)).scalars()) - {namespace}
            found = [Reader(connection, other).found() for other in sorted(others)]
    except DamagedStoreError as error:
        return Health(0, 0, (), 0, 0, flaws if flaws else (error.message,))
    elsewhere = sum(len(other.damaged) + other.missing for other in found)
    pictures = sum(len(concept.references) for concept in own.whole)
    return Health(len(own.whole), pictures, tuple(own.damaged), own.missing, elsewhere, flaws)
