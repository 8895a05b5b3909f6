"""A database with the habits that a concept store relies on.

SQLite: one file that only its owner may read (faces are biometric data); a write-ahead log, immediate write
transactions and patience, so that two processes do not get into each other's way and a killed one leaves no half a
concept; what is removed is overwritten in the file and in the log. What PostgreSQL does otherwise is in
`plvm.store.postgresql`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from plvm.errors import DamagedStoreError, StoreError
from plvm.store import postgresql
from plvm.store.cipher import Cipher
from plvm.store.header import HEADER, MAGIC, header_flaw
from plvm.store.known import Known
from plvm.store.schema import damaged, prepare
from plvm.store.store_tables import CIPHER, copy_rows, get_property, is_unscrubbed, mark_scrubbed

BUSY_SECONDS = 15.0
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")  # an error in our own statements: tables not as they were made


class Database:
    """An open, checked database. `label` is how messages call it: a path, or a URL without its password."""

    def __init__(self, engine: Engine, label: str, secret: bytes | None = None) -> None:
        self.engine = engine
        self.label = label
        self.use(secret)
        self._sqlite = engine.dialect.name == "sqlite"
        if self._sqlite:
            event.listen(engine, "connect", _set_up_connection)
        event.listen(engine, "begin", _begin)

    @classmethod
    def open(cls, path_or_url: str | Path, label: str | None = None, *, secret: bytes | None = None) -> Database:
        """Open, or make, the database at a path or SQLAlchemy URL, which messages call `label`; `secret`, 32 bytes, is what it is
        encrypted with. Raises StoreError; then the file is as it was."""
        url, place = _locate(path_or_url)
        label = place if label is None else label
        if url.get_backend_name() == "sqlite" and url.database:
            _claim_file(Path(url.database), label)
        try:
            engine = create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
            database = cls(engine, label, secret)
        except ImportError as error:  # psycopg itself, or the C library that it needs
            raise StoreError(
                f"The store {label} needs the Python package {url.get_driver_name()}.",
                'Install it: `pip install "plvm[postgres]"`.',
            ) from error
        try:
            with database.transaction(write=True) as connection:
                prepare(connection, label)
                unscrubbed = is_unscrubbed(connection)
                mark = get_property(connection, CIPHER) or ""
            database._mark = mark
            database._use_log()
            if unscrubbed:
                with suppress(StoreError):  # still in use by another program: the next opening tries again
                    database.scrub()
        except BaseException:
            database.close()
            raise
        return database

    def use(self, secret: bytes | None, mark: str | None = None) -> None:
        """Read and write with this secret from now on; `mark` is how the store knows it, None before it was opened. Raises
        StoreError."""
        self.secret, self._mark = secret, mark
        self.known = Known() if secret is None else Known(Cipher(secret))

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Connection]:
        """A transaction: all of it happens, or nothing. A writing one waits until it is the only writer."""
        with self._explained(), self.engine.connect() as connection:
            connection = connection.execution_options(plvm_write=write, plvm_known=self.known)
            with connection.begin():
                if self._mark is not None and (get_property(connection, CIPHER) or "") != self._mark:
                    raise StoreError(f"The concept store {self.label} has another key now.", "Start again with that key.")
                yield connection

    def empty_log(self) -> bool:
        """Move the log into the file and cut it to nothing; whether that succeeded (another process may be reading)."""
        return not self._sqlite or self._run("PRAGMA wal_checkpoint(TRUNCATE)")[0] == 0

    def scrub(self) -> None:
        """Leave no byte of what was removed in any file. Raises StoreError; then the next opening tries again.

        SQLite's secure_delete is not enough: rows that moved between pages leave copies in the gaps. So the file is
        rewritten with what it still holds, which takes as long as copying it. So are the tables of PostgreSQL; its log and
        its replicas keep what they had.
        """
        if not self._sqlite:
            with self._explained():
                postgresql.rewrite_tables(self.engine, BUSY_SECONDS)
        else:
            self._run("VACUUM")
            until = time.monotonic() + BUSY_SECONDS
            while not self.empty_log():  # somebody reads, or empties it too: SQLite itself does not wait for the second
                if time.monotonic() > until:
                    raise StoreError("another program is reading it.", "Close that program, then try again.")
                time.sleep(0.02)
        with self.transaction(write=True) as connection:
            mark_scrubbed(connection)
        self.empty_log()

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self.engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def flaws(self) -> list[str]:
        """What SQLite finds wrong with its file when it looks at every page; [] where it is sound."""
        if not self._sqlite:
            return []
        try:
            found = [str(row[0]) for row in self._all("PRAGMA integrity_check(20)")]
            orphans = self._all("PRAGMA foreign_key_check")
        except DamagedStoreError as error:
            return [error.message]
        return [text for text in found if text != "ok"] + (["pictures that belong to nobody"] if orphans else [])

    def copy_to(self, path: Path) -> None:
        """Copy the database as it is at one moment, also while others use it, to an SQLite file that is empty or not there.
        Raises StoreError."""
        if not self._sqlite:
            with (
                Database.open(path, secret=self.secret) as copy,
                self.transaction(write=False) as old,
                copy.transaction(write=True) as new,
            ):
                copy_rows(old, new)
            return
        with self._explained(), closing(sqlite3.connect(path)) as target:
            source = self.engine.raw_connection()
            try:
                source.driver_connection.backup(target)  # type: ignore[union-attr]
                target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            finally:
                source.close()

    def _use_log(self) -> None:
        if not self._sqlite or self._run("PRAGMA journal_mode")[0] in ("wal", "memory"):
            return
        for _ in range(50):  # this one change does not wait for its turn by itself
            try:
                self._run("PRAGMA journal_mode = WAL")
                return
            except StoreError:
                time.sleep(0.02)
        # Still busy: the rollback journal that is in use now is as safe, and a later opening will switch.

    def _run(self, statement: str) -> tuple[Any, ...]:
        """The first row of an SQLite statement run outside any transaction; () where it gives none."""
        return next(iter(self._all(statement)), ())

    def _all(self, statement: str) -> list[tuple[Any, ...]]:
        with self._explained():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute(statement)
                return [tuple(row) for row in cursor.fetchall()]
            finally:
                connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            explain = _explain if self._sqlite else postgresql.explain
            raise explain(error.orig, self.label, BUSY_SECONDS) from error
        except sqlite3.Error as error:
            raise _explain(error, self.label, BUSY_SECONDS) from error
        except UnicodeDecodeError as error:  # from SQLite's own message, which quotes a damaged table definition
            raise damaged(self.label, "its tables are not as they were made") from error


def _locate(path_or_url: str | Path) -> tuple[URL, str]:
    text = str(path_or_url)
    if isinstance(path_or_url, Path) or "://" not in text:
        return URL.create("sqlite", database=os.path.abspath(text)), text
    try:
        url = make_url("postgresql://" + text.removeprefix("postgres://") if text.startswith("postgres://") else text)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        url.get_dialect()
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError
    except (ArgumentError, NoSuchModuleError, ValueError):
        kind = text.partition("://")[0][:20]
        raise StoreError(
            f'A store URL that begins with "{kind}://" leads nowhere.',
            "Use a file path, sqlite:///PATH or postgresql://...",
        ) from None
    if url.get_backend_name() != "sqlite":
        return url, url.render_as_string(hide_password=True)
    return url, url.database if url.database else "in memory"


def _claim_file(path: Path, label: str) -> None:
    """Make the file, readable by its owner alone, if there is none; refuse what SQLite did not write, untouched."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600)
        with os.fdopen(descriptor, "rb") as file:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            start = file.read(HEADER) if regular else b"not a file"
    except OSError as error:
        raise StoreError(
            f"The concept store {label} cannot be opened: {error.strerror}.",
            "Name a file that you may write with --store.",
        ) from None
    if start and not start.startswith(MAGIC):  # an empty file is a new store whose maker was interrupted
        raise DamagedStoreError(
            f"{label} is not a concept store, or a damaged one. It was not touched.",
            "Name another file with --store; if it was a store, run `plvm store check --repair` or put a backup in its place.",
        )
    if start and (flaw := header_flaw(path)) is not None:
        raise damaged(label, flaw)


def _set_up_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin says, not where the driver guesses
    for setting in (
        f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
        "secure_delete = ON",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: Connection) -> None:
    # A writer takes the lock before its first read, so what it has read is still so when it writes.
    write = connection.get_execution_options().get("plvm_write")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
    elif write is not None:
        postgresql.begin(connection, write, BUSY_SECONDS)


def _explain(error: BaseException | None, label: str, seconds: float) -> StoreError:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(_DAMAGED) or "decode" in str(error):
        return damaged(label, str(error))
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"The concept store {label} is busy: another program has been writing for {seconds:.0f} seconds.",
            "Wait until it has finished, then try again.",
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(
            f"The concept store {label} cannot be written: {error}.",
            "Check the permissions of the file and its folder, and whether the disk has room.",
        )
    if code in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
        return StoreError(
            f"The concept store {label} cannot be written: the disk is full.",
            "Nothing was changed. Make room, then try again.",
        )
    if code.startswith("SQLITE_IOERR"):  # the disk gave no answer: what was asked of it may be done or not
        return StoreError(
            f"The concept store {label} failed: {error}.",
            "Whether it was changed, `plvm list` tells. Check the disk, then try again.",
        )
    return StoreError(
        f"The concept store {label} failed: {error}.", "Nothing was changed. Correct this, then try again."
    )
