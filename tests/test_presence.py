"""Who is there, with the shipped family: drawn scenes, people who are enrolled and strangers. And on the miniature: the verbs."""

from __future__ import annotations

import json

import pytest

import plvm
from plvm.presence.fit_verdicts import Labelled, fit_verdicts, halves
from plvm.presence.roll import call_roll
from plvm_lab.families.mini.crowd import QUERY_SIZE, Crowd, labelled
from plvm_lab.portraits.render import draw
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]
CROWD = Crowd(40, 7)


@pytest.fixture(scope="module")
def mini() -> plvm.Personal:
    return plvm.load("mini")


@pytest.fixture(scope="module")
def enrolled(mini: plvm.Personal) -> list[plvm.Concept]:
    return CROWD.enrolled(mini)


def test_those_enrolled_and_present_are_found_where_they_are_and_hardly_anybody_else(
    mini: plvm.Personal, enrolled: list[plvm.Concept]
) -> None:
    there = found = false = placed = 0
    for number in range(12):
        scene, present = CROWD.scene(number)
        who = {p.name: p for p in mini.who(draw(scene, QUERY_SIZE), enrolled) if p.verdict == "yes"}
        names = {CROWD.name(i): scene.find(CROWD.person(i)) for i in present}
        there += len(names)
        found += len(names.keys() & who.keys())
        false += len(who.keys() - names.keys())
        placed += sum(figure is not None and figure.position in who[n].place for n, figure in names.items() if n in who)
    assert there >= 8 and found >= 0.8 * there and false <= 4 and placed >= 0.7 * found


def test_a_verdict_is_the_same_whether_chances_are_known_or_not(
    mini: plvm.Personal, enrolled: list[plvm.Concept]
) -> None:
    image = draw(CROWD.scene(1)[0], QUERY_SIZE)
    chances = mini.recognize([image], enrolled)
    (known,), (asked,) = mini.verdicts([image], enrolled, chances=chances), mini.verdicts([image], enrolled)
    assert [p.verdict for p in known] == [p.verdict for p in asked] and len(known) == 40
    assert sum(p.probability is not None for p in asked) < 40 == sum(p.probability is not None for p in known)
    assert mini.verdicts([image], []) == [[]]


def test_people_are_halved_so_that_those_pictured_together_stay_together(enrolled: list[plvm.Concept]) -> None:
    pairs = [Labelled(lambda: picture(1), (f"p{i}", f"p{i + 1}")) for i in range(0, 20, 2)]
    first, second = halves(enrolled, pairs)
    assert not first & second and len(first | second) == 40
    assert sum(set(p.present) <= first for p in pairs) == sum(set(p.present) <= second for p in pairs) == 5


def test_too_few_pictures_are_refused(mini: plvm.Personal, enrolled: list[plvm.Concept]) -> None:
    with pytest.raises(plvm.RequestError, match="too few"):
        fit_verdicts(mini.engine, enrolled, [Labelled(lambda: picture(1), ("p1",))])


@pytest.mark.slow
def test_where_keys_do_not_judge_evidence_is_what_the_model_answers_alone(
    mini: plvm.Personal, enrolled: list[plvm.Concept], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = labelled(CROWD, 80)
    monkeypatch.setattr(type(mini.backbone.family), "keys_judge", False)
    alone = fit_verdicts(mini.engine, enrolled, pictures)
    assert mini.calibration.verdicts.likeness != 0 == alone.verdicts.likeness
    assert alone.reader is not None and alone.verdicts.calibrated


def test_without_a_calibration_everybody_is_asked_about(vlm: plvm.Personal) -> None:
    concepts = [vlm.enroll(name, picture(i)) for i, name in enumerate(("billie", "avril", "zoë"))]
    found = call_roll(vlm.engine, vlm.calibration, vlm.look(picture(7)), concepts)
    assert [p.probability for p in found] == pytest.approx(vlm.recognize([picture(7)], concepts)[0])
    assert vlm.calibration.note


def test_who_lists_those_present_and_says_that_it_is_not_calibrated(friends: Shell) -> None:
    said = friends("who", "party.png")
    assert "not calibrated" in friends.err
    found = json.loads(friends("who", "party.png", "--json"))
    assert found["enrolled"] == 2 and found["calibrated"] is False
    assert all(p["verdict"] == "yes" for p in found["who"]) and all(p["verdict"] == "unsure" for p in found["unsure"])
    for p in (*found["who"], *found["unsure"]):
        assert p["name"] in said
    if not found["who"]:
        assert "Nobody I know" in said


def test_recognize_says_a_verdict_beside_each_probability(friends: Shell) -> None:
    header, *rows = friends("recognize", "party.png").splitlines()
    assert header.split() == ["NAME", "P(PRESENT)", "VERDICT"]
    found = json.loads(friends("recognize", "party.png", "--json"))[0]
    assert {r.split()[0]: r.split()[2] for r in rows} == found["verdicts"] and set(found["verdicts"]) == set(found["present"])
