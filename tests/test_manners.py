"""Everyday English: what people type, what is answered, and whether an answer was right."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import plvm
from plvm.errors import RequestError
from plvm_lab.evaluate.ordinary_inputs import OrdinaryInput, Stage, caption_facts, handled, read_inputs, stage_of, typed
from plvm_lab.families.mini.world import scene_of
from plvm_lab.portraits.dialogues import DialogueMix, draw_dialogue
from plvm_lab.portraits.everyday import ABILITIES, LEARNED, LIMITS, as_typed, described
from plvm_lab.portraits.manners import NO_PICTURE, caption
from plvm_lab.portraits.outside import draw_outside
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.question_kind import KINDS
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import draw_portrait
from plvm_lab.portraits.sentences import HELD_OUT, UNKNOWN

HALVES = ("development", "sealed", "fresh", "later")
INPUTS = Path(__file__).parents[1] / "research" / "manners" / "inputs.jsonl"
MANNERS = DialogueMix(turns=3, kinds=(("manners", 1.0), ("recognize", 1.0), ("who", 1.0)), wordings=LEARNED, typed=True)


def stage(number: int = 0) -> Stage:
    return stage_of(random.Random(number), lambda i: person_of("val", 100 * number + i), ("billie", "avril"))


def plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum() or c in "{}")


def test_no_wording_that_is_held_out_is_learned() -> None:
    for kind, texts in HELD_OUT.items():
        assert not {plain(t) for t in texts} & {plain(t) for t in LEARNED[kind]}, kind


def test_every_kind_that_is_learned_exists_and_every_place_to_fill_is_one_it_has() -> None:
    for kind, texts in LEARNED.items():
        places = {part.split("}")[0] for text in texts for part in text.split("{")[1:]}
        assert len(places) <= 2 and len(texts) == len(set(texts)), kind


def test_a_picture_can_be_asked_for_in_hundreds_of_ways() -> None:
    rng = random.Random(0)
    assert len({plain(described(rng)) for _ in range(2000)}) > 1000


@pytest.mark.parametrize("number", range(6))
def test_a_caption_tells_what_is_drawn_and_names_whom_it_is_told_of(number: int) -> None:
    now = stage(number)
    told = caption(now.scene, [f"<{now.called(f)}>" if now.called(f) else UNKNOWN for f in now.scene.figures])
    assert caption_facts(now, told) == (3 + 3 * len(now.scene.figures),) * 2
    assert now.said_names(told) == now.present and UNKNOWN not in told


def test_what_lies_outside_is_filled_in_and_mentions_nobody_where_nobody_is_known() -> None:
    rng = random.Random(1)
    texts = [draw_outside(rng, None) for _ in range(3000)]
    assert all(text and "{" not in text.replace("x + ", "") for text in texts) and not any("<n0>" in text for text in texts)
    assert sum("<n0>" in draw_outside(rng, "<n0>") for _ in range(1000)) > 80
    assert len(set(texts)) > 2000


def test_as_people_type_names_stay_whole() -> None:
    rng = random.Random(2)
    typed_so = {as_typed("Where is <n0>?", rng) for _ in range(300)}
    assert all("<n0>" in text for text in typed_so) and {"where is <n0>?", "Where is <n0>"} <= typed_so


def test_a_dialogue_without_names_asks_what_needs_none() -> None:
    rng = random.Random(3)
    for i in range(60):
        dialogue = draw_dialogue(scene_of(i, 0), 0, MANNERS, rng)
        assert not dialogue.named and not any("<n" in q.text + q.answer for q in dialogue.questions)


def test_without_a_picture_there_is_nothing_to_describe() -> None:
    rng = random.Random(4)
    said = [q.answer for _ in range(80) for q in draw_dialogue(None, 1, MANNERS, rng).questions if q.kind == "describe"]
    assert set(said) == {NO_PICTURE}


def test_the_kinds_of_manners_are_of_no_family_that_was_drawn_before() -> None:
    assert all(KINDS[kind].families == ("manners",) for kind in ("describe", "greet", "about_itself", "outside"))


# ---- the list of ordinary inputs and its judge


def test_the_list_has_as_many_inputs_of_a_kind_in_every_half() -> None:
    inputs = read_inputs(INPUTS)
    for kind, n in {"description": 25, "greeting": 15, "outside": 20, "language": 15, "colloquial": 25}.items():
        assert [sum(i.kind == kind and i.half == half for i in inputs) for half in HALVES] == [n, n, n, n], kind
    assert len(inputs) == len({i.id for i in inputs}) == 400


def test_an_input_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    line = '{"id": "a-0", "half": "sealed", "kind": "colloquial", "asks": "taste", "text": "?"}'
    (tmp_path / "inputs.jsonl").write_text(line + "\n")
    with pytest.raises(RequestError, match="a-0"):
        read_inputs(tmp_path / "inputs.jsonl")


def judged(kind: str, answer: str, asks: str = "", text: str = "", now: Stage | None = None) -> bool:
    return handled(OrdinaryInput("t-0", "sealed", kind, text, asks), now or stage(1), answer)


def test_refusals_are_the_one_sentence() -> None:
    assert judged("outside", LIMITS) and judged("language", LIMITS)
    assert not judged("outside", "Yes.") and not judged("outside", LIMITS + " Yes.")


def test_greetings_greet_or_say_what_can_be_asked() -> None:
    assert judged("greeting", f"Hello! {ABILITIES}") and judged("greeting", LIMITS) and not judged("greeting", "Yes.")


def test_a_description_names_exactly_those_who_are_known_and_there() -> None:
    now = stage(1)
    right = [f"<{now.called(f)}>" if now.called(f) else UNKNOWN for f in now.scene.figures]
    assert judged("description", caption(now.scene, right), now=now)
    assert not judged("description", caption(now.scene, [UNKNOWN] * len(right)), now=now)
    assert not judged("description", "Yes.", now=now)


def test_colloquial_questions_are_judged_by_the_picture() -> None:
    now = next(s for s in map(stage, range(50)) if s.figure is not None and len(s.scene.figures) == 2)
    other = next(f for f in now.scene.figures if f != now.figure)
    assert now.figure is not None
    assert judged("colloquial", "Yes.", "presence", now=now) and not judged("colloquial", "No.", "presence", now=now)
    assert judged("colloquial", f"<{now.x}> is {now.figure.position}.", "where", now=now)
    assert not judged("colloquial", f"<{now.x}> is {other.position}.", "where", now=now)
    assert judged("colloquial", "I see two people.", "count", "Is it just one person?", now)
    assert judged("colloquial", "No.", "count", "is it just one person?", now)
    side = now.figure.position.removeprefix("on the ")
    assert judged("colloquial", f"<{now.x}> is {now.figure.position}.", "who", f"Who's on the {side}?", now)
    assert not judged("colloquial", f"Someone I do not know is {now.figure.position}.", "who", f"Who's on the {side}?", now)


def test_a_name_is_typed_with_brackets_or_without() -> None:
    assert typed("Where's {x}?", "billie", True) == "Where's <billie>?"
    assert typed("Where's {x}?", "billie", False) == "Where's Billie?"


# ---- the shipped model


@pytest.fixture(scope="module")
def mini() -> plvm.Personal:
    return plvm.load("mini")


PLAIN = stage(1)  # two or three people, of whom one or two are known


@pytest.mark.parametrize("asked", ["Describe the picture.", "What do you see?", "caption this please", "Tell me about it"])
def test_mini_describes_a_picture_and_names_whom_it_knows_there(mini: plvm.Personal, asked: str) -> None:
    rng = random.Random(5)
    known = [mini.enroll(name, draw(draw_portrait(person, rng), 480)) for name, person in PLAIN.named.items()]
    said = mini.ask(draw(PLAIN.scene, 480), asked, known).text
    assert handled(OrdinaryInput("t-0", "sealed", "description", asked), PLAIN, said), said


@pytest.mark.parametrize("asked", ["What is the capital of Spain?", "7 + 5 = ?", "Wer bist du?", "Tell me a joke.", "gfhj kdls"])
def test_mini_says_plainly_what_it_cannot_answer(mini: plvm.Personal, asked: str) -> None:
    assert mini.ask(draw(PLAIN.scene, 480), asked).text == LIMITS


def test_mini_greets_and_says_what_it_can(mini: plvm.Personal) -> None:
    picture = draw(PLAIN.scene, 480)
    assert mini.ask(picture, "Hello!").text == f"Hello! {ABILITIES}"
    assert mini.ask(picture, "What can you do?").text == ABILITIES
    assert mini.ask(picture, "Thank you!").text == "You are welcome."
