"""Writing, renaming and removing the rows of concepts, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, update
from sqlalchemy.exc import IntegrityError

from plvm.store.conflicts import duplicate
from plvm.store.reader import Reader
from plvm.store.record import picture_values, row_values, seals_of
from plvm.store.seal import seal
from plvm.store.store_tables import add_to_count, concepts, mark_unscrubbed, references
from plvm.types import Concept


def write(connection: Connection, namespace: str, new: Sequence[tuple[Concept, bytes]]) -> None:
    """New concepts, each with its tokens as bytes. Raises DuplicateConceptError."""
    for concept, tokens in new:
        _write(connection, namespace, concept, tokens)
    add_to_count(connection, namespace, len(new))


def _write(connection: Connection, namespace: str, concept: Concept, tokens: bytes) -> None:
    row: dict[str, Any] = {f: getattr(concept, f) for f in ("name", "aligner", "notes", "created")}
    pictures = list(concept.references)
    display = concept.display if concept.display else None
    row |= {"namespace": namespace, "display": display, "pictures": len(pictures)}
    try:  # the seals cover the row's number, which is not known before
        made = connection.execute(insert(concepts).values(row | {"tokens": b""}))
    except IntegrityError:  # another writer came between; cannot happen in SQLite, where writers wait in line
        raise duplicate([concept.name]) from None
    row |= {"id": (made.inserted_primary_key or (None,))[0], "tokens": tokens}
    values = {"tokens": tokens, **seals_of(row)}
    connection.execute(update(concepts).where(concepts.c.id == row["id"]).values(values))
    for position, picture in enumerate(pictures):
        own = {"concept_id": row["id"], "position": position, "picture": picture}
        connection.execute(insert(references).values(own | {"seal": seal(picture_values(own))}))


def rename(connection: Connection, namespace: str, old: str, new: str, display: str) -> None:
    """Give the whole concept called `old` the free name `new` and another display name."""
    reader = Reader(connection, namespace)
    record = reader.record(reader.ids()[old])
    assert record is not None and not record.entry().damage, "a new seal must not make damage look whole"
    mark_unscrubbed(connection)
    names = {"name": new, "display": display if display else None}
    values = names | {"seal": seal(row_values(record.row | names))}
    connection.execute(update(concepts).where(concepts.c.id == record.row["id"]).values(values))


def remove(connection: Connection, namespace: str, names: Collection[str]) -> None:
    """Remove concepts with their pictures, damaged or not, and note that their bytes are still to be overwritten."""
    if not names:
        return
    mark_unscrubbed(connection)
    ids = [number for name, number, _ in Reader(connection, namespace).rows() if name in names]
    connection.execute(delete(references).where(references.c.concept_id.in_(ids)))
    connection.execute(delete(concepts).where(concepts.c.id.in_(ids)))
    add_to_count(connection, namespace, -len(ids))
