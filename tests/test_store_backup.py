"""Backups are whole, and every connection waits until the disk has what it was told."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from pathlib import Path

import pytest
import sqlalchemy

from concepts import concept, same
from damaged import SMALL, run_sql, small_store, spoil, tokens_of
from plvm.errors import StoreError
from plvm.store import ConceptStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    small_store(tmp_path / "concepts.db")
    return tmp_path / "concepts.db"


def test_a_backup_holds_every_namespace_and_only_its_owner_may_read_it(path: Path, tmp_path: Path) -> None:
    with ConceptStore.open(path, namespace="other") as other:
        other.add(concept("zoe", 9))
    with ConceptStore.open(path) as store:
        health = store.back_up(tmp_path / "backup.db")
    assert (health.whole, health.concepts, health.pictures) == (True, 3, 6)
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["backup.db", "concepts.db"]
    with ConceptStore.open(tmp_path / "backup.db") as copy, ConceptStore.open(tmp_path / "backup.db", namespace="other") as other:
        assert all(same(c, SMALL[c.name]) for c in copy.list()) and len(copy.list()) == 3
        assert same(other.get("zoe"), concept("zoe", 9))


def test_a_backup_is_one_moment_while_others_write(path: Path, tmp_path: Path) -> None:
    with ConceptStore.open(path) as store:
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM plvm_references")
        assert store.back_up(tmp_path / "backup.db").whole
        writer.execute("ROLLBACK")
        writer.close()


def test_a_backup_overwrites_only_on_request_and_never_the_store(path: Path, tmp_path: Path) -> None:
    with ConceptStore.open(path) as store:
        (tmp_path / "old").write_text("precious")
        with pytest.raises(StoreError, match="exists already"):
            store.back_up(tmp_path / "old")
        assert (tmp_path / "old").read_text() == "precious"
        assert store.back_up(tmp_path / "old", replace=True).whole
        for place in (path, tmp_path, tmp_path / "no" / "folder"):
            with pytest.raises(StoreError):
                store.back_up(place, replace=True)
        assert store.check().whole


def test_a_backup_of_a_damaged_concept_says_so(path: Path, tmp_path: Path) -> None:
    spoil(path, tokens_of(SMALL["billie"]))
    with ConceptStore.open(path) as store:
        health = store.back_up(tmp_path / "backup.db")
    assert [damage.name for damage in health.damaged] == ["billie"] and (tmp_path / "backup.db").exists()


def test_no_backup_is_made_of_a_file_that_is_not_sound(path: Path, tmp_path: Path) -> None:
    wrong_root = "UPDATE sqlite_master SET rootpage = 2 WHERE name = 'sqlite_autoindex_plvm_concepts_1'"
    run_sql(path, "PRAGMA writable_schema = ON", wrong_root)
    with ConceptStore.open(path) as store, pytest.raises(StoreError, match="not sound"):
        store.back_up(tmp_path / "backup.db")
    assert not (tmp_path / "backup.db").exists()


def test_what_a_killed_backup_left_is_removed_by_a_later_one(path: Path, tmp_path: Path) -> None:
    old, new = tmp_path / ".plvm-backup-old", tmp_path / ".plvm-backup-new"
    for file in (old, new):
        file.write_bytes(b"faces")
    os.utime(old, (time.time() - 7200,) * 2)
    with ConceptStore.open(path) as store:
        store.back_up(tmp_path / "backup.db")
    assert not old.exists() and new.exists(), "somebody may be writing that one"


def test_every_connection_waits_for_the_disk_and_overwrites_what_is_removed(path: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def look(connection: sqlalchemy.Connection, *_: object) -> None:
        raw = connection.connection.driver_connection
        assert raw is not None
        settings = [raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "secure_delete")]
        seen.append((settings[0], settings[1]))

    sqlalchemy.event.listen(sqlalchemy.Engine, "begin", look)
    try:
        for place in (path, tmp_path / "new.db"):
            with ConceptStore.open(place) as store:
                store.add(concept("kim", 5))
                store.rename("kim", "ken")
                store.forget("ken")
                store.close()
                store.list()
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "begin", look)
    assert len(seen) > 10 and set(seen) == {(2, 1)}, "2 is FULL, 1 is ON"
