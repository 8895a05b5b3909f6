"""The suite `things` on drawn surfaces before drawn squares: what is asked about what, that truth scores 1, and the cosine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import plvm
from photo_family import drawn, pattern
from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm.errors import RequestError
from plvm.model.photo.face_places import COLUMNS
from plvm_lab.evaluate.items import Place
from plvm_lab.evaluate.photo_people import people_in
from plvm_lab.evaluate.runner import RECORDS, evaluate
from plvm_lab.evaluate.system import Ask, System
from plvm_lab.evaluate.thing_pictures import cut_into, split_things
from plvm_lab.evaluate.things_benchmark import ALIKE, CUT_IN, PEOPLE, SMALL, ThingsBenchmark, ThingScene
from plvm_lab.report.evaluations import tables_of
from plvm_lab.report.results import Run
from plvm_lab.systems.comparison import evaluate_system
from shell import Shell
from shell import load_once as load_once

FEW = replace(SMALL, test=3, val=3, test_people=2, val_people=2, strangers=0)
NAMES = ("rug", "rug2", "rug5", "mat", "mug", "cup", "bag", "hat")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Eight things with three pictures, three of one kind; four people with six."""
    folder = tmp_path_factory.mktemp("things")
    for number, name in enumerate(NAMES):
        (folder / "things" / name).mkdir(parents=True)
        for picture in range(3):
            pattern(number, side=96 + 32 * picture).save(folder / "things" / name / f"{picture}.png")
    for person in range(4):
        (folder / "people" / f"secret-{person}").mkdir(parents=True)
        for picture in range(6):
            drawn(person, side=60 + 4 * picture).save(folder / "people" / f"secret-{person}" / f"{picture}.png")
    return folder / "things", folder / "people"


@pytest.fixture
def bench(folders: tuple[Path, Path]) -> ThingsBenchmark:
    return ThingsBenchmark(*folders, "test", FEW)


class Truth(System):
    """Knows everything, but that it sees the things in `lies` in pictures of people."""

    name = "truth"

    def __init__(self, lies: Sequence[str] = ()) -> None:
        self.lies = set(lies)

    def prepare(self, album: Any) -> None:
        self.album = album

    def scene(self, image: Image.Image) -> ThingScene:
        found: ThingScene = self.album.benchmark.scenes[next(n for n, m in self.album._made.items() if m is image)]
        return found

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[str]) -> np.ndarray:
        scenes = [self.scene(image) for image in images]
        return np.array([[float(c in s.who or (s.kind == PEOPLE and c in self.lies)) for c in concepts] for s in scenes])

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        return np.array([self.recognize([a.image], a.concepts)[0, 0] for a in asks if a.image is not None])

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        scenes = [(self.scene(a.image), a.concepts[0]) for a in asks if a.image is not None]
        return [f"<{c}> is {COLUMNS[s.column] if c in s.who else 'not in this photo'}." for s, c in scenes]


def test_the_things_are_those_of_the_split_and_no_reference_is_asked_about_itself(
    bench: ThingsBenchmark, folders: tuple[Path, Path]
) -> None:
    split = split_things(tuple(people_in(folders[0])), 33, test=3, val=3)
    asked = {bench.files_of(key)[0].parent.name for key in bench.names}
    assert asked == set(split["test"]) and len(bench.names) == 6 and len(bench.pictures) == 9
    assert {bench.of_split("val").files_of(key)[0].parent.name for key in bench.of_split("val").names} == set(split["val"])
    assert bench.asked.sum() == 6 * 9 - 6 and not (bench.asked & ~bench.present).sum() < 6 * 6
    pairs = [(pair, bench.scenes[pair.picture]) for _, pair in bench.pairs_by_kind]
    pairs += [(Place(item.picture, item.key, item.place), bench.scenes[item.picture]) for item in bench.asked_where]
    for item, scene in pairs:
        key = item.key if isinstance(item, Place) else item.concepts[0]
        assert bench.files_of(key)[0] != scene.file, "a reference is not asked about itself"
        assert scene.base is None or bench.files_of(key)[0].parent != scene.base.parent, "nor about what is behind"
    assert "secret" not in json.dumps(bench.facts) + bench.key and "rug" not in json.dumps(bench.facts) + bench.key
    assert bench.pairs_by_kind == ThingsBenchmark(*folders, "test", FEW).pairs_by_kind


def test_look_alikes_are_of_the_same_kind_and_none_is_kept_for_another_split(folders: tuple[Path, Path]) -> None:
    seen = 0
    for split, other in (("test", "val"), ("val", "test")):
        bench = ThingsBenchmark(*folders, split, FEW)
        kept = {bench.of_split(other).files_of(key)[0].parent.name for key in bench.of_split(other).names}
        for kind, pair in bench.pairs_by_kind:
            if kind == ALIKE:
                own, shown = bench.files_of(pair.concepts[0])[0].parent.name, bench.scenes[pair.picture].file.parent.name
                assert own.startswith("rug") and shown.startswith("rug") and shown not in kept
                assert pair.truth == (own == shown)
                seen += not pair.truth
    assert seen


@pytest.mark.parametrize("column", range(3))
def test_something_is_in_the_column_that_it_was_cut_into(bench: ThingsBenchmark, column: int) -> None:
    for number, scene in enumerate(bench.scenes):
        if scene.base is not None and scene.column == column:
            with Image.open(scene.base) as base, Image.open(scene.file) as thing:
                picture, (left, _, right, _) = cut_into(base, thing, scene.share, scene.x, scene.y)
            assert int(1.5 * (left + right)) == column and bench.make(number).size == picture.size


def test_truth_scores_one_everywhere_and_a_lie_is_found(bench: ThingsBenchmark, tmp_path: Path) -> None:
    found = evaluate(Truth(), bench, tmp_path / "truth")
    shares = [found["recognition"]["mean"], found["where"]["there"], found["where"]["absent"]]
    shares += [found["conditions"][kind]["mean"] for kind in CUT_IN] + [found["conditions"][PEOPLE]["negative"]]
    assert {share["value"] for share in shares} == {1.0} and found["unparsable"] == 0
    assert set(found["where"]["by_kind"]) == set(CUT_IN) and found["conditions"][PEOPLE]["negative"]["n"] == 2 * 3
    assert "secret" not in (tmp_path / "truth" / RECORDS).read_text() + json.dumps(found)
    lied = evaluate(Truth(["sks1"]), bench, tmp_path / "lied")
    assert lied["conditions"][PEOPLE]["negative"]["value"] == pytest.approx(2 / 3) and lied["recognition"]["mean"]["value"] == 1.0
    run = Run("truth", found, tmp_path)
    titles = ["Recognition and multiple choice", "Decisions", "Pets and things", "Time"]
    assert [table.title for table in tables_of([run])] == titles


def test_the_cosine_of_codes_knows_drawn_things_and_chooses_on_others(
    bench: ThingsBenchmark, photo: Path, tmp_path: Path
) -> None:
    vlm = plvm.load(photo / "aligner", device="cpu")
    found = evaluate_system("thing-codes", lambda: vlm, bench, tmp_path / "codes")
    assert found["recognition"]["auc"]["value"] > 0.9 and found["system"]["threshold_from"] == "things, split val, 3 identities"
    assert found["where"]["there"]["n"] == 9 * 4 and found["where"]["unparsable"] == 0 and found["skipped"] == []


@pytest.mark.slow
def test_the_command_measures_a_family_on_two_folders_and_says_what_is_wrong(
    photo: Path, folders: tuple[Path, Path], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_once: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("plvm.personal.load", load_once)
    shell = Shell(photo / "aligner", home)
    words, people = ("eval", "--suite", "things", "--photos", str(folders[0]), "--small"), ("--people", str(folders[1]))
    told = json.loads(shell(*words, *people, "--out", "out", "--json"))
    assert told["suite"] == "things" and told["conditions"][PEOPLE]["negative"]["n"] == 4 * 6 and told["skipped"] == []
    shell.refuses(*words, "--out", "out")
    shell.refuses(*words, *people, "--seed", "1", "--out", "out")
    shell.refuses("eval", "--suite", "lfw", "--photos", str(folders[1]), *people, "--out", "out")


def test_too_few_things_are_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(RequestError, match="too little"):
        ThingsBenchmark(*folders, "val")
