"""On a full disk every message is true: what it says was done is stored afterwards, what it says was not is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from concepts import concept, same
from plvm.errors import StoreError, UnknownConceptError
from plvm.store import ConceptStore, database
from plvm.types import Concept

SIZES = (64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 320, 384)  # KiB
Kept = dict[str, int]  # name -> the seed of its tokens and picture


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs Linux and root: nothing is known here about full disks")
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}k", "tmpfs", str(folder)]
    if (done := subprocess.run(command, capture_output=True, text=True)).returncode != 0:
        pytest.skip(f"no small file system can be mounted ({done.stderr.strip()}): nothing is known here about full disks")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def person(name: str, seed: int) -> Concept:
    """Someone of about 25 KiB."""
    return concept(name, seed, references=2)


def stored(disk: Path, elsewhere: Path) -> Kept:
    """What the files on the full disk hold: read from a copy that has room."""
    shutil.rmtree(elsewhere, ignore_errors=True)
    elsewhere.mkdir()
    for file in disk.glob("concepts.db*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, elsewhere)
    if not (elsewhere / "concepts.db").exists():
        return {}
    with ConceptStore.open(elsewhere / "concepts.db") as store:
        health, found = store.check(), store.list()
    assert health.whole, "a full disk damages nothing"
    seeds = {c.name: int(c.notes.split()[-1]) for c in found}
    for c in found:
        assert same(c, person(c.notes.split()[2].rstrip(":"), seeds[c.name]), but=("name",))
    return seeds


def steps() -> Iterator[tuple[str, Callable[[ConceptStore], object], Callable[[Kept], Kept]]]:
    """(what, doing it, what it makes of what was kept)"""
    for seed in range(12):
        yield f"add a{seed}", lambda s, i=seed: s.add(person(f"a{i}", i)), lambda kept, i=seed: {**kept, f"a{i}": i}  # type: ignore[misc]
    yield "replace a0", lambda s: s.add(person("a0", 50), replace=True), lambda kept: {**kept, "a0": 50}
    yield "rename a0", lambda s: s.rename("a0", "b0"), lambda kept: {("b0" if n == "a0" else n): s for n, s in kept.items()}
    yield "forget b0", lambda s: s.forget("b0"), lambda kept: {n: s for n, s in kept.items() if n != "b0"}
    yield "forget a0", lambda s: s.forget("a0"), lambda kept: {n: s for n, s in kept.items() if n != "a0"}
    yield "add c", lambda s: s.add(person("c", 60)), lambda kept: {**kept, "c": 60}


def is_true(message: str, before: Kept, after: Kept, now: Kept) -> bool:
    """Whether what is stored `now` is what the message of a failed step says."""
    if "but the old bytes are still" in message:
        return now == after != before
    if "Whether it was changed" in message:
        return now in (before, after)
    return "Nothing was changed" in message and now == before


@pytest.mark.parametrize("disk", SIZES, indirect=True)
def test_every_message_on_a_full_disk_is_true(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    path, told = disk / "concepts.db", 0
    kept: Kept = {}
    for what, do, makes in steps():
        before, after = kept, makes(kept)
        try:
            with ConceptStore.open(path) as store:
                do(store)
            message = ""
        except UnknownConceptError:
            continue
        except StoreError as error:
            message = str(error)
        kept = stored(disk, tmp_path / "copy")
        if message:
            told += 1
            assert is_true(message, before, after, kept) and "disk" in message, (what, message, before, kept)
        else:
            assert kept == after, f"{what} was acknowledged"
    assert told, "or the disk was not full, and this test shows nothing"


@pytest.mark.parametrize("disk", [256], indirect=True)
def test_what_was_committed_is_not_called_failed_when_the_log_cannot_be_emptied(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: database.Database) -> bool:
        raise StoreError("the disk is full", "")

    with ConceptStore.open(disk / "concepts.db") as store:
        monkeypatch.setattr(database.Database, "empty_log", full)
        store.add(concept("billie", 1))
        with pytest.raises(StoreError, match="<billie> left the store, but the old bytes"):
            store.forget("billie")
        monkeypatch.undo()
        assert store.names() == []


@pytest.mark.parametrize("disk", [512], indirect=True)
def test_a_backup_to_a_full_disk_leaves_nothing_there(disk: Path, tmp_path: Path) -> None:
    with ConceptStore.open(tmp_path / "concepts.db") as store:
        store.add_all([concept(f"a{i}", i, side=128) for i in range(20)])
        with pytest.raises(StoreError, match="disk is full"):
            store.back_up(disk / "backup.db")
        with pytest.raises(StoreError):
            store.export(disk / "out.plvm")
    assert list(disk.iterdir()) == []
