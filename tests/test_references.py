"""References as people have them: several faces, none, pictures of somebody else. On drawn squares for faces."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageFilter

import plvm
from photo_family import drawn
from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm.errors import ImageError, RequestError, WhichFaceError
from plvm.model.encoder import apart
from plvm.personal import Personal
from plvm.store import ConceptStore
from plvm.types import Concept
from plvm.vision.crop_sheet import crop_sheet
from serving import a_service, running, uri
from shell import Shell
from shell import load_once as load_once
from toys import picture

pytest_plugins = ["family"]


@pytest.fixture
def faces(photo: Path) -> Personal:
    return plvm.load(photo / "aligner", device="cpu")


@pytest.fixture
def photo_shell(
    photo: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_once: Callable[..., Any]
) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("plvm.personal.load", load_once)
    return Shell(photo / "aligner", home)


def of_sizes(*people: tuple[int, int]) -> Image.Image:
    """(person, side of the face) from left to right."""
    parts = [drawn(person, side=side) for person, side in people]
    whole = Image.new("RGB", (sum(p.width for p in parts), max(p.height for p in parts)), "black")
    left = 0
    for part in parts:
        whole.paste(part, (left, 0))
        left += part.width
    return whole


def alike(one: Concept, other: Concept) -> float:
    return float(one.tokens.key @ other.tokens.key)


def test_of_several_faces_the_one_that_is_clearly_the_largest_is_meant(faces: Personal) -> None:
    anna, tom = (faces.enroll(f"p{i}", drawn(i, side=120)) for i in (0, 1))
    found = faces.enroll("found", of_sizes((1, 60), (0, 120)))
    assert alike(found, anna) > 0.99 > alike(found, tom) + 0.05


def unlike(faces: Personal, person: int) -> int:
    """Who of the drawn people is least like one of them."""
    everybody = faces.enroll_many({f"p{i}": [drawn(i)] for i in range(9)})
    return min(range(9), key=lambda i: alike(everybody[i], everybody[person]))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_number_or_a_box_says_which_face_is_meant_and_only_that_is_kept(faces: Personal, number: int) -> None:
    with pytest.raises(WhichFaceError, match="3 faces") as caught:
        faces.enroll("anna", drawn(0, 1, 2))
    assert len(caught.value.boxes) == 3 and caught.value.picture.size == drawn(0, 1, 2).size
    box = caught.value.boxes[number - 1]
    wanted = [faces.enroll("anna", drawn(i)) for i in range(3)]
    for meant in ({"face": number}, {"box": tuple(x - 2 * (i < 2) for i, x in enumerate(box))}):
        found = faces.enroll("anna", drawn(0, 1, 2), **meant)
        scores = [alike(found, person) for person in wanted]
        assert scores.index(max(scores)) == number - 1 and max(scores) > 0.95
        kept = plvm.images.open_image(found.references[0])
        assert kept.width < drawn(0, 1, 2).width and alike(faces.enroll("again", kept), found) > 0.999


def test_a_box_or_a_number_that_means_nothing_is_refused(faces: Personal) -> None:
    for kind, pictures, meant in (
        (ImageError, [drawn(0, 1)], {"face": 3}), (ImageError, [drawn(0)], {"box": (0, 0, 900, 20)}),
        (ImageError, [drawn(0)], {"box": (20, 20, 20, 40)}), (RequestError, [drawn(0), drawn(0)], {"face": 1}),
        (RequestError, [drawn(0)], {"face": 1, "box": (0, 0, 9, 9)}),
    ):  # fmt: skip
        with pytest.raises(kind) as caught:
            faces.enroll("anna", *pictures, **meant)  # type: ignore[arg-type]
        assert caught.value.hint


def test_a_blurred_face_is_refused(faces: Personal) -> None:
    with pytest.raises(ImageError, match="blurred"):
        faces.enroll("anna", drawn(0, side=120).filter(ImageFilter.GaussianBlur(12)))


def test_of_several_references_it_is_said_which_cannot_be_used(faces: Personal) -> None:
    with pytest.raises(ImageError, match="^Picture 2: No face"):
        faces.enroll("anna", drawn(0), drawn(), drawn(0))


def test_a_picture_of_somebody_else_among_the_references_is_told(faces: Personal) -> None:
    own, other = [drawn(0, side=side) for side in (60, 75, 90)], drawn(unlike(faces, 0))
    assert faces.enroll("anna", *own).strangers == ()
    assert faces.enroll("anna", own[0], other, *own[1:]).strangers == (1,)
    assert faces.enroll("anna", own[0], other).strangers == (0, 1)


def test_codes_apart_are_those_below_the_limit_to_the_others() -> None:
    one, two, three = torch.eye(3)
    mixed = torch.nn.functional.normalize(one + two, dim=0)
    assert apart(torch.stack([one, one, two, one]), 0.3) == (2,)
    assert apart(torch.stack([one, mixed, one]), 0.3) == ()
    assert apart(torch.stack([one, two, three]), 0.3) == (0, 1, 2)
    assert apart(torch.stack([one, three, one, two, one, one]), 0.3) == (1, 3)
    assert apart(one[None], 0.3) == ()


def test_where_no_face_is_looked_for_a_box_cuts_and_nothing_else_changes(vlm: Personal) -> None:
    whole, box = picture(3), (4.0, 6.0, 40.0, 44.0)
    cut = vlm.enroll("anna", whole, box=box)
    wanted = vlm.enroll("anna", whole.crop((4, 6, 40, 44)))
    torch.testing.assert_close(cut.tokens.word, wanted.tokens.word)
    assert cut.references == wanted.references and cut.strangers == ()
    assert vlm.enroll("anna", whole, face=1).references == vlm.enroll("anna", whole).references
    assert vlm.unusable([whole]) == [None]
    with pytest.raises(ImageError, match="no face 2"):
        vlm.enroll("anna", whole, face=2)


def test_the_sheet_shows_every_face_over_its_number() -> None:
    image = drawn(0, 1, 2, 3, 4)
    sheet = crop_sheet(image, [(10 + 80 * i, 20, 70 + 80 * i, 80) for i in range(5)])
    assert sheet.size == (640, 392)
    for i in range(5):
        x, y = 160 * (i % 4) + 80, 196 * (i // 4) + 60
        assert sheet.getpixel((x, y)) == image.getpixel((40 + 80 * i, 40))
        assert min(sheet.crop((x - 20, y + 100, x + 20, y + 136)).convert("L").getdata()) < 50


def test_the_command_line_writes_a_sheet_that_its_message_names(photo_shell: Shell, home: Path) -> None:
    drawn(0, 1).save("party.png")
    drawn(1).save("tom.png")
    told, hint = photo_shell.refuses("add", "tom", "party.png")
    sheet = Path(hint.split(" shows")[0])
    assert "2 faces" in told and sheet.is_file() and sheet.stat().st_mode & 0o077 == 0 and sheet.is_relative_to(home)
    photo_shell.refuses("add", "tom", "party.png", "--box", "1,2,3")
    photo_shell.refuses("add", "--folder", ".", "--face", "1")
    photo_shell("add", "tom", "party.png", "--face", "2")
    photo_shell("add", "tim", "tom.png")
    photo_shell("add", "anna", "party.png", "--box", "0,0,80,90", "--json")
    with ConceptStore.open(photo_shell.store) as store:
        tom, tim, anna = (store.get(name) for name in ("tom", "tim", "anna"))
    assert alike(tom, tim) > 0.95 > alike(anna, tim) + 0.05


def test_everybody_in_a_folder_is_enrolled_from_the_pictures_that_will_do(faces: Personal, photo_shell: Shell) -> None:
    two = [drawn(2), drawn(unlike(faces, 2))]
    for name, pictures in {"anna": [drawn(0), drawn(), drawn(0, side=80)], "tom": [drawn(1, 2)], "mia": two}.items():
        Path("people", name).mkdir(parents=True)
        for number, image in enumerate(pictures):
            image.save(Path("people", name, f"{number}.png"))
    told = json.loads(photo_shell("add", "--folder", "people", "--json"))
    assert {p["name"]: p["pictures"] for p in told["enrolled"]} == {"anna": 2, "mia": 2}
    assert {p["name"]: len(p["strangers"]) for p in told["enrolled"]} == {"anna": 0, "mia": 2}
    why = {(s["name"], Path(s["file"]).name): s["reason"] for s in told["skipped"]}
    assert "No face" in why["anna", "1.png"] and "2 faces" in why["tom", "0.png"]
    assert "do not seem to show the same person" in photo_shell.err


def test_over_http_a_reference_with_several_faces_asks_which(faces: Personal, tmp_path: Path) -> None:
    client = pytest.importorskip("httpx2").Client
    with running(a_service(faces, tmp_path)) as address, client(base_url=address, timeout=60) as http:
        body = {"name": "tom", "images": [uri(drawn(0, 1))]}
        refused = http.post("/v1/concepts", json=body)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (400, "which_face") and "2 at 90,20,150,80" in error["message"]
        assert http.post("/v1/concepts", json=body | {"face": 3}).status_code == 400
        assert http.post("/v1/concepts", json=body | {"face": 0}).status_code == 400
        assert http.post("/v1/concepts", json=body | {"face": 2}).json()["pictures"] == 1
        boxed = http.post("/v1/concepts", json=body | {"name": "anna", "box": [0, 0, 80, 90]})
        assert boxed.status_code == 201 and boxed.json()["strangers"] is None
        two = [uri(drawn(0)), uri(drawn(unlike(faces, 0)))]
        assert http.post("/v1/concepts", json={"name": "mia", "images": two}).json()["strangers"] == [0, 1]
    with ConceptStore.open(tmp_path / "concepts.db") as store:
        assert alike(store.get("tom"), faces.enroll("tim", drawn(1))) > 0.95
