"""The tables of a concept store, and what a store remarks about itself.

A concept is one row of `plvm_concepts` (its tokens as safetensors bytes) and one row of `plvm_references` for every
reference image. Names are unique, case-sensitively, within a namespace. Seals tell whether a row is what was written; large
values come last in a row, so that SQLite keeps all others together with their seals on one page. A row of `plvm_keys` repeats
the key that is among the tokens, so that the nearest of many are found without reading all tokens.
"""

from __future__ import annotations

import secrets

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    select,
)

_UNSCRUBBED, _COUNT, _EDITION = "unscrubbed", "count:", "edition:"
CIPHER = "cipher"  # how the store knows its key again

metadata = MetaData()

properties = Table(
    "plvm_store",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
_VALUE = select(properties.c.value).where(properties.c.key == bindparam("of"))  # asked for at every turn: made once
concepts = Table(
    "plvm_concepts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("namespace", String(128), nullable=False),
    Column("name", String(512), nullable=False),
    Column("display", Text, nullable=False),  # "": its name
    Column("aligner", String(256), nullable=False),
    Column("notes", Text, nullable=False),
    Column("created", String(64), nullable=False),
    Column("pictures", Integer),  # how many there are in plvm_references
    Column("seal", LargeBinary),  # of the row without its tokens
    Column("tokens_seal", LargeBinary),
    Column("tokens", LargeBinary, nullable=False),
    UniqueConstraint("namespace", "name"),
)
references = Table(
    "plvm_references",
    metadata,
    Column("concept_id", ForeignKey(concepts.c.id), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("seal", LargeBinary),
    Column("picture", LargeBinary, nullable=False),
)
keys = Table(
    "plvm_keys",
    metadata,
    Column("concept_id", ForeignKey(concepts.c.id), primary_key=True),
    Column("key", LargeBinary, nullable=False),  # float32, little-endian; with pgvector there is a column "vector" beside it
)
uses = Table(
    "plvm_uses",
    metadata,
    Column("concept_id", ForeignKey(concepts.c.id), primary_key=True),
    Column("day", String(10), nullable=False),  # the last one, as 2026-11-28
)


def get_property(connection: Connection, key: str) -> str | None:
    """A remark of the store about itself; None where there is none."""
    return connection.execute(_VALUE, {"of": key}).scalar_one_or_none()


def set_property(connection: Connection, key: str, value: str) -> None:
    """Keep a remark of the store about itself in place of the old one."""
    connection.execute(delete(properties).where(properties.c.key == key))
    connection.execute(insert(properties).values(key=key, value=value))


def mark_unscrubbed(connection: Connection) -> None:
    """Note, in the transaction that removes something, that its bytes may still be in the file."""
    set_property(connection, _UNSCRUBBED, "yes")


def is_unscrubbed(connection: Connection) -> bool:
    """Whether something was removed and nobody came to overwrite it: its remover was killed or could not."""
    return get_property(connection, _UNSCRUBBED) is not None


def mark_scrubbed(connection: Connection) -> None:
    """Note that nothing of what was removed is left in the file."""
    connection.execute(delete(properties).where(properties.c.key == _UNSCRUBBED))


def count_of(connection: Connection, namespace: str) -> int | None:
    """How many concepts there should be in a namespace; None where nobody counted, or it cannot be read."""
    text = get_property(connection, _COUNT + namespace)
    return int(text) if isinstance(text, str) and text.isdecimal() else None


def noted_counts(connection: Connection) -> dict[str, int]:
    """How many concepts there should be in every namespace that has some; -1 for a count that is none."""
    rows = connection.execute(select(properties.c.key, properties.c.value).where(properties.c.key.startswith(_COUNT)))
    counts = {key.removeprefix(_COUNT): int(value) if value.isdecimal() else -1 for key, value in rows}
    return {namespace: count for namespace, count in counts.items() if count}


def add_to_count(connection: Connection, namespace: str, more: int) -> None:
    """Note that a namespace has `more` concepts than before: so one that gets lost is missed."""
    before = get_property(connection, _COUNT + namespace)
    if before is None or before.isdecimal():  # a damaged count stays, to be found
        set_property(connection, _COUNT + namespace, str(int(before or 0) + more))


def edition_of(connection: Connection, namespace: str) -> str | None:
    """Another text after every change of a namespace: what was read before is true as long as it is the same."""
    return get_property(connection, _EDITION + namespace)


def editions(connection: Connection) -> dict[str, str]:
    """`edition_of` every namespace that ever changed."""
    rows = connection.execute(select(properties.c.key, properties.c.value).where(properties.c.key.startswith(_EDITION)))
    return {key.removeprefix(_EDITION): value for key, value in rows}


def new_edition(connection: Connection, namespace: str) -> None:
    """Note that a namespace has changed."""
    set_property(connection, _EDITION + namespace, secrets.token_hex(8))


def copy_rows(source: Connection, target: Connection) -> None:
    """Put every row of a store, as it is, into the empty tables of another, with what is noted of its namespaces."""
    for table in (concepts, references, keys, uses):
        for part in source.execution_options(yield_per=100).execute(select(table)).mappings().partitions():
            target.execute(insert(table), [dict(row) for row in part])
    noted = properties.c.key.startswith(_COUNT) | properties.c.key.startswith(_EDITION)
    for key, value in source.execute(select(properties.c.key, properties.c.value).where(noted)).all():
        set_property(target, key, value)
