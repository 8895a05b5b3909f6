"""Datasets: the same bytes whatever happens on the way, splits by identity, nothing lost and nothing silent."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

import pyarrow.parquet as parquet

import plvm
from pictures import encoded
from plvm.cli.main import app
from plvm.errors import PlvmError, RequestError
from plvm.mini.judge import read_album
from plvm.portraits.person import PHRASES, person_of
from plvm.synth import tables
from plvm.synth.dataset import MANIFEST, changed_files, check_leaks, finish, read_manifest, read_rows
from plvm.synth.pipeline import synthesize
from plvm.synth.portraits import PortraitsGenerator
from plvm.synth.shard import KEPT, PARTS, PICTURES, QUESTIONS, ShardMaker, pixel_digest
from plvm.synth.sheet import rows_of
from plvm.synth.spec import SPLITS, Spec, draw_splits, plan
from plvm.synth.tables import read_pictures

SMALL = Spec(identities=10, per_identity=2, seed=3, size=48, shard=2, shares=(0.6, 0.2, 0.2), filters=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset, made in one go by this process."""
    folder = tmp_path_factory.mktemp("synth") / "made"
    synthesize(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def friends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with up to four people in a picture."""
    folder = tmp_path_factory.mktemp("synth") / "friends"
    spec = {**vars(SMALL), "identities": 40, "shard": 8, "options": {"people": [1, 4]}}
    synthesize(Spec(**spec), folder)
    return folder


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


# ---- the format


def test_the_tables_tell_every_picture_and_the_tars_have_those_that_were_kept(made: Path) -> None:
    rows = read_rows(made)
    assert len(rows) == 10 * 3 and all(r["kept"] for r in rows)
    stored = {key: png for f in made.glob(f"*{KEPT}") if "rejected" not in f.name for key, png in read_pictures(f)}
    assert set(stored) == {r["picture"] for r in rows}
    for row in rows:
        with Image.open(io.BytesIO(stored[row["picture"]])) as image:
            assert image.size == (row["width"], row["height"]) == (48, 48) and image.mode == "RGB"


def test_parquet_and_tar_are_what_other_tools_read(made: Path) -> None:
    table = parquet.read_table(made / f"train-00000{PICTURES}")
    assert table.schema.field("kept").type == "bool" and table.schema.field("face_score").type == "float"
    with tarfile.open(made / "train-00000.tar") as tar:
        names = tar.getnames()
        stems = [n.partition(".")[0] for n in names]
        assert names[0::2] == [f"{s}.png" for s in stems[0::2]] and names[1::2] == [f"{s}.json" for s in stems[0::2]]
        first = tar.extractfile(names[1])
        assert first is not None and json.load(first)["split"] == "train"
        assert {e.mtime for e in tar} == {0}


def test_datasets_reads_tables_and_pictures(made: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    read = datasets.load_dataset(
        "parquet", data_files={s: str(made / f"{s}-*{QUESTIONS}") for s in SPLITS}, cache_dir=str(tmp_path)
    )
    assert sum(len(d) for d in read.values()) == len(read_rows(made, QUESTIONS))
    files = [str(f) for f in sorted(made.glob("train-?????.tar"))]
    pictures = datasets.load_dataset("webdataset", data_files=files, split="train", cache_dir=str(tmp_path))
    assert pictures[0]["png"].size == (48, 48) and pictures[0]["json"]["split"] == "train"


def test_webdataset_reads_the_pictures_with_what_is_told_of_them(made: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    files = [str(f) for f in sorted(made.glob("*-?????.tar"))]
    found = list(webdataset.WebDataset(files, shardshuffle=False).decode("pil").to_tuple("__key__", "png", "json"))
    rows = {r["picture"]: r for r in read_rows(made)}
    assert sorted(key for key, _, _ in found) == sorted(rows)
    for key, image, told in found:
        assert pixel_digest(image) == rows[key]["sha256"] and told["people"] == rows[key]["people"]


def test_the_manifest_and_the_datasheet_count_what_is_there(made: Path) -> None:
    manifest = read_manifest(made)
    assert sum(manifest.counts[s]["pictures"] for s in SPLITS) == len(read_rows(made))
    assert sum(manifest.counts["questions"].values()) == len(read_rows(made, QUESTIONS))
    assert set(manifest.shards) == {f.name.removesuffix(QUESTIONS) for f in made.glob(f"*{QUESTIONS}")}
    sheet = (made / "DATASHEET.md").read_text()
    assert f"`{manifest.content}`" in sheet and "- seed: 3" in sheet and "| train | 6 | 18 | 18 |" in sheet
    assert changed_files(made) == []


def test_a_changed_file_is_found_and_an_unfinished_dataset_is_refused(made: Path, tmp_path: Path) -> None:
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / f"val-00000{PARTS[0]}").write_bytes(b"")
    (tmp_path / f"test-00000{QUESTIONS}").unlink()
    assert sorted(changed_files(tmp_path)) == [f"test-00000{QUESTIONS}", f"val-00000{PARTS[0]}"]
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(RequestError, match="not finished"):
        read_rows(tmp_path)


# ---- questions of a dataset


@pytest.mark.parametrize("which", ["made", "friends"])
def test_the_truth_of_every_question_is_the_truth_of_its_picture(which: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(which)
    pictures = read_rows(folder)
    people = {r["picture"]: r["people"] for r in pictures}
    references = [r for r in pictures if r["name"] == "reference"]
    traits = {r["identity"]: json.loads(r["truth"])["people"][0]["traits"] for r in references}
    split = {r["identity"]: r["split"] for r in references}
    rows = read_rows(folder, QUESTIONS)
    seen = {(r["kind"], r["answer"].split()[0].strip(".,")) for r in rows}
    assert {("recognize", "Yes"), ("recognize", "No"), ("recognize_one", "No"), ("who", "I")} <= seen
    assert (("both", "Yes") in seen) == (which == "friends") == any(r["kind"] == "beside" for r in rows)
    for r in rows:
        assert len({split[c] for c in r["concepts"]}) == 1 and len(set(r["concepts"])) == len(r["concepts"])
        names = [f"<n{i}>" for i in range(len(r["concepts"]))]
        called = dict(zip(r["concepts"], names, strict=True))
        shown = [called.get(key, "someone I do not know") for key in people.get(r["picture"], [])]
        here = [n for n in shown if n in names]
        if r["kind"] in ("recognize", "recognize_one"):
            asked = next(n for n in names if n in r["question"])
            assert r["verdict"] and r["answer"].startswith("Yes" if asked in here else "No")
        elif r["kind"] == "both":
            two = [n for n in here if n in r["question"]]
            assert r["answer"] == ("No.", f"No, only {'?'.join(two)} is in this photo.", "Yes.")[len(two)]
        elif r["kind"] == "who":
            assert r["answer"] == (f"I see {' and '.join(here)}." if here else "I do not know anyone in this photo.")
        elif r["kind"] == "which":
            assert r["answer"] == f"This is {here[0]}." and len(names) == 2
        elif r["kind"] == "beside":
            asked = next(n for n in names if n in r["question"])
            said = r["answer"].partition(" next to ")[0].lower()
            near = [n for i, n in enumerate(shown) if abs(i - shown.index(asked)) == 1]
            assert said == f"{' and '.join(near)} {'is' if len(near) == 1 else 'are'}".lower()
        else:
            phrase = PHRASES[r["kind"]][traits[r["concepts"][0]][r["kind"]]]
            assert not r["picture"] and r["answer"].endswith(f" {phrase}.") and r["answer"] in r["options"]


def test_friends_are_pictured_together_and_everyone_of_them_has_a_reference(friends: Path) -> None:
    rows = read_rows(friends)
    references = {r["identity"]: json.loads(r["truth"])["people"][0] for r in rows if r["name"] == "reference"}
    assert len(references) == 40 == sum(read_manifest(friends).counts[s]["identities"] for s in SPLITS)
    shown: dict[str, list[int]] = {}
    for row in (r for r in rows if r["name"] != "reference"):
        figures = json.loads(row["truth"])["people"]
        assert [f["x"] for f in figures] == sorted(f["x"] for f in figures), "from left to right"
        assert [references[key]["traits"] for key in row["people"]] == [f["traits"] for f in figures]
        assert row["prompt"].count("wearing") == len(figures)
        for key in row["people"]:
            shown.setdefault(key, []).append(len(figures))
    assert {len(counts) for counts in shown.values()} == {2} and set(shown) == set(references), (
        "two pictures of everybody"
    )
    assert {n for counts in shown.values() for n in counts} == {1, 2, 3, 4}
    together = next(r["people"] for r in rows if len(r["people"]) == 4)
    (last,) = (row for row in rows_of(friends, 100) if row.identity == together[-1])
    assert len(last.cells) == 3, "the contact sheet shows everybody's pictures beside everybody's reference"


def test_the_judge_learns_from_pictures_of_one_person_with_the_truth_of_each(made: Path, friends: Path) -> None:
    album = read_album(made, "train")
    rows = read_rows(made, split="train")
    assert len(album.truth) == len(rows) and len(album.of) == 6
    for told, row in zip(album.truth, rows, strict=True):
        (person,) = json.loads(row["truth"])["people"]
        assert told["traits"] == person["traits"] and told["place"] == json.loads(row["truth"])["place"]
    with pytest.raises(RequestError, match="of one person"):
        read_album(friends, "train")


class Says:
    """An answering model that takes everybody for young."""

    def about(self, reference: Image.Image) -> dict[str, str]:
        assert reference.size == (48, 48)
        return {"age": "<n0> is young."}


def test_how_often_a_backbone_tells_the_truth_is_counted(tmp_path: Path) -> None:
    generator, answers = PortraitsGenerator(SMALL), Says()
    keys = generator.keys()
    shards = plan(SMALL, keys)
    for shard in shards:
        ShardMaker(SMALL, tmp_path, generator, answers=answers).make(shard)  # type: ignore[arg-type]
    manifest = finish(SMALL, tmp_path, shards, generator.describe(), time.time(), shards)
    young = sum(generator.person(key)["age"] == "young" for key in keys)
    assert manifest.counts["agreement"] == {"age": [young, 10]}
    assert f"| age | {young} of 10 |" in (tmp_path / "DATASHEET.md").read_text()


# ---- what goes wrong


def test_a_full_disk_is_reported_and_what_was_finished_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real, writes = tmp_path / "full", os.fsync, [0]

    def fsync(file: int) -> None:
        writes[0] += 1
        if writes[0] == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file)

    monkeypatch.setattr(tables.os, "fsync", fsync)
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


# ---- photos


def photo_folder(folder: Path) -> Path:
    """Three people with photos, one of them unreadable, one a drawing program's file."""
    for who, colour in (("ann", "red"), ("Bob Smith", "green"), ("cy.d", "blue")):
        (folder / who).mkdir(parents=True)
        for i in range(3):
            image = Image.effect_noise((60 + i, 50), 90 + i).convert("RGB")
            image.paste(colour, (0, 0, 20, 20))
            (folder / who / f"{i}.jpg").write_bytes(encoded(image, "JPEG", quality=95))
    (folder / "ann" / "ref.png").write_bytes(encoded(Image.new("RGB", (40, 40), "red")))
    (folder / "ann" / "1.jpg").write_bytes(b"\xff\xd8\xff broken")
    return folder


def test_photos_are_imported_and_what_cannot_be_read_has_its_reason(tmp_path: Path) -> None:
    photos = photo_folder(tmp_path / "photos")
    done = CliRunner().invoke(
        app, ["synth", "import", str(photos), "--out", str(tmp_path / "d"), "--no-filters", "--size", "64"]
    )
    assert done.exit_code == 0, done.output
    rows = {r["picture"]: r for r in read_rows(tmp_path / "d")}
    assert len(rows) == 10 and sum(not r["kept"] for r in rows.values()) == 1
    assert {r["identity"] for r in rows.values()} > {"ann"} and all("." not in k and " " not in k for k in rows)
    bad = next(r for r in rows.values() if not r["kept"])
    assert bad["rejected_by"] == "unreadable" and "1.jpg" in bad["reason"]
    assert json.loads(rows["ann-reference"]["truth"]) == {"file": "ref.png"}


def test_a_photo_that_two_people_share_across_splits_is_a_leak(tmp_path: Path) -> None:
    photos = photo_folder(tmp_path / "photos")
    same = encoded(Image.effect_noise((64, 64), 80).convert("RGB"))
    for who in ("ann", "Bob Smith", "cy.d"):
        (photos / who / "same.png").write_bytes(same)
    spec = Spec("photos", 0, 9, size=64, filters=False, options={"references": str(photos)})
    with pytest.raises(PlvmError, match="two splits"):
        synthesize(spec, tmp_path / "d")
    assert not (tmp_path / "d" / MANIFEST).exists()


# ---- the command line


def test_the_verbs_make_show_and_check_a_dataset(tmp_path: Path) -> None:
    run, data = CliRunner(), str(tmp_path / "d")
    done = run.invoke(
        app, ["synth", "--identities", "4", "--per-identity", "2", "--size", "48", "--no-filters", "--out", data]
    )
    assert done.exit_code == 0 and done.stdout.strip() == data and "images/s" in done.stderr
    assert run.invoke(app, ["synth", "show", data, "--out", str(tmp_path / "s.png")]).exit_code == 0
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 3 * 160 and sheet.height > 4 * 160
    assert run.invoke(app, ["synth", "show", data, "--out", str(tmp_path / "s.html")]).exit_code == 0
    page = (tmp_path / "s.html").read_text()
    assert page.count("<img") == 12 and "p000003" in page
    assert run.invoke(app, ["synth", "check", data]).exit_code == 0
    together = run.invoke(
        app,
        ["synth", "--identities", "4", "--people", "2", "--size", "48", "--no-filters", "--json", "--out", data + "2"],
    )
    assert together.exit_code == 0 and sum(json.loads(together.stdout)["counts"][s]["pictures"] for s in SPLITS) == 14
    nobody = run.invoke(app, ["synth", "show", data, "--rejected"])
    assert nobody.exit_code == 2 and "nobody to show" in nobody.stderr


def test_mistakes_on_the_command_line_are_two_lines(tmp_path: Path) -> None:
    run = CliRunner()
    for words in (
        ["synth", "--generator", "gan", "--out", str(tmp_path / "a")],
        ["synth", "--identities", "3"],
        ["synth", "show", str(tmp_path / "nothing")],
        ["synth", "import", str(tmp_path / "nothing"), "--out", str(tmp_path / "b"), "--no-filters"],
        ["synth", "--generator", "ip-adapter", "--out", str(tmp_path / "c")],
        ["synth", "prompts", "--count", "1000000"],
        ["synth", "--people", "1-4", "--out", str(tmp_path / "d")],
        ["synth", "--people", "1-5", "--no-filters", "--out", str(tmp_path / "e")],
        ["synth", "--people", "many", "--no-filters", "--out", str(tmp_path / "f")],
        ["synth", "--steps", "20", "--out", str(tmp_path / "g")],
        ["synth", "--generator", "ip-adapter", "--people", "2", "--out", str(tmp_path / "h")],
    ):
        done = run.invoke(app, words)
        assert done.exit_code == 2 and done.stderr.startswith("Error:") and len(done.stderr.splitlines()) == 2, words
