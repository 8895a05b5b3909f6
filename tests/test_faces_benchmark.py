"""The suite `lfw` on drawn squares for faces: who is asked about what, that truth scores 1, and the cosine beside it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import plvm
from photo_family import drawn
from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm.errors import RequestError
from plvm.model.photo.face_places import places_of
from plvm.vision.face_finder import FaceFinder
from plvm_lab.evaluate.face_parts import ABSENT, number_said, place_said
from plvm_lab.evaluate.face_pictures import KINDS, WORSE, FaceScene, worse
from plvm_lab.evaluate.faces_benchmark import SMALL, FacesBenchmark
from plvm_lab.evaluate.kept_faces import keep_faces
from plvm_lab.evaluate.photo_people import people_in, split_people
from plvm_lab.evaluate.runner import RECORDS, evaluate
from plvm_lab.evaluate.system import Ask, System
from plvm_lab.systems.comparison import evaluate_system
from shell import Shell
from shell import load_once as load_once

FEW = replace(SMALL, test=6, val=6, strangers=12)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people with seven pictures, 24 with one."""
    folder = tmp_path_factory.mktemp("photos")
    for person in range(36):
        (folder / f"secret-{person:02}").mkdir()
        for number in range(7 if person < 12 else 1):
            drawn(person, side=60 + 4 * number).save(folder / f"secret-{person:02}" / f"{number}.png")
    return folder


@pytest.fixture
def bench(photo: Path, photos: Path, tmp_path: Path) -> FacesBenchmark:
    vlm = plvm.load(photo / "aligner", device="cpu")
    return FacesBenchmark(photos, keep_faces(vlm, tmp_path / "faces"), "test", FEW)


class Truth(System):
    """Knows everything, and tells a lie about the identities in `lies`."""

    name = "truth"

    def __init__(self, lies: Sequence[str] = ()) -> None:
        self.lies = set(lies)

    def prepare(self, album: Any) -> None:
        self.album = album

    def scene(self, image: Image.Image) -> FaceScene:
        made = self.album._made
        return self.album.benchmark.scenes[next(n for n, known in made.items() if known is image)]

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[str]) -> np.ndarray:
        return np.array([[float((c in self.scene(i).who) != (c in self.lies)) for c in concepts] for i in images])

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        return np.array([self.recognize([a.image], a.concepts[:1])[0, 0] for a in asks if a.image is not None])

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        return [self.said(ask) for ask in asks]

    def said(self, ask: Ask) -> str:
        assert ask.image is not None
        who = self.scene(ask.image).who
        places = places_of(len(who))
        if ask.question.startswith("How many"):
            return f"There are {('no', 'one', 'two', 'three', 'four')[len(who)]} people."
        if ask.question.startswith("Where"):
            (name,) = ask.concepts
            return f"<{name}> is {places[who.index(name)] if name in who else 'not in this photo'}."
        name = who[places.index(ask.question.removeprefix("Who is ").removesuffix("?"))]
        return f"That is <{name}>." if name in ask.concepts else "Someone I do not know."


def test_people_and_pictures_are_those_of_the_split_and_carry_no_names(bench: FacesBenchmark, photos: Path) -> None:
    split = split_people(people_in(photos), 24, test=6, val=6, strangers=12)
    assert [bench.files_of(name)[0].parent.name for name in bench.names] == split["test"]
    own = {scene.files[0].parent.name for scene in bench.pictures}
    assert own == set(split["test"]) and len(bench.pictures) == 18
    val = bench.of_split("val")
    assert {val.files_of(name)[0].parent.name for name in val.names} == set(split["val"])
    strangers = {f.parent.name for s in bench.scenes for n, f in zip(s.who, s.files, strict=True) if n is None}
    enrolled = {bench.files_of(name)[0].parent.name for name in bench.others}
    assert strangers <= set(split["test_strangers"]) - enrolled and len(enrolled) == 4
    assert all(bench.files_of(n)[0] not in s.files for s in bench.scenes for n in s.who if n is not None)
    assert "secret" not in json.dumps(bench.facts) + bench.key
    assert tuple(dict.fromkeys(scene.kind for scene in bench.scenes)) == ("single", *KINDS)
    assert bench.pairs_by_kind == FacesBenchmark(photos, bench.kept, "test", FEW).pairs_by_kind


def test_where_somebody_is_is_asked_once_and_of_three_two_are_there(bench: FacesBenchmark, photos: Path) -> None:
    every = {(row, name) for row in bench.rows() for name in bench.scenes[row].who if name is not None}
    size = replace(FEW, where=len(every) * 3 // 2)
    asked = [(place.picture, place.key) for place in FacesBenchmark(photos, bench.kept, "test", size).asked_where]
    assert len(set(asked)) == len(asked) == size.where
    assert every == {(row, name) for row, name in asked if name in bench.scenes[row].who}


def test_truth_scores_one_everywhere_and_a_lie_is_found(bench: FacesBenchmark, tmp_path: Path) -> None:
    found = evaluate(Truth(), bench, tmp_path / "truth")
    shares = [found["recognition"]["mean"], found["where"]["there"], found["where"]["absent"], found["how_many"]["accuracy"]]
    shares += [found["conditions"][kind]["mean"] for kind in KINDS] + [found["crowd"]["found"]]
    shares += [found["who"][str(n)][what] for n in (1, 2, 3) for what in ("right", "unknown", "unknown_beside")]
    assert {share["value"] for share in shares} == {1.0} and found["unparsable"] == 0
    assert found["crowd"]["false_names"]["value"] == 0 and found["crowd"]["enrolled"] == 10
    assert "secret" not in (tmp_path / "truth" / RECORDS).read_text() + json.dumps(found)
    lied = evaluate(Truth(bench.names[:1] + bench.others), bench, tmp_path / "lied")
    assert lied["recognition"]["mean"]["value"] == pytest.approx(5 / 6)
    away = bench.names[0] not in bench.scenes[bench.rows(strangers=False)[-2]].who
    assert lied["crowd"]["false_names"]["value"] == pytest.approx(4 + away)


def test_who_calls_a_roll_is_judged_by_whom_it_names_however_sure_it_is(bench: FacesBenchmark, tmp_path: Path) -> None:
    class Careful(Truth):
        name = "careful"

        def call_roll(self, image: Image.Image, concepts: Sequence[str]) -> list[tuple[bool, float | None]]:
            asked = concepts[::2]  # of these it names one who is there only where it is not sure, the others never
            return [(c in self.scene(image).who, 0.1) if c in asked else (False, None) for c in concepts]

    careful, truth = (evaluate(one, bench, tmp_path / one.name, parts=("crowd",))["crowd"] for one in (Careful(), Truth()))
    assert careful["false_names"]["value"] == careful["unparsable"] == 0
    assert 0 < careful["found"]["value"] < truth["found"]["value"] == 1.0


def test_what_was_found_is_kept_and_not_found_again(
    photo: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vlm = plvm.load(photo / "aligner", device="cpu")
    image, plain = drawn(0, 3), vlm.backbone.family.image_processor.people.codes(drawn(0, 3))  # type: ignore[attr-defined]
    keep_faces(vlm, tmp_path / "faces").codes(image)
    again = keep_faces(vlm, tmp_path / "faces")
    monkeypatch.setattr(FaceFinder, "find", lambda *_: pytest.fail("looked again"))
    codes, count = again.codes(image)
    assert count == plain[1] == 2 and np.allclose(codes, plain[0], atol=1e-6)


@pytest.mark.slow
def test_the_cosine_of_codes_knows_drawn_people_and_chooses_on_others(bench: FacesBenchmark, photo: Path, tmp_path: Path) -> None:
    vlm = plvm.load(photo / "aligner", device="cpu")
    vlm.backbone.family.image_processor.people = vlm.encoder.image_processor.people = bench.kept  # type: ignore[attr-defined]
    found = evaluate_system("face-codes", lambda: vlm, bench, tmp_path / "codes")
    assert found["recognition"]["mean"]["value"] > 0.9 and "split val" in found["system"]["threshold_from"]
    assert found["how_many"]["accuracy"]["value"] == 1.0 and found["where"]["there"]["value"] > 0.6
    assert found["who"]["1"]["unparsable"] == 0


@pytest.mark.parametrize("kind", WORSE)
def test_a_picture_is_made_worse_as_its_kind_says(kind: str) -> None:
    image = drawn(0, side=120)
    (face,) = FaceFinder().find(image)
    found = worse(image, kind, face, random.Random(0))
    if kind.endswith("px"):
        assert max(found.size) == pytest.approx(max(image.size) * int(kind[:3]) / face.size, abs=1)
    elif kind == "crop":
        assert 1.1 * face.size < found.width < 1.3 * face.size
    elif kind == "grey":
        red, green, blue = np.asarray(found).transpose(2, 0, 1)
        assert (red == green).all() and (green == blue).all()
    else:
        assert found.size == image.size and 0 < np.abs(np.asarray(found, int) - np.asarray(image, int)).mean() < 60


@pytest.mark.parametrize(
    "text, place", [("<a> is second from the left.", "second from the left"), ("On the left.", "on the left"),
                    ("<a> is not in this photo.", ABSENT), ("Someone.", None), ("on the far right", "on the far right")],
)  # fmt: skip
def test_places_are_read_off_answers(text: str, place: str | None) -> None:
    assert place_said(text) == place


@pytest.mark.parametrize("text, number", [("There are three people.", 3), ("I see 2.", 2), ("Nobody.", 0), ("Many.", None)])
def test_numbers_are_read_off_answers(text: str, number: int | None) -> None:
    assert number_said(text) == number


@pytest.mark.slow
def test_the_command_measures_a_family_on_a_folder_and_says_what_is_wrong(
    photo: Path, photos: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_once: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("plvm.personal.load", load_once)
    shell = Shell(photo / "aligner", home)
    told = json.loads(shell("eval", "--suite", "lfw", "--photos", str(photos), "--small", "--out", "out", "--json"))
    assert told["suite"] == "lfw" and told["n"] > 100 and told["skipped"] == []
    assert list((home / "plvm" / "faces").rglob("*.npz"))
    shell.refuses("eval", "--suite", "lfw", "--out", "out")
    shell.refuses("eval", "--suite", "lfw", "--photos", str(photos), "--split", "train", "--out", "out")
    shell.refuses("eval", "--photos", str(photos), "--out", "out")


def test_too_few_people_are_refused(photo: Path, photos: Path, tmp_path: Path) -> None:
    vlm = plvm.load(photo / "aligner", device="cpu")
    with pytest.raises(RequestError, match="too few people"):
        FacesBenchmark(photos, keep_faces(vlm, tmp_path), "test")
