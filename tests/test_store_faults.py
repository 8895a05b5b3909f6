"""Flipped bits, kill -9 and full disks, by the script that publishes them: in small, and what its result file says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from concepts import concept
from plvm.errors import StoreError
from plvm.store import ConceptStore, database

RESEARCH = Path(__file__).parents[1] / "research"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9 and mount")


@pytest.fixture(scope="module")
def faults() -> Iterator[Any]:
    """The script as a module."""
    sys.path.insert(0, str(RESEARCH / "benchmarks"))
    try:
        yield import_module("store_faults")
    finally:
        sys.path.remove(str(RESEARCH / "benchmarks"))


@pytest.fixture
def disk(faults: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many KiB."""
    try:
        with faults.disk(tmp_path / "disk", request.param) as folder:
            yield folder
    except OSError as error:
        pytest.skip(f"no small file system can be mounted ({error}): nothing is known here about full disks")


def test_one_flipped_bit_is_never_used_and_costs_nobody_else(faults: Any, tmp_path: Path) -> None:
    found = faults.flips(tmp_path, 40, seed=1)
    assert (found["used silently"], found["others lost"], found["others lost, repaired"]) == (0, 0, 0)
    assert found["one set aside"] > 10 and found["as before, repaired"] > 10, "or this shows nothing"


def test_nothing_acknowledged_is_lost_when_it_is_killed_ten_times_at_work(faults: Any, tmp_path: Path) -> None:
    found = faults.kills(tmp_path, 10, seed=1)
    assert (found["killed"], found["lost"], found["damaged"], found["bad backups"]) == (10, 0, 0, 0)
    assert sum(own["acknowledged"] for own in found["by_verb"].values()) >= 10


def test_every_message_on_a_full_disk_is_true(faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    try:
        found = faults.disks(tmp_path, (256, 384))
    except OSError as error:
        pytest.skip(f"no small file system can be mounted ({error}): nothing is known here about full disks")
    assert [(row["untrue"], row["damaged"]) for row in found] == [(0, 0)] * 2
    assert all(row["done"] and row["failed"] and row["made but not overwritten"] for row in found), "or this shows nothing"


def test_the_result_file_keeps_the_claim() -> None:
    found = json.loads((RESEARCH / "results" / "store_faults.json").read_text())
    flips, kills, disks = (found[key] for key in ("flips", "kills", "disks"))
    assert flips["bits"] == 1000 and flips["used silently"] == flips["others lost"] == flips["others lost, repaired"] == 0
    assert kills["killed"] == 100 and kills["lost"] == kills["damaged"] == kills["bad backups"] == 0
    assert len(disks) == 12 and not any(row["untrue"] or row["damaged"] for row in disks)


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
