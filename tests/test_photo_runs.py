"""The scripts that measure a family of photographs run from end to end on drawn squares, and write what they promise."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import plvm
from photo_family import drawn, squares
from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm.model.aligner import build_aligner
from plvm.model.checkpoint import load_aligner, save_aligner
from plvm.vision.face_finder import FaceFinder
from plvm_lab.evaluate.faces_benchmark import FacesBenchmark
from plvm_lab.evaluate.kept_faces import keep_faces
from plvm_lab.systems.in_context import InContext
from test_faces_benchmark import FEW
from test_faces_benchmark import photos as photos
from test_runs import QUICK

RESEARCH = Path(__file__).parents[1] / "research"
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(photo: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a script on the miniature family and the drawn people; returns what its result file says."""

    def go(script: str, *words: Any) -> dict[str, Any]:
        told = ["--model", photo / "aligner", "--photos", photos, "--people", 6, 6, 8, "--small", "--kept", tmp_path / "kept"]
        told += ["--work", tmp_path / "work", "--out", tmp_path / "out.json", *words]
        monkeypatch.setattr(sys, "argv", [script, *map(str, told)])
        monkeypatch.setattr(sys, "path", [*sys.path, str((RESEARCH / script).parent)])
        runpy.run_path(str(RESEARCH / script), run_name="__main__")
        text = (tmp_path / "out.json").read_text()
        assert "secret" not in text
        found: dict[str, Any] = json.loads(text)
        return found

    return go


def test_another_draw_asks_about_the_same_people_with_other_references(photo: Path, photos: Path, tmp_path: Path) -> None:
    kept = keep_faces(plvm.load(photo / "aligner", device="cpu"), tmp_path)
    first, again, other = (FacesBenchmark(photos, kept, "test", replace(FEW, drawn=n)) for n in (0, 0, 3))
    owners = [[bench.files_of(name)[0].parent for name in bench.names] for bench in (first, other)]
    assert owners[0] == owners[1] and first.key == again.key != other.key
    assert [first.files_of(n) for n in first.names] != [other.files_of(n) for n in other.names]
    assert [s.who for s in first.scenes if len(s.who) > 1] != [s.who for s in other.scenes if len(s.who) > 1]


def test_further_references_are_asked_about_by_nobody(photo: Path, photos: Path, tmp_path: Path) -> None:
    kept = keep_faces(plvm.load(photo / "aligner", device="cpu"), tmp_path)
    one, five = (FacesBenchmark(photos, kept, "test", replace(FEW, references=n, strangers=8)) for n in (1, 5))
    for name in five.names:
        assert len(five.files_of(name)) == 5 == len(five.album().references(name, 9))
        assert five.files_of(name)[0] == one.files_of(name)[0]
    assert not {f for n in five.names for f in five.files_of(n)} & {f for scene in five.scenes for f in scene.files}
    strangers = {picture.tobytes() for picture in five.strangers(3)}
    asked = {five.make(number).tobytes() for number in range(len(five.pictures))}
    assert len(strangers) == 3 and not strangers & asked


def test_references_in_context_have_as_many_tokens_whoever_else_is_there(photo: Path) -> None:
    system, two = InContext(plvm.load(photo / "aligner", device="cpu"), names="plain"), Image.new("RGB", (240, 160))
    two.paste(drawn(0, side=120), (0, 0))
    two.paste(drawn(3, side=40), (160, 40))
    assert len(squares(FaceFinder(), two)) == 2
    assert system.picture(two).shape == system.picture(drawn(0, side=120)).shape and system.facts["picture_tokens"] > 10


@pytest.mark.slow
def test_five_draws_stand_in_one_file_with_their_spread(run: Run) -> None:
    found = run("benchmarks/photo_seeds.py", "--seeds", 0, 2)
    means = [row["mean"]["value"] for row in found["recognition"].values()]
    assert list(found["recognition"]) == ["0", "2"] == list(found["where"])
    assert found["where_there"]["n"] == sum(own["there"]["n"] for own in found["where"].values()) > 0
    assert found["spread"] == pytest.approx(max(means) - min(means), abs=1e-6) and len(found["tables"][0]["rows"]) == 2


@pytest.mark.slow
def test_every_system_that_can_run_has_its_row_on_photographs(run: Run, photo: Path, tmp_path: Path) -> None:
    found = run("runs/table_photo.py", "--paper", paper_form(photo), "--set", *QUICK)
    assert list(found["systems"]) == [
        "plvm", "plvm-paper", "face-codes", "in-context-plain", "llava-prompt-plain", "myvlm", "yollava", "yollava-5",
    ]  # fmt: skip
    assert not [row["cannot"] for row in found["systems"].values() if "cannot" in row]
    assert found["systems"]["myvlm"]["recognition"] == found["systems"]["face-codes"]["recognition"]
    assert found["systems"]["plvm-paper"]["facts"]["architecture"] == "paper" and len(found["tables"][0]["rows"]) == 8
    again = run("runs/table_photo.py", "--systems", "plvm")
    assert again["systems"].keys() == found["systems"].keys() and again["systems"]["yollava"] == found["systems"]["yollava"]


def paper_form(photo: Path) -> Path:
    """An Aligner of the paper's form beside the other one."""
    own, template, _ = load_aligner(photo / "aligner")
    made = build_aligner(replace(own.config, architecture="paper"))
    save_aligner(photo / "paper", made, template, {})
    return photo / "paper"


@pytest.mark.slow
def test_an_album_is_captioned_to_its_end_whoever_kills_the_command(
    photo: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["--model", photo / "aligner", "--photos", photos, "--count", 20, "--known", 1, "--several", 2, "--kills", 1]
    told += ["--people", 6, 6, 8, "--work", tmp_path / "work", "--out", tmp_path / "o.json"]
    monkeypatch.setattr(sys, "argv", ["photo_captions.py", *map(str, told)])
    runpy.run_path(str(RESEARCH / "benchmarks" / "photo_captions.py"), run_name="__main__")
    found = json.loads((tmp_path / "o.json").read_text())
    assert (found["captions"], found["missing"], found["damaged"]) == (20, 0, 0) and found["twice"] <= found["together"]
    names = found["names"]["people"]
    assert names["right"] <= 2 and found["most_wrong"] == names["wrong"] and names["right"] + names["wrong"] == sum(
        len(json.loads(file.read_text())["people"]) for file in (tmp_path / "work" / "album").glob("*.plvm.json")
    )
    assert (tmp_path / "work" / "album.html").is_file() and "secret" not in json.dumps(found)


@pytest.mark.slow
def test_long_dialogues_about_photographs_choose_a_window_and_report_on_other_dialogues(
    photo: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["--model", photo / "aligner", "--photos", photos, "--kept", tmp_path / "faces", "--people", 6, 6, 8, "--choose"]
    told += ["--dialogues", 2, "--turns", 4, "--out", tmp_path / "o.json"]
    monkeypatch.setattr(sys, "argv", ["photo_dialogues.py", *map(str, told)])
    runpy.run_path(str(RESEARCH / "benchmarks" / "photo_dialogues.py"), run_name="__main__")
    found = json.loads((tmp_path / "o.json").read_text())
    shares = {int(window): share["value"] for window, share in found["choice"]["shares"].items()}
    assert all(share["n"] == 2 for share in found["choice"]["shares"].values()), "one dialogue of two turns"
    assert found["window"] == max(w for w, value in shares.items() if value >= max(shares.values()) - 0.01)
    assert len(found["read_before"]) == 2 and found["by_block"]["1-4"]["after"]["n"] == 8
    assert "secret" not in json.dumps(found)


@pytest.mark.slow
def test_reading_photographs_is_measured_and_no_face_is_found_where_nobody_is(
    photo: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["--model", photo / "aligner", "--photos", photos, "--people", 6, 6, 8, "--large", 800, 400, "--rounds", 1]
    told += ["--work", tmp_path, "--out", tmp_path / "o.json"]
    monkeypatch.setattr(sys, "argv", ["photo_reading.py", *map(str, told)])
    runpy.run_path(str(RESEARCH / "benchmarks" / "photo_reading.py"), run_name="__main__")
    found = json.loads((tmp_path / "o.json").read_text())
    assert [found["found"][size]["n"] for size in ("100", "28")] == [4, 4] and found["found"]["100"]["found"]["value"] == 1
    assert all(own["wrong"] == 0 for own in found["found"].values()) and set(found["times"]) >= {"read", "enroll", "caption"}
    assert "secret" not in json.dumps(found)
