"""A store in PostgreSQL: what the tests of `test_store.py`, which run there too, do not see from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from concepts import concept, same, tokens
from damaged import SMALL
from plvm.errors import StoreError
from plvm.store import ConceptStore, database
from postgres import Server

TESTS = Path(__file__).parent


@pytest.fixture
def full(url: str) -> str:
    """A store of three."""
    with ConceptStore.open(url) as store:
        store.add_all(list(SMALL.values()))
    return url


def worker(url: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS.parent / 'src'}{os.pathsep}{TESTS}"}
    command = [sys.executable, str(TESTS / "store_worker.py"), url, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("UPDATE plvm_concepts SET notes = 'x' WHERE name = 'billie'", "name, notes"),
        ("UPDATE plvm_concepts SET tokens = 'abc' WHERE name = 'billie'", "tokens"),
        ("UPDATE plvm_concepts SET tokens_seal = NULL WHERE name = 'billie'", "tokens"),
        ("UPDATE plvm_references SET picture = 'x' WHERE concept_id = 2 AND position = 1", "picture changed"),
        ("DELETE FROM plvm_references WHERE concept_id = 2 AND position = 1", "picture is missing"),
    ],
)  # fmt: skip
def test_what_is_not_what_was_written_is_set_aside(full: str, server: Server, change: str, part: str) -> None:
    server.run_sql(change)
    with ConceptStore.open(full) as store:
        assert [c.name for c in store.list()] == ["avril", "mia"]
        assert store.damaged[0].name == "billie" and part in str(store.damaged[0]) and not store.check().whole
        with pytest.raises(StoreError, match="<billie> is damaged"):
            store.get("billie")
        store.add(SMALL["billie"], replace=True)
        assert store.check().whole and same(store.get("billie"), SMALL["billie"])


@pytest.mark.slow
def test_a_concept_that_is_gone_is_missed(full: str, server: Server) -> None:
    server.run_sql(*(f"DELETE FROM plvm_{t} WHERE concept_id = 2" for t in ("references", "keys", "uses")))
    server.run_sql("DELETE FROM plvm_concepts WHERE id = 2")
    with ConceptStore.open(full) as store:
        assert store.check().missing == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "statement"),
    [
        ("add", "INSERT INTO plvm_references"),
        ("rename", "UPDATE plvm_concepts"),
        ("forget", "DELETE FROM plvm_references"),
    ],
)
def test_a_process_killed_inside_a_change_changes_nothing(url: str, verb: str, statement: str) -> None:
    billie = concept("billie", 1, references=2)
    with ConceptStore.open(url) as store:
        store.add(billie)
    process = worker(url, "die", verb, statement)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    with ConceptStore.open(url) as store:
        assert store.names() == ["billie"] and same(store.get("billie"), billie) and store.check().whole
        store.add(concept("avril", 3))


@pytest.mark.slow
def test_two_processes_write_at_once_and_lose_nothing(url: str) -> None:
    workers = [worker(url, "add", prefix, "8") for prefix in ("a", "b")]
    for process in workers:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    with ConceptStore.open(url) as store:
        assert len(store.names()) == 16 and all(same(c, concept(c.name, int(c.name[1:]))) for c in store.list())


@pytest.mark.slow
def test_what_is_forgotten_is_in_no_file_of_the_tables_and_what_is_said_of_the_log_is_true(full: str, server: Server) -> None:
    def holds(folder: str) -> bool:
        server.run_sql("CHECKPOINT")
        mark = SMALL["billie"].references[0][200:232]
        return any(mark in file.read_bytes() for file in (server.data / folder).rglob("*") if file.is_file())

    assert holds("base"), "or this test shows nothing"
    with ConceptStore.open(full) as store:
        store.forget("billie")
        assert not holds("base") and holds("pg_wal"), "docs/privacy.md says both"
        assert store.names() == ["avril", "mia"] and store.check().whole


@pytest.mark.slow
def test_an_older_reader_that_would_keep_the_bytes_is_reported_and_the_next_opening_finishes(
    full: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with server.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        reader.exec_driver_sql("SELECT 1 FROM pg_class")
        with ConceptStore.open(full) as store, pytest.raises(StoreError, match="<billie> left the store, but the old bytes"):
            store.forget("billie")
    assert server.run_sql("SELECT value FROM plvm_store WHERE key = 'unscrubbed'")
    with ConceptStore.open(full) as store:
        assert store.names() == ["avril", "mia"]
    assert not server.run_sql("SELECT value FROM plvm_store WHERE key = 'unscrubbed'")


@pytest.mark.slow
def test_a_backup_is_one_sqlite_file_of_all_namespaces_as_they_are(full: str, server: Server, tmp_path: Path) -> None:
    with ConceptStore.open(full, namespace="other") as other:
        other.add(concept("zoe", 9))
    with ConceptStore.open(full) as store:
        assert store.back_up(tmp_path / "backup.db").whole
    with ConceptStore.open(tmp_path / "backup.db") as copy, ConceptStore.open(tmp_path / "backup.db", namespace="other") as other:
        assert len(copy.list()) == 3 and all(same(c, SMALL[c.name]) for c in copy.list())
        assert other.names() == ["zoe"] and copy.check().whole
    server.run_sql("UPDATE plvm_concepts SET notes = 'x' WHERE name = 'billie'")
    with ConceptStore.open(full) as store:
        assert [damage.name for damage in store.back_up(tmp_path / "second.db").damaged] == ["billie"], "damage is copied too"


@pytest.mark.slow
def test_a_busy_store_is_an_error_and_a_reader_does_not_wait(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ConceptStore.open(full) as first, ConceptStore.open(full) as second:
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
        with first._database.transaction(write=True):
            assert len(second.names()) == 3
            with pytest.raises(StoreError, match="busy"):
                second.add(concept("kim", 5))
        second.add(concept("kim", 5))


@pytest.mark.slow
def test_the_servers_own_housekeeping_does_not_keep_what_is_forgotten(
    full: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 5.0)
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'autovacuum: ANALYZE public.plvm_concepts%%'"
    with ConceptStore.open(full) as store:
        store.add_all([concept(f"p{number}", number) for number in range(300)])
        server.run_sql("ALTER SYSTEM SET autovacuum_naptime = '1s'", "SELECT pg_reload_conf()")
        try:
            server.run_sql(  # a look at the table takes it a minute
                "ALTER TABLE plvm_concepts SET (autovacuum_analyze_threshold = 1, autovacuum_analyze_scale_factor = 0, "
                "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 1000000, "
                "autovacuum_vacuum_insert_threshold = -1)",
                "UPDATE plvm_concepts SET notes = repeat('x', 1500) WHERE name LIKE 'p%%'",
            )
            until = time.monotonic() + 60
            while server.run_sql(busy) == [(0,)]:
                assert time.monotonic() < until, "or this test shows nothing"
                time.sleep(0.05)
            store.forget("billie")
        finally:
            server.run_sql("ALTER SYSTEM RESET autovacuum_naptime", "SELECT pg_reload_conf()")
        assert "billie" not in store.names()


@pytest.mark.slow
def test_a_reader_sees_one_moment(full: str) -> None:
    with ConceptStore.open(full) as first, ConceptStore.open(full) as second:
        with first._database.transaction(write=False) as connection:
            before = first._reader(connection).people()
            second.add(concept("kim", 5))
            assert first._reader(connection).people() == before
        assert "kim" in first.names()


@pytest.mark.slow
def test_many_threads_share_one_database(full: str) -> None:
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            store = ConceptStore(opened, namespace=f"n{number % 3}")
            for i in range(5):
                store.add(concept(f"p{number}-{i}", i))
                assert store.get(f"p{number}-{i}").name in store.names()
        except Exception as error:
            failed.append(error)

    with database.Database.open(full) as opened:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counts = [len(ConceptStore(opened, namespace=f"n{i}").names()) for i in range(3)]
    assert not failed and counts == [20, 20, 20]


@pytest.mark.slow
def test_pgvector_and_memory_find_the_same(url: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    if not server.run_sql("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
        pytest.skip("this PostgreSQL has no pgvector: nothing is known here about it")
    with ConceptStore.open(url) as store:
        store.add_all([concept(f"p{number}", number) for number in range(200)])
        assert server.run_sql("SELECT 1 FROM pg_extension WHERE extname = 'vector'")
        by_pgvector = store.nearest(tokens(500).key, 20, aligner="aligner-a")
        assert not store._database.known.keys, "nothing was read into memory"
        monkeypatch.setattr("plvm.store.postgresql.has_vectors", lambda connection: False)
        in_memory = store.nearest(tokens(500).key, 20, aligner="aligner-a")
        assert store._database.known.keys and [name for name, _ in by_pgvector] == [name for name, _ in in_memory]
        assert all(abs(a - b) < 1e-5 for (_, a), (_, b) in zip(by_pgvector, in_memory, strict=True))


@pytest.mark.slow
def test_pgvector_that_comes_later_is_used_from_then_on(url: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    if not server.run_sql("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
        pytest.skip("this PostgreSQL has no pgvector: nothing is known here about it")
    with monkeypatch.context() as without:
        without.setattr("plvm.store.postgresql.use_pgvector", lambda connection: None)
        with ConceptStore.open(url) as store:
            store.add_all(list(SMALL.values()))
    with ConceptStore.open(url) as store:
        assert server.run_sql("SELECT count(*) FROM plvm_keys WHERE vector IS NOT NULL") == [(3,)]
        assert store.nearest(SMALL["mia"].tokens.key, 1, aligner="aligner-a")[0][0] == "mia"
        assert not store._database.known.keys


@pytest.mark.slow
def test_debian_s_server_without_pgvector_does_too(debian: Server) -> None:
    debian.empty()
    with ConceptStore.open(debian.url) as store:
        store.add_all(list(SMALL.values()))
        store.forget("billie")
        assert [c.name for c in store.list()] == ["avril", "mia"] and store.check().whole
        assert store.nearest(SMALL["mia"].tokens.key, 1, aligner="aligner-a")[0][0] == "mia"


def test_a_server_that_is_not_there_is_an_error_without_a_password(tmp_path: Path) -> None:
    for place in (f"postgresql://anna:secret@/x?host={tmp_path}", "postgresql://anna:secret@127.0.0.1:1/x", "postgres://h:1/"):
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            ConceptStore.open(place)
        assert "PostgreSQL runs there" in caught.value.hint and "secret" not in str(caught.value)


def test_other_databases_are_refused() -> None:
    with pytest.raises(StoreError, match="leads nowhere"):
        ConceptStore.open("mysql://anna:secret@h/x")
