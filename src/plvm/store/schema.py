"""The tables of a concept store, their version, and the check that a database is one of ours.

A concept is one row of `plvm_concepts` (its tokens as safetensors bytes) and one row of `plvm_references` for every
reference image. Names are unique, case-sensitively, within a namespace.
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
    inspect,
    select,
)

from plvm.errors import StoreError
from plvm.types import MAX_NAME_LENGTH

SCHEMA_VERSION = 1
UNSCRUBBED = "unscrubbed"

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
    Column("aligner", String(256), nullable=False),
    Column("tokens", LargeBinary, nullable=False),
    Column("notes", Text, nullable=False),
    Column("created", String(64), nullable=False),
    Column("display", String(MAX_NAME_LENGTH)),
    UniqueConstraint("namespace", "name"),
)
references = Table(
    "plvm_references",
    metadata,
    Column("concept_id", ForeignKey(concepts.c.id), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("picture", LargeBinary, nullable=False),
)


def prepare(connection: Connection, label: str) -> None:
    """Make the tables in an empty database; in any other, check that they are there in a version that is known.

    Runs inside the caller's transaction and writes nothing unless the database is empty. Raises StoreError.
    """
    tables = set(inspect(connection).get_table_names())
    if properties.name in tables:
        _check_version(connection, label)
    elif tables and connection.dialect.name == "sqlite":  # a server's database may hold other programs' tables too
        raise StoreError(f"{label} is another program's database.", "Name another file with --store.")
    else:
        metadata.create_all(connection)
        connection.execute(insert(properties).values(key="schema", value=str(SCHEMA_VERSION)))
        return
    missing = sorted(table.name for table in metadata.sorted_tables if table.name not in tables)
    if missing:
        raise damaged(label, f"it has no table {missing[0]}")
    if concepts.c.display.name not in {column["name"] for column in inspect(connection).get_columns(concepts.name)}:
        connection.exec_driver_sql(f"ALTER TABLE {concepts.name} ADD COLUMN display VARCHAR({MAX_NAME_LENGTH})")


def mark_unscrubbed(connection: Connection) -> None:
    """Note, in the transaction that removes something, that its bytes may still be in the file."""
    connection.execute(delete(properties).where(properties.c.key == UNSCRUBBED))
    connection.execute(insert(properties).values(key=UNSCRUBBED, value="yes"))


def is_unscrubbed(connection: Connection) -> bool:
    """Whether something was removed and nobody came to overwrite it: its remover was killed or could not."""
    return connection.execute(select(properties.c.key).where(properties.c.key == UNSCRUBBED)).first() is not None


def mark_scrubbed(connection: Connection) -> None:
    """Note that nothing of what was removed is left in the file."""
    connection.execute(delete(properties).where(properties.c.key == UNSCRUBBED))


def damaged(label: str, reason: str) -> StoreError:
    """The error for a store that cannot be read: which one, why, and how to get a good one back."""
    return StoreError(
        f"The concept store {label} is damaged: {reason}. Nothing in it was changed.",
        "Move the file away and put a copy of it back, or start anew and `plvm import` what you exported before.",
    )


def _check_version(connection: Connection, label: str) -> None:
    version = connection.execute(select(properties.c.value).where(properties.c.key == "schema")).scalar_one_or_none()
    if not isinstance(version, str) or not version.isdecimal():
        raise damaged(label, "it does not say its version")
    if int(version) != SCHEMA_VERSION:
        raise StoreError(
            f"The concept store {label} has version {version[:20]}; this plvm knows version {SCHEMA_VERSION}.",
            "Use the plvm that wrote it (a newer one: `pip install --upgrade plvm`), or another file with --store.",
        )
