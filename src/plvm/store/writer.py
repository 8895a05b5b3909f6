"""Writing, renaming and removing the rows of concepts, within the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, insert, update
from sqlalchemy.exc import IntegrityError

from plvm.store import retention
from plvm.store.conflicts import duplicate
from plvm.store.known import known_of
from plvm.store.postgresql import compares, keep_vector
from plvm.store.reader import Reader, portions
from plvm.store.record import (
    Row,
    hidden_row,
    picture_place,
    picture_values,
    row_values,
    seals_of,
    shown_names,
    tokens_shown,
)
from plvm.store.seal import seal
from plvm.store.store_tables import add_to_count, concepts, keys, mark_unscrubbed, new_edition, references, uses
from plvm.store.tokens import key_in


@dataclass(frozen=True)
class NewRow:
    """A concept to be kept: its texts by column, its tokens as bytes. Tokens that are damaged already get no seal; what is
    `hidden` is encrypted already. `day` is that of its last use, "" today's."""

    texts: Mapping[str, str]
    tokens: bytes
    pictures: Sequence[bytes]
    tokens_whole: bool = True
    hidden: bool = False
    day: str = ""


def write(connection: Connection, new: Sequence[NewRow]) -> None:
    """Keep new concepts. Raises DuplicateConceptError."""
    for one in new:
        _write(connection, one)
    for namespace, count in Counter(one.texts["namespace"] for one in new).items():
        add_to_count(connection, namespace, count)
        new_edition(connection, namespace)


def _write(connection: Connection, new: NewRow) -> None:
    cipher, namespace = known_of(connection).cipher, new.texts["namespace"]
    key = key_in(new.tokens if not new.hidden else tokens_shown(cipher, new.tokens, namespace))
    if not new.hidden:
        new = replace(
            new,
            texts=hidden_row(cipher, new.texts),
            tokens=cipher.hide(new.tokens, f"{namespace}\ntokens"),
            pictures=[cipher.hide(picture, picture_place(namespace)) for picture in new.pictures],
        )
    row: Row = {**new.texts, "pictures": len(new.pictures), "tokens": b""}
    try:  # the seals cover the row's number, which is not known before
        made = connection.execute(insert(concepts), row)
    except IntegrityError:  # another program came between; plvm's own writers wait in line
        raise duplicate([shown_names(cipher, namespace, new.texts["name"], "")[0]]) from None
    row |= {"id": (made.inserted_primary_key or (None,))[0], "tokens": new.tokens}
    values = {"tokens": new.tokens, **seals_of(row)} | ({} if new.tokens_whole else {"tokens_seal": None})
    connection.execute(update(concepts).where(concepts.c.id == row["id"]).values(values))
    for position, picture in enumerate(new.pictures):
        own = {"concept_id": row["id"], "position": position, "picture": picture}
        connection.execute(insert(references), own | {"seal": seal(picture_values(own))})
    write_key(connection, namespace, row["id"], key)
    connection.execute(insert(uses), {"concept_id": row["id"], "day": new.day or retention.today().isoformat()})


def write_key(connection: Connection, namespace: str, number: int, key: bytes) -> None:
    """Keep the key of the concept in row `number`, for retrieval; b"" is none."""
    if key:
        hidden = known_of(connection).cipher.hide(key, f"{namespace}\nkey")
        connection.execute(insert(keys), {"concept_id": number, "key": hidden})
        if compares(connection, len(key) // 4):
            keep_vector(connection, number, key)


def rename(connection: Connection, namespace: str, old: str, new: str, display: str) -> None:
    """Give the whole concept called `old` the free name `new` and another display name."""
    reader = Reader(connection, namespace)
    record = reader.record(reader.ids()[old])
    cipher = known_of(connection).cipher
    assert record is not None and not record.entry(cipher).damage, "a new seal must not make damage look whole"
    mark_unscrubbed(connection)
    hidden = hidden_row(cipher, {"namespace": namespace, "name": new, "display": display, "notes": ""})
    names = {column: hidden[column] for column in ("name", "display")}
    values = names | {"seal": seal(row_values(record.row | names))}
    connection.execute(update(concepts).where(concepts.c.id == record.row["id"]).values(values))
    new_edition(connection, namespace)


def remove(connection: Connection, namespace: str, names: Collection[str]) -> None:
    """Remove concepts with their pictures, damaged or not, and note that their bytes are still to be overwritten."""
    if not names:
        return
    remove_rows(connection, namespace, [row for name, row, _ in Reader(connection, namespace).rows() if name in names])


def remove_rows(connection: Connection, namespace: str, ids: Sequence[int]) -> None:
    """Remove the concepts in these rows, of one namespace, and note that their bytes are still to be overwritten."""
    mark_unscrubbed(connection)
    for some in portions(ids):
        for theirs in (references, keys, uses):
            connection.execute(delete(theirs).where(theirs.c.concept_id.in_(some)))
        connection.execute(delete(concepts).where(concepts.c.id.in_(some)))
    add_to_count(connection, namespace, -len(ids))
    new_edition(connection, namespace)
