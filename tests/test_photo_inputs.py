"""Ordinary wordings about photographs: what an answer is worth, by the README's table, and the script from end to end."""

from __future__ import annotations

import json
import random
import runpy
import sys
from pathlib import Path

import pytest

from photo_family import finds_squares as finds_squares
from photo_family import photo as photo
from plvm_lab.evaluate.photo_inputs import KINDS, Judged, Row, judged, read_photo_inputs
from plvm_lab.portraits.everyday import LIMITS
from test_faces_benchmark import photos as photos

ROOT = Path(__file__).parents[1]
KNOWN = ("billie", "avril")
ROW = Row(("avril", None, "billie"), KNOWN, "billie", 1)
ALONE, STRANGERS = Row(("billie",), KNOWN, "billie", 0), Row((None, None), KNOWN, "avril", 0)
REFUSED, WRONG_KIND = Judged(True, False, False), Judged(False, False, False)
WRONG, RIGHT = Judged(False, True, False), Judged(False, True, True)
CASES: list[tuple[str, Row, str, Judged]] = [
    ("presence", ROW, "Yes, <billie> is on the right.", RIGHT),
    ("presence", STRANGERS, "No, <avril> is not in this photo.", RIGHT),
    ("presence", STRANGERS, "Yes, <avril> is on the left.", WRONG),
    ("presence", ROW, "There are three people.", WRONG_KIND),
    ("presence", ROW, LIMITS, REFUSED),
    ("where", ROW, "<billie> is on the right.", RIGHT),
    ("where", ROW, "<billie> is in the middle.", WRONG),
    ("where", ROW, "<avril> is on the left.", WRONG_KIND),
    ("where", STRANGERS, "<avril> is not in this photo.", RIGHT),
    ("where", ROW, "Yes.", WRONG_KIND),
    ("who_at", ROW, "That is someone I do not know.", RIGHT),
    ("who_at", ROW, "That is <avril>.", WRONG),
    ("who_at", ROW, "There are three people.", WRONG_KIND),
    ("who_at", ALONE, "That is <billie>.", RIGHT),
    ("count", ROW, "There are three people.", RIGHT),
    ("count", ROW, "I see 2 people; I know one of them: <avril>.", WRONG),
    ("count", ROW, "Yes.", WRONG_KIND),
    ("known", ROW, "I see three people; I know two of them: <avril>, <billie>.", RIGHT),
    ("known", ROW, "I see three people; I know one of them: <avril>.", WRONG),
    ("known", STRANGERS, "I see two people; I do not know them.", RIGHT),
    ("known", ROW, "There are three people.", WRONG_KIND),
    ("beside", ROW, "Next to <billie> is someone I do not know.", RIGHT),
    ("beside", ROW, "Next to <billie> is <avril>.", WRONG),
    ("beside", ALONE, "<billie> is alone.", RIGHT),
    ("beside", ROW, "<billie> is on the right.", WRONG_KIND),
    ("caption", ROW, "This photo shows <avril> on the left, someone I do not know in the middle, <billie> on the right.", RIGHT),
    ("caption", ROW, "This photo shows <avril> on the left, someone I do not know in the middle.", WRONG),
    ("caption", ROW, "No, <billie> is not in this photo.", WRONG_KIND),
    ("outside", ROW, LIMITS, Judged(True, True, True)),
    ("outside", ROW, "Yes, <billie> is on the right.", WRONG_KIND),
]  # fmt: skip


@pytest.mark.parametrize("kind, row, answer, wanted", CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_an_answer_is_judged_by_what_it_says(kind: str, row: Row, answer: str, wanted: Judged) -> None:
    assert judged(kind, row, answer) == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_gibberish_is_of_no_kind(kind: str) -> None:
    assert judged(kind, ROW, "The the <billie the.") == WRONG_KIND


def test_rows_have_one_to_four_people_and_somebody_to_stand_beside() -> None:
    rows = {kind: [Row.draw(random.Random(f"{kind}{i}"), kind, KNOWN) for i in range(400)] for kind in KINDS}
    for kind, own in rows.items():
        assert {len(row.who) for row in own} == {1, 2, 3, 4} and {len(row.present) for row in own} >= {1, 2}
        assert all(len([name for name in row.who if name]) == len(row.present) for row in own)
        here = sum(row.x in row.who for row in own) / len(own)
        assert here == 1 if kind == "beside" else 0.35 < here < 0.6
    assert ROW.typed("Is {x} {p}?", True) == "Is <billie> in the middle?" and ROW.typed("{x}", False) == "Billie"


def test_the_list_has_its_kinds_and_halves() -> None:
    inputs = read_photo_inputs(ROOT / "research" / "photo_inputs" / "inputs.jsonl")
    assert len(inputs) == 400 and {i.kind for i in inputs} == set(KINDS) and len({i.id for i in inputs}) == 400


@pytest.mark.slow
def test_the_script_asks_one_half_and_writes_every_answer(
    photo: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--half", "development", "--split", "val", "--pictures", "1", "--people", "6", "6", "12"]
    words += ["--model", photo / "aligner", "--photos", photos, "--kept", tmp_path / "kept", "--out", tmp_path / "o.json"]
    monkeypatch.setattr(sys, "argv", ["photo_manners.py", *map(str, words)])
    runpy.run_path(str(ROOT / "research" / "benchmarks" / "photo_manners.py"), run_name="__main__")
    found = json.loads((tmp_path / "o.json").read_text())
    assert found["n"] == len(found["answers"]) == 189 and list(found["figures"]) == ["development"]
    right = [r["right"] for r in found["answers"] if r["kind"] != "outside"]
    assert found["figures"]["development"]["right"]["value"] == pytest.approx(sum(right) / len(right), abs=1e-6)
    assert all(isinstance(r["answer"], str) and r["typed"] for r in found["answers"]) and "secret" not in json.dumps(found)
