"""Writing, renaming and removing the rows of concepts, within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, update
from sqlalchemy.exc import IntegrityError

from plvm.store.conflicts import duplicate
from plvm.store.postgresql import has_vectors, keep_vector
from plvm.store.reader import Reader
from plvm.store.record import Row, picture_values, row_values, seals_of
from plvm.store.seal import seal
from plvm.store.store_tables import add_to_count, concepts, keys, mark_unscrubbed, new_edition, references
from plvm.store.tokens import key_in


@dataclass(frozen=True)
class NewRow:
    """A concept to be kept: its texts by column, its tokens as bytes. Tokens that are damaged already get no seal."""

    texts: Mapping[str, str]
    tokens: bytes
    pictures: Sequence[bytes]
    tokens_whole: bool = True


def write(connection: Connection, new: Sequence[NewRow]) -> None:
    """Keep new concepts. Raises DuplicateConceptError."""
    for one in new:
        _write(connection, one)
    for namespace, count in Counter(one.texts["namespace"] for one in new).items():
        add_to_count(connection, namespace, count)
        new_edition(connection, namespace)


def _write(connection: Connection, new: NewRow) -> None:
    row: Row = {**new.texts, "pictures": len(new.pictures), "tokens": b""}
    try:  # the seals cover the row's number, which is not known before
        made = connection.execute(insert(concepts).values(row))
    except IntegrityError:  # another program came between; plvm's own writers wait in line
        raise duplicate([new.texts["name"]]) from None
    row |= {"id": (made.inserted_primary_key or (None,))[0], "tokens": new.tokens}
    values = {"tokens": new.tokens, **seals_of(row)} | ({} if new.tokens_whole else {"tokens_seal": None})
    connection.execute(update(concepts).where(concepts.c.id == row["id"]).values(values))
    for position, picture in enumerate(new.pictures):
        own = {"concept_id": row["id"], "position": position, "picture": picture}
        connection.execute(insert(references).values(own | {"seal": seal(picture_values(own))}))
    write_key(connection, row["id"], key_in(new.tokens))


def write_key(connection: Connection, number: int, key: bytes) -> None:
    """Keep the key of the concept in row `number`, for retrieval; b"" is none."""
    if key:
        connection.execute(insert(keys).values(concept_id=number, key=key))
        if connection.dialect.name == "postgresql" and has_vectors(connection):
            keep_vector(connection, number, key)


def rename(connection: Connection, namespace: str, old: str, new: str, display: str) -> None:
    """Give the whole concept called `old` the free name `new` and another display name."""
    reader = Reader(connection, namespace)
    record = reader.record(reader.ids()[old])
    assert record is not None and not record.entry().damage, "a new seal must not make damage look whole"
    mark_unscrubbed(connection)
    names = {"name": new, "display": display}
    values = names | {"seal": seal(row_values(record.row | names))}
    connection.execute(update(concepts).where(concepts.c.id == record.row["id"]).values(values))
    new_edition(connection, namespace)


def remove(connection: Connection, namespace: str, names: Collection[str]) -> None:
    """Remove concepts with their pictures, damaged or not, and note that their bytes are still to be overwritten."""
    if not names:
        return
    mark_unscrubbed(connection)
    ids = [number for name, number, _ in Reader(connection, namespace).rows() if name in names]
    for theirs in (references, keys):
        connection.execute(delete(theirs).where(theirs.c.concept_id.in_(ids)))
    connection.execute(delete(concepts).where(concepts.c.id.in_(ids)))
    add_to_count(connection, namespace, -len(ids))
    new_edition(connection, namespace)
