"""The photo family built from a folder of pictures, in miniature: drawn squares for faces, random frozen parts, a few steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import plvm
from photo_family import SETTINGS, SIZE, THING_WIDTH, WIDTH, drawn, pattern
from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm.model.photo import photo_parts
from plvm.model.photo.photo_model import PhotoConfig
from plvm.train.settings import Steps
from plvm.types import SamplingParams
from plvm_lab.evaluate.photo_people import people_in, split_people
from plvm_lab.families.photo.photo_build import PhotoRecipe, build_photo
from plvm_lab.families.photo.photo_language import Teaching
from plvm_lab.families.photo.photo_things import ThingViews


def album(folder: Path, people: int, pictures: int) -> Path:
    """So many people with so many pictures each, no two alike."""
    for person in range(people):
        (folder / f"person-{person:02}").mkdir(parents=True)
        for number in range(pictures):
            drawn(person, side=60 + 3 * number + person % 3).save(folder / f"person-{person:02}" / f"{number}.png")
    return folder


def shelf(folder: Path, things: int, pictures: int) -> Path:
    """So many things with so many pictures each."""
    for thing in range(things):
        (folder / f"thing-{thing:02}").mkdir(parents=True)
        for number in range(pictures):
            pattern(thing, side=80 + 16 * number).save(folder / f"thing-{thing:02}" / f"{number}.png")
    return folder


def test_people_are_split_by_the_seed_and_nobody_is_in_two_parts(tmp_path: Path) -> None:
    people = people_in(album(tmp_path, 9, 1)) | {f"many-{i}": [tmp_path] * 8 for i in range(9)}
    split = split_people(people, 1, test=2, val=3, strangers=2)
    assert [len(split[k]) for k in ("test", "val", "test_strangers", "val_strangers", "train")] == [2, 3, 2, 2, 9]
    assert sorted(name for names in split.values() for name in names) == sorted(people)
    assert all(name.startswith("many") for name in (*split["test"], *split["val"]))
    assert split != split_people(people, 2, test=2, val=3, strangers=2)


@pytest.mark.slow
def test_a_folder_of_pictures_becomes_a_family_that_answers(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = json.loads((photo / "backbone" / "config.json").read_text())
    recipe = PhotoRecipe(
        1, test=1, val=2, strangers=0, things_test=1, things_val=2, views=ThingViews(2, 4, 3), val_views=ThingViews(1, 3, 2),
        settings=SETTINGS, model=replace(PhotoConfig(**shape), parts="../../../parts"),
        teaching=Teaching(2, prefixes=2, questions=2, warmup=1, save=1), resampler_width=16, picture_size=128, distractors=0.0,
        align=Steps(steps=2, pictures=1, packs=2, validate=2, trackers="", precision="fp32"),
    )  # fmt: skip
    assert (recipe.model.code_width, recipe.model.thing_width, recipe.model.code_size) == (WIDTH, THING_WIDTH, SIZE)
    folder = photo / "build"
    photos, things = album(tmp_path / "photos", 24, 6), shelf(tmp_path / "things", 6, 2)
    stages: list[str] = []
    monkeypatch.setattr(photo_parts, "parts_folder", lambda *_: photo / "parts")
    build_photo(photos, things, folder, report=lambda stage, *_: stages.append(stage), threads=1, recipe=recipe)
    made = {f: f.stat().st_mtime_ns for f in (folder / "codes").iterdir()}
    build_photo(photos, things, folder, "codes,language", report=lambda *_: None, threads=1, recipe=recipe)
    assert made == {f: f.stat().st_mtime_ns for f in (folder / "codes").iterdir()}
    assert {"codes", "things", "language", "references", "people", "align"} <= set(stages)
    assert {place.name[:6] for place in (folder / "chosen").iterdir()} == {"person", "thing-"}
    card = (folder / "weights" / "README.md").read_text()
    assert "people kept for tests: 1; pets and things: 1" in card and "CC0" in card and '"steps": 2' in card
    assert not any(person.name in card for person in photos.iterdir())
    assert (folder / "weights" / "aligner" / "familiarity.safetensors").exists()
    assert "verdicts are not calibrated: 8 pictures of 2 people are too few" in card
    vlm = plvm.load(folder / "weights" / "aligner", device="cpu")
    anna = vlm.enroll("anna", drawn(3))
    assert vlm.ask(drawn(3, 5), "Where is <anna>?", [anna], SamplingParams(max_tokens=8)).text
    assert json.loads((folder / "language.json").read_text()).keys() == {"trained", "held out"}
    assert sum(f.stat().st_size for f in (folder / "weights").rglob("*.safetensors")) < 25e6
