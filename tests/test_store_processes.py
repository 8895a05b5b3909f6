"""The store under real processes: two at once, and kill -9 in the middle of a write."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from concepts import concept, same
from plvm.store import ConceptStore
from plvm.store.database import Database

TESTS = Path(__file__).parent
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9")


def worker(path: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS.parent / 'src'}{os.pathsep}{TESTS}"}
    command = [sys.executable, str(TESTS / "store_worker.py"), str(path), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def test_two_processes_open_a_new_store_and_write_at_once_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "concepts.db"
    workers = [worker(path, "add", prefix, "8") for prefix in ("a", "b")]
    for process in workers:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    with ConceptStore.open(path) as store:
        assert store.names() == sorted(f"{prefix}{number}" for prefix in "ab" for number in range(8))
        assert all(same(c, concept(c.name, int(c.name[1:]))) for c in store.list())
    assert is_sound(path)


@pytest.mark.parametrize(
    ("verb", "statement"),
    [
        ("add", "INSERT INTO plvm_references"),
        ("rename", "UPDATE plvm_concepts"),
        ("forget", "DELETE FROM plvm_references"),
    ],
)
def test_a_process_killed_inside_a_change_changes_nothing(tmp_path: Path, verb: str, statement: str) -> None:
    path = tmp_path / "concepts.db"
    billie = concept("billie", 1, references=2)
    with ConceptStore.open(path) as store:
        store.add(billie)
    process = worker(path, "die", verb, statement)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    with ConceptStore.open(path) as store:
        assert store.names() == ["billie"] and same(store.get("billie"), billie)
        store.add(concept("avril", 3))
    assert is_sound(path)


def test_a_process_killed_at_any_moment_leaves_one_whole_concept(tmp_path: Path) -> None:
    path = tmp_path / "concepts.db"
    for milliseconds in (5, 110):
        process = worker(path, "replace", "billie")
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.2 + milliseconds / 1000)
        process.kill()
        process.communicate()
        with ConceptStore.open(path) as store:
            (found,) = store.list()
            seed = int(found.notes.split()[-1])
            assert same(found, concept("billie", seed, references=4, side=128))
        assert is_sound(path)


@pytest.mark.parametrize("verb", ["forget", "rename"])
def test_a_process_killed_between_changing_and_wiping_is_finished_by_the_next(tmp_path: Path, verb: str) -> None:
    path = tmp_path / "concepts.db"
    secret = replace(concept("billie", 1), notes="")
    with ConceptStore.open(path) as store:
        for number in range(20):
            store.add(concept(f"other{number}", 100 + number, side=20))
        store.add(secret)
    process = worker(path, "die-before-scrubbing", verb)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    mark = secret.references[0][500:524] if verb == "forget" else b"billie"
    assert any(mark in file.read_bytes() for file in tmp_path.iterdir()), "or this test shows nothing"
    with ConceptStore.open(path) as store:
        assert not any(mark in file.read_bytes() for file in tmp_path.iterdir())
        assert len(store.names()) == (20 if verb == "forget" else 21)


def test_many_threads_of_one_process_add_and_forget_and_nobody_is_told_to_come_again(tmp_path: Path) -> None:
    def work(home: int, store: ConceptStore) -> list[str]:
        for number in range(6):
            store.add(concept(f"person-{number}", home))
            if number % 2:
                store.forget(f"person-{number}")
        return store.names()

    with Database.open(tmp_path / "concepts.db") as database, ThreadPoolExecutor(6) as pool:
        stores = [ConceptStore(database, namespace=f"home-{home}") for home in range(6)]
        assert list(pool.map(work, range(6), stores)) == [["person-0", "person-2", "person-4"]] * 6
