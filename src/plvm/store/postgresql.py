"""What PostgreSQL does otherwise than SQLite: how writers wait in line, what deleting means, what its errors say.

Rows, seals and statements are the same. pgvector is used where the database has it and is not needed.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from plvm.errors import StoreError
from plvm.store.known import known_of
from plvm.store.store_tables import keys, metadata

MOST_NUMBERS = 16_000  # of a vector
_NEAREST = text(
    "SELECT c.id, k.vector <=> CAST(:key AS vector) AS distance FROM plvm_keys k JOIN plvm_concepts c ON c.id = k.concept_id "
    "WHERE c.namespace = :namespace AND c.aligner = :aligner AND vector_dims(k.vector) = :width "
    "ORDER BY distance, c.id LIMIT :count"
)
_LOCK = 0x706C766D  # "plvm": one writer at a time in a database
_BUSY, _NO_ROOM, _NOT_ALLOWED = ("55P03", "40P01"), "53100", ("42501", "28000", "28P01")
_READING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND age(backend_xmin) > age(CAST(CAST(:horizon AS text) AS xid))"
)


def begin(connection: Connection, write: bool, seconds: float) -> None:
    """What stands at the beginning of a transaction. A writer waits, at most so long, until it is the only one; a reader sees
    one moment."""
    if not write:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def use_pgvector(connection: Connection) -> None:
    """Give keys a column of vectors, where the server has pgvector and this user may switch it on."""
    available = connection.execute(text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")).first()
    if available is None or has_vectors(connection):
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS vector")
            connection.exec_driver_sql(f"ALTER TABLE {keys.name} ADD COLUMN vector vector")
            # beside each other, not in a table of their own, which takes twice as long to read
            connection.exec_driver_sql(f"ALTER TABLE {keys.name} ALTER COLUMN vector SET STORAGE MAIN")
    except DBAPIError:  # only an administrator may, here; keys are compared without it
        return
    if known_of(connection).cipher.mark == "":
        for number, key in connection.execute(select(keys.c.concept_id, keys.c.key)).all():
            keep_vector(connection, number, key)


def has_vectors(connection: Connection) -> bool:
    """Whether the database compares keys itself."""
    column = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = 'vector'"
    return connection.execute(text(column), {"table": keys.name}).first() is not None


def compares(connection: Connection, width: int) -> bool:
    """Whether the database itself can say which keys of `width` numbers are nearest: it has them, not encrypted, as vectors."""
    able = connection.dialect.name == "postgresql" and width <= MOST_NUMBERS and known_of(connection).cipher.mark == ""
    return able and has_vectors(connection)


def keep_vector(connection: Connection, number: int, key: bytes) -> None:
    """Repeat the `key` in row `number`, float32 bytes, as a vector, if pgvector can hold so many numbers."""
    numbers = struct.unpack(f"<{len(key) // 4}f", key)
    if len(numbers) <= MOST_NUMBERS:
        statement = text(f"UPDATE {keys.name} SET vector = CAST(:vector AS vector) WHERE concept_id = :number")
        connection.execute(statement, {"vector": str(list(numbers)), "number": number})


def nearest(
    connection: Connection, namespace: str, aligner: str, key: Sequence[float], count: int
) -> list[tuple[int, float]]:
    """(row's number, cosine) of the `count` concepts of an Aligner whose vectors are most like `key`, best first."""
    values = {"namespace": namespace, "aligner": aligner, "width": len(key), "count": count, "key": str(list(key))}
    return [(row.id, 1 - float(row.distance)) for row in connection.execute(_NEAREST, values)]


def rewrite_tables(engine: Engine, seconds: float) -> None:
    """Rewrite the tables with the rows that they still hold, and give the old files back. Raises StoreError where an older
    transaction may still see what was removed: it would be written again."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        until = time.monotonic() + seconds
        horizon = connection.exec_driver_sql("SELECT CAST(pg_snapshot_xmax(pg_current_snapshot()) AS xid)").scalar_one()
        connection.exec_driver_sql(f"SET lock_timeout = {int(seconds * 1000)}")
        try:
            _end_housekeeping(connection, names)
            _await_readers(connection, str(horizon), until)
            connection.exec_driver_sql(f"VACUUM (FULL) {names}")
        finally:
            connection.exec_driver_sql("RESET lock_timeout")


def _end_housekeeping(connection: Connection, names: str) -> None:
    """The server's own housekeeping, which may look at large tables for minutes, gives way to whoever wants to lock them."""
    connection.exec_driver_sql(f"DO $$ BEGIN LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE; END $$")


def _await_readers(connection: Connection, horizon: str, until: float) -> None:
    """Wait until nobody sees what was there before the transaction `horizon`. Raises StoreError after the time `until`."""
    while connection.execute(_READING, {"horizon": horizon}).scalar_one():
        if time.monotonic() > until:
            raise StoreError("another program is reading it.", "Close that program, then try again.")
        time.sleep(0.05)


def explain(error: BaseException | None, label: str, seconds: float) -> StoreError:
    """The error of ours for one of PostgreSQL's."""
    code, said = getattr(error, "sqlstate", None), str(error).strip().split("\n")[0]
    if code in _BUSY:
        return StoreError(
            f"The concept store {label} is busy: another program has been writing for {seconds:.0f} seconds.",
            "Wait until it has finished, then try again.",
        )
    if code == _NO_ROOM:
        return StoreError(f"The concept store {label} has no room left.", "Nothing was changed. Make room, then try again.")
    if code in _NOT_ALLOWED:
        return StoreError(f"The concept store {label} does not let you in: {said}.", "Check the user and the rights it has.")
    if code is None or code.startswith(("08", "57P")):
        return StoreError(
            f"The concept store {label} cannot be reached: {said}",
            "Check that PostgreSQL runs there, and the URL. If it was being changed, `plvm list` tells whether it was.",
        )
    return StoreError(f"The concept store {label} failed: {said}.", "Nothing was changed. Correct this, then try again.")
