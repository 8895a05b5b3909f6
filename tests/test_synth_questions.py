"""The questions of a dataset are true of its pictures, and those who learn from them get the truth."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("pyarrow")

from plvm.data.manifest import read_manifest, read_rows
from plvm.data.shards import QUESTIONS
from plvm.data.spec import SPLITS, plan
from plvm.errors import RequestError
from plvm_lab.families.mini.judge_training import read_face_pictures
from plvm_lab.portraits.person import PHRASES
from plvm_lab.synth.contact_sheet import rows_of
from plvm_lab.synth.finish import finish
from plvm_lab.synth.portraits_generator import PortraitsGenerator
from plvm_lab.synth.shard import ShardMaker
from synthesized import SMALL
from synthesized import friends as friends
from synthesized import made as made


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
    album = read_face_pictures(made, "train")
    rows = read_rows(made, split="train")
    assert len(album.truth) == len(rows) and len(album.of) == 6
    for told, row in zip(album.truth, rows, strict=True):
        (person,) = json.loads(row["truth"])["people"]
        assert told["traits"] == person["traits"] and told["place"] == json.loads(row["truth"])["place"]
    with pytest.raises(RequestError, match="of one person"):
        read_face_pictures(friends, "train")


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
