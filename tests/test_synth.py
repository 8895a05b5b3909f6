"""Datasets: the same bytes whatever happens on the way, splits by identity, nothing lost and nothing silent."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import plvm
from plvm.data import files
from plvm.data.manifest import MANIFEST, changed_files, read_manifest, read_rows
from plvm.data.shards import QUESTIONS
from plvm.data.spec import SPLITS, Spec, draw_splits, plan
from plvm.errors import PlvmError, RequestError
from plvm_lab.portraits.person import person_of
from plvm_lab.synth.finish import check_leaks
from plvm_lab.synth.pipeline import synthesize
from synthesized import SMALL
from synthesized import made as made


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a dataset, the manifest without its times."""
    found = {f.name: f.read_bytes() for f in sorted(folder.iterdir())}
    manifest = json.loads(found.pop(MANIFEST))
    assert manifest.pop("times")
    return found | {MANIFEST: json.dumps(manifest).encode()}


# ---- the same bytes


def test_the_same_seed_gives_the_same_bytes_by_one_process_and_by_two(made: Path, tmp_path: Path) -> None:
    synthesize(SMALL, tmp_path / "again", workers=2)
    assert contents(tmp_path / "again") == contents(made)


def test_another_seed_gives_other_pictures(made: Path, tmp_path: Path) -> None:
    other = synthesize(Spec(**{**vars(SMALL), "seed": 4}), tmp_path / "other")
    ours, theirs = ({r["sha256"] for r in read_rows(f)} for f in (made, tmp_path / "other"))
    assert other.content != read_manifest(made).content and not ours & theirs


def test_killed_in_the_middle_and_started_again_it_repeats_and_loses_nothing(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    command = [
        sys.executable, "-c", "from plvm.cli.main import app; app()", "synth", "--identities", "10",
        "--per-identity", "2", "--seed", "3", "--size", "48", "--shard", "2", "--no-filters",
        "--out", str(folder), "--workers", "2",
    ]  # fmt: skip
    running = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(Path(plvm.__file__).parents[1])}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 100
    while not list(folder.glob(f"*{QUESTIONS}")) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    time.sleep(1)  # its workers notice
    before = {f.name: f.stat().st_mtime_ns for f in folder.glob(f"*{QUESTIONS}")}
    assert before and not (folder / MANIFEST).exists()
    (folder / "train-00000.tar.0123.part").write_bytes(b"half a fi")
    spec = Spec(**{**vars(SMALL), "shares": (0.9, 0.05, 0.05)})
    synthesize(spec, folder)
    assert {f: (folder / f).stat().st_mtime_ns for f in before} == before, "finished shards are not made again"
    synthesize(spec, tmp_path / "whole")
    assert contents(folder) == contents(tmp_path / "whole"), "and half a file is gone"
    assert made.exists()


def test_a_finished_dataset_is_left_alone(made: Path) -> None:
    before = {f: f.stat().st_mtime_ns for f in made.iterdir()}
    assert synthesize(SMALL, made).content == read_manifest(made).content
    assert {f: f.stat().st_mtime_ns for f in made.iterdir()} == before


def test_a_folder_of_another_dataset_or_of_anything_else_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="another dataset"):
        synthesize(Spec(**{**vars(SMALL), "seed": 9}), made)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RequestError, match="not empty"):
        synthesize(SMALL, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


# ---- splits


def test_every_identity_is_in_one_split_and_the_shares_are_met() -> None:
    keys = [f"k{i}" for i in range(1000)]
    splits = draw_splits(keys, (0.8, 0.1, 0.1), seed=1)
    assert [sum(s == split for s in splits.values()) for split in SPLITS] == [800, 100, 100]
    assert splits == draw_splits(keys[::-1], (0.8, 0.1, 0.1), seed=1) != draw_splits(keys, (0.8, 0.1, 0.1), seed=2)
    assert set(draw_splits(keys[:3], (0.9, 0.05, 0.05), 0).values()) == set(SPLITS), "each gets somebody"
    shards = plan(SMALL, keys)
    assert sorted(i.key for s in shards for i in s.identities) == sorted(keys)
    assert all({i.split for i in s.identities} == {s.name.rpartition("-")[0]} for s in shards)


def test_no_identity_and_no_picture_of_a_dataset_is_in_two_splits(made: Path) -> None:
    for column in ("identity", "sha256"):
        found = {split: {r[column] for r in read_rows(made, split=split)} for split in SPLITS}
        assert all(found.values()) and len(set().union(*found.values())) == sum(map(len, found.values()))


def test_a_picture_that_is_in_two_splits_is_found_by_its_pixels() -> None:
    row: dict[str, Any] = {
        "people": ["a"],
        "split": "train",
        "sha256": "1",
        "hash": "00" * 144,
        "kept": True,
        "picture": "a-0",
    }
    other = {**row, "people": ["b"], "split": "test", "picture": "b-3"}
    with pytest.raises(PlvmError, match="b-3"):
        check_leaks([row, other])
    near = {**other, "sha256": "2", "hash": "02" * 144}
    assert check_leaks([row, near]) == {"near": 1}
    assert check_leaks([row, {**near, "hash": "03" * 144}]) == {"near": 0}
    assert check_leaks([row, {**other, "kept": False}]) == {"near": 0}, "what was refused leaks nothing"


def test_nobody_in_a_dataset_is_of_the_benchmark_or_of_the_family(made: Path) -> None:
    known = {person_of(s, i).traits for s in ("train", "test", "val") for i in range(300)}
    traits = [tuple(p["traits"].values()) for r in read_rows(made) for p in json.loads(r["truth"])["people"]]
    assert len(set(traits)) == 10 and not set(traits) & known


# ---- what goes wrong


def test_a_full_disk_is_reported_and_what_was_finished_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real, writes = tmp_path / "full", os.fsync, [0]

    def fsync(file: int) -> None:
        writes[0] += 1
        if writes[0] == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file)

    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(PlvmError, match="disk is full") as caught:
        synthesize(SMALL, folder)
    assert "start the same command again" in caught.value.hint
    assert len(list(folder.glob(f"*{QUESTIONS}"))) == 1 and not list(folder.glob("*.part"))
    monkeypatch.undo()
    assert synthesize(SMALL, folder).counts["train"]["kept"] == 18


def test_a_place_where_no_folder_can_be_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PlvmError, match="cannot be written"):
        synthesize(SMALL, tmp_path / "file" / "data")


@pytest.mark.parametrize(
    "wrong", [{"per_identity": 0}, {"size": 4}, {"shares": (0.5, 0.1, 0.1)}, {"answers": "oracle"}, {"seed": -1}]
)
def test_a_spec_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        Spec(**wrong)


def workers_of(parent: int) -> list[int]:
    """The processes that work for a pool, of all that its owner started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            owner = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if owner == parent and b"spawn_main" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found through /proc")
def test_a_worker_that_dies_is_reported_and_what_was_finished_stays(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    command = [
        sys.executable, "-c", "from plvm.cli.main import app; app()", "synth", "--identities", "90", "--size", "64",
        "--per-identity", "2", "--shard", "2", "--no-filters", "--out", str(folder), "--workers", "2",
    ]  # fmt: skip
    running = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(plvm.__file__).parents[1])},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 100
    while not list(folder.glob(f"*{QUESTIONS}")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(workers_of(running.pid)[0], signal.SIGKILL)
    _, said = running.communicate(timeout=100)
    assert running.returncode == 2 and "A worker died" in said and "finished shards are kept" in said
    assert "Traceback" not in said
    before = {f: f.stat().st_mtime_ns for f in folder.glob(f"*{QUESTIONS}")}
    assert before and not (folder / MANIFEST).exists()
    spec = Spec(identities=90, per_identity=2, size=64, shard=2, filters=False)
    assert sum(synthesize(spec, folder).counts[s]["kept"] for s in SPLITS) == 90 * 3
    assert {f: f.stat().st_mtime_ns for f in before} == before, "finished shards are not made again"
    assert not list(folder.glob("*.part")) and changed_files(folder) == []
