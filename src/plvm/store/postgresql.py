"""What PostgreSQL does otherwise than SQLite: how writers wait in line, what deleting means, what its errors say.

Rows, seals and statements are the same. pgvector is used where the database has it and is not needed.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from plvm.errors import StoreError
from plvm.store.store_tables import metadata

_LOCK = 0x706C766D  # "plvm": one writer at a time in a database
_BUSY, _NO_ROOM, _NOT_ALLOWED = ("55P03", "40P01"), "53100", ("42501", "28000", "28P01")
_READING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND age(backend_xmin) > age(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS xid))"
)


def begin(connection: Connection, write: bool, seconds: float) -> None:
    """What stands at the beginning of a transaction. A writer waits, at most so long, until it is the only one; a reader sees
    one moment."""
    if not write:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def add_pgvector(connection: Connection) -> None:
    """Switch pgvector on in this database, where its server has it and this user may."""
    if _is_there(connection, "pg_available_extensions", "name") and not has_pgvector(connection):
        try:
            with connection.begin_nested():
                connection.exec_driver_sql("CREATE EXTENSION vector")
        except DBAPIError:  # only an administrator may, here; keys are compared without it
            return


def has_pgvector(connection: Connection) -> bool:
    """Whether the database can compare vectors."""
    return _is_there(connection, "pg_extension", "extname")


def rewrite_tables(engine: Engine, seconds: float) -> None:
    """Rewrite the tables with the rows that they still hold, and give the old files back. Raises StoreError where an older
    transaction may still see what was removed: it would be written again."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.exec_driver_sql(_READING).scalar_one():
            raise StoreError("another program is reading it.", "Close that program, then try again.")
        connection.exec_driver_sql(f"SET lock_timeout = {int(seconds * 1000)}")
        try:
            connection.exec_driver_sql(f"VACUUM (FULL) {names}")
        finally:
            connection.exec_driver_sql("RESET lock_timeout")


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


def _is_there(connection: Connection, table: str, column: str) -> bool:
    return connection.execute(text(f"SELECT 1 FROM {table} WHERE {column} = 'vector'")).first() is not None
