"""The tables of a concept store, and what a store remarks about itself.

A concept is one row of `plvm_concepts` (its tokens as safetensors bytes) and one row of `plvm_references` for every
reference image. Names are unique, case-sensitively, within a namespace. Seals tell whether a row is what was written; large
values come last in a row, so that SQLite keeps all others together with their seals on one page.
"""

from __future__ import annotations

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
    delete,
    insert,
    select,
)

from plvm.types import MAX_NAME_LENGTH

_UNSCRUBBED, _COUNT = "unscrubbed", "count:"

metadata = MetaData()

properties = Table(
    "plvm_store",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
concepts = Table(
    "plvm_concepts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("namespace", String(128), nullable=False),
    Column("name", String(MAX_NAME_LENGTH), nullable=False),
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


def get_property(connection: Connection, key: str) -> str | None:
    """A remark of the store about itself; None where there is none."""
    return connection.execute(select(properties.c.value).where(properties.c.key == key)).scalar_one_or_none()


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
    """How many concepts there should be in a namespace of an SQLite store; None where nobody counted, or it cannot be read."""
    text = get_property(connection, _COUNT + namespace)
    return int(text) if isinstance(text, str) and text.isdecimal() else None


def noted_counts(connection: Connection) -> dict[str, int]:
    """How many concepts there should be in every namespace of an SQLite store that has some; -1 for a count that is none."""
    rows = connection.execute(select(properties.c.key, properties.c.value).where(properties.c.key.startswith(_COUNT)))
    counts = {key.removeprefix(_COUNT): int(value) if value.isdecimal() else -1 for key, value in rows}
    return {namespace: count for namespace, count in counts.items() if count}


def add_to_count(connection: Connection, namespace: str, more: int) -> None:
    """Note that a namespace of an SQLite store has `more` concepts than before: so one that gets lost is missed."""
    if connection.dialect.name != "sqlite":
        return
    before = get_property(connection, _COUNT + namespace)
    if before is None or before.isdecimal():  # a damaged count stays, to be found
        set_property(connection, _COUNT + namespace, str(int(before or 0) + more))
