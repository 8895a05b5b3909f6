"""The version of a concept store: its tables made, checked that they are ours, brought from an older version to today's.

Version 1, of plvm 0.1, has no seals; 2 has no tables of keys and uses.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, MetaData, Table, insert, inspect, select

from plvm.errors import DamagedStoreError, StoreError
from plvm.store import postgresql
from plvm.store.known import known_of
from plvm.store.record import TEXTS
from plvm.store.store_tables import (
    CIPHER,
    concepts,
    get_property,
    keys,
    mark_unscrubbed,
    metadata,
    properties,
    references,
    set_property,
    uses,
)
from plvm.store.tokens import key_in, tokens_from_bytes
from plvm.store.writer import NewRow, write, write_key

SCHEMA_VERSION = 3
_VERSION, _SHAPE = "schema", "shape"


def prepare(connection: Connection, label: str) -> None:
    """Make the tables in an empty database; in any other, check that they are there in a version that is known, and turn
    those of an older one into today's.

    Runs inside the caller's transaction; in a database of today it writes nothing. Raises StoreError.
    """
    tables = set(inspect(connection).get_table_names())
    if properties.name in tables:
        version = _version(connection, label)
    elif tables & {concepts.name, references.name}:
        raise damaged(label, f"it has no table {properties.name}")
    elif tables and connection.dialect.name == "sqlite":  # a server's database may hold other programs' tables too
        raise StoreError(f"{label} is another program's database.", "Name another file with --store.")
    else:
        metadata.create_all(connection)
        connection.execute(insert(properties).values(key=_VERSION, value=str(SCHEMA_VERSION)))
        set_property(connection, _SHAPE, _shape(connection))
        version = SCHEMA_VERSION
        tables |= metadata.tables.keys()
    needed = [table.name for table in metadata.sorted_tables if version == SCHEMA_VERSION or table not in (keys, uses)]
    missing = sorted(name for name in needed if name not in tables)
    if missing:
        raise damaged(label, f"it has no table {missing[0]}")
    if version > 1 and get_property(connection, _SHAPE) != _shape(connection):
        raise damaged(label, "its tables are not as they were made")
    if version < SCHEMA_VERSION:
        metadata.create_all(connection, tables=[keys, uses])
        if version == 1:
            _migrate(connection)
        else:
            _add_keys(connection)
        set_property(connection, _VERSION, str(SCHEMA_VERSION))
        set_property(connection, _SHAPE, _shape(connection))
    _check_key(connection, label)
    if connection.dialect.name == "postgresql":
        postgresql.use_pgvector(connection)


def _check_key(connection: Connection, label: str) -> None:
    """Note, in a store without concepts, how its values are hidden; in any other, raise StoreError if it is otherwise."""
    cipher, mark = known_of(connection).cipher, get_property(connection, CIPHER) or ""
    if cipher.mark and not mark and connection.execute(select(concepts.c.id).limit(1)).first() is None:
        set_property(connection, CIPHER, cipher.mark)
    elif mark and not cipher.mark:
        raise StoreError(
            f"The concept store {label} is encrypted.", "Name the file of its key with --store-key, or set PLVM_STORE_KEY."
        )
    elif cipher.mark and not mark:
        raise StoreError(
            f"The concept store {label} is not encrypted.", "Leave the key out, or encrypt it: `plvm store rekey --to FILE`."
        )
    elif not cipher.fits(mark):
        raise StoreError(f"The key does not fit the concept store {label}.", "Name the key that it was encrypted with.")


def damaged(label: str, reason: str) -> DamagedStoreError:
    """The error for a store that cannot be read: which one, why, and how to get a good one back."""
    return DamagedStoreError(
        f"The concept store {label} is damaged: {reason}. Nothing in it was changed.",
        "Run `plvm store check --repair`: it saves every concept that is whole. Or put a backup in its place.",
    )


def _version(connection: Connection, label: str) -> int:
    version = get_property(connection, _VERSION)
    if not isinstance(version, str) or not version.isdecimal() or int(version) == 0:
        raise damaged(label, "it does not say its version")
    if int(version) > SCHEMA_VERSION:
        if get_property(connection, _SHAPE) == _shape(connection):  # all but this digit is of today
            raise damaged(label, "it does not say its version")
        raise StoreError(
            f"The concept store {label} has version {version[:20]}; this plvm knows version {SCHEMA_VERSION}.",
            "Use the plvm that wrote it (a newer one: `pip install --upgrade plvm`), or another file with --store.",
        )
    return int(version)


def _shape(connection: Connection) -> str:
    """A digest of how SQLite wrote down the tables: a flipped bit there could change what every value means."""
    if connection.dialect.name != "sqlite":
        return ""
    found = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE tbl_name LIKE 'plvm_%'")
    return hashlib.sha256(repr(sorted(map(repr, found))).encode()).hexdigest()


def _migrate(connection: Connection) -> None:
    """Make the tables of 0.1 anew with every row of theirs, sealed as it is now."""
    old, pictures = MetaData(), dict[int, list[bytes]]()
    found, images = (Table(table.name, old, autoload_with=connection) for table in (concepts, references))
    for image in connection.execute(select(images).order_by(images.c.position)):
        pictures.setdefault(image.concept_id, []).append(image.picture)
    rows = []
    for row in connection.execute(select(found)).mappings():
        texts = {column: row.get(column) or "" for column in TEXTS}
        rows.append(NewRow(texts, row["tokens"], pictures.get(row["id"], []), _are_tokens(row["tokens"])))
    metadata.drop_all(connection, tables=[references, concepts])
    metadata.create_all(connection, tables=[concepts, references])
    write(connection, rows)
    mark_unscrubbed(connection)  # the room of the old tables is given back


def _add_keys(connection: Connection) -> None:
    """Repeat the key of everybody's tokens, of a version without keys."""
    for number, tokens in connection.execute(select(concepts.c.id, concepts.c.tokens)).all():
        write_key(connection, "", number, key_in(tokens))


def _are_tokens(data: bytes) -> bool:
    try:
        tokens_from_bytes(data)
    except (ValueError, TypeError):
        return False
    return True
