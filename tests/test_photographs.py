"""The shipped family on photographs of real people and things, where such a folder lies beside the repository or is named by
PLVM_PHOTOS: nobody who was trained on or whom the published figures are about. Elsewhere these tests are skipped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import plvm
from plvm.errors import PlvmError
from plvm.images import open_image
from plvm.model.photo.photo_parts import fetch_parts, missing_parts, parts_folder
from plvm.personal import Personal
from plvm.types import Concept
from plvm_lab.evaluate import photo_people, thing_pictures
from plvm_lab.evaluate.parsing import yes_or_no

PHOTOS = Path(os.environ.get("PLVM_PHOTOS") or Path(__file__).resolve().parents[2] / "shared" / "photos")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (PHOTOS / "lfw").is_dir(), reason=f"no photographs in {PHOTOS}: name a folder with PLVM_PHOTOS"),
]
PEOPLE = 8


@pytest.fixture(scope="module")
def vlm() -> Personal:
    folder = parts_folder()
    if missing_parts(folder):
        try:
            fetch_parts(folder, lambda *_: None)
        except PlvmError as error:
            pytest.skip(f"the frozen parts cannot be fetched: {error}")
    return plvm.load("photo", device="cpu")


@pytest.fixture(scope="module")
def people() -> list[list[Path]]:
    """Pictures of people for validation, of each those that can be a reference first."""
    every = photo_people.people_in(PHOTOS / "lfw")
    split = photo_people.split_people(
        every, photo_people.SEED, test=photo_people.TEST, val=photo_people.VAL, strangers=photo_people.STRANGERS
    )
    return [every[name] for name in split["val"][:PEOPLE]]


@pytest.fixture(scope="module")
def known(vlm: Personal, people: list[list[Path]]) -> list[Concept]:
    return [vlm.enroll(f"friend{number}", files[0]) for number, files in enumerate(people)]


def in_a_row(files: Sequence[Path]) -> Image.Image:
    """The middle of each photograph, where the face is, side by side."""
    pictures = [open_image(file).convert("RGB").resize((250, 250)).crop((50, 40, 200, 220)) for file in files]
    return Image.fromarray(np.concatenate([np.asarray(p) for p in pictures], axis=1))


def test_people_are_known_on_other_photographs_than_the_one_they_were_enrolled_from(
    vlm: Personal, people: list[list[Path]], known: list[Concept]
) -> None:
    found = np.array(vlm.recognize([files[1] for files in people], known)) > 0.5  # [pictures, people]
    same = np.eye(PEOPLE, dtype=bool)
    assert found[same].mean() >= 0.75 and (~found)[~same].mean() >= 0.85


def test_in_a_row_of_three_it_is_told_who_is_where_and_how_many_there_are(
    vlm: Personal, people: list[list[Path]], known: list[Concept]
) -> None:
    where, who, count = [], [], []
    for first in range(PEOPLE - 2):
        row = in_a_row([files[2] for files in people[first : first + 3]])
        two = known[first : first + 2]
        for one, place in zip(two, ("on the left", "in the middle"), strict=True):
            where.append(vlm.ask(row, f"Where is <{one.name}>?", two).text == f"<{one.name}> is {place}.")
        who.append(f"<{two[0].name}>" in vlm.ask(row, "Who is on the left?", two).text)
        count.append("three people" in vlm.ask(row, "How many people are here?", two).text)
    assert np.mean(where) >= 0.5 and np.mean(who) >= 0.8 and np.mean(count) >= 0.8


def test_what_a_photograph_does_not_tell_is_refused(vlm: Personal, people: list[list[Path]], known: list[Concept]) -> None:
    age = f"How old is <{known[0].name}>?"
    asked = ("What is 12 times 12?", "Please write me a poem about the sea.", age, "Translate this into Greek.")
    told = [answer.text for answer in vlm.ask_many([(people[0][1], question, [known[0]]) for question in asked])]
    assert sum(text.startswith("I can only talk about") for text in told) >= 3, told


def test_a_picture_without_a_face_enrols_a_thing_that_no_person_answers_to(vlm: Personal, people: list[list[Path]]) -> None:
    things = photo_people.people_in(PHOTOS / "things")
    split = thing_pictures.split_things(
        tuple(things), thing_pictures.SEED, test=thing_pictures.TEST, val=thing_pictures.VAL
    )
    for number, name in enumerate(split["val"]):
        thing = vlm.enroll(f"thing{number}", things[name][0], kind="thing")
        questions = [(files[1], f"Is <{thing.name}> in this photo?", [thing]) for files in people]
        assert not any(yes_or_no(answer.text) for answer in vlm.ask_many(questions))
