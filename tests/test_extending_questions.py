"""A new kind of question is a function that registers itself and its wordings: dialogues, the benchmark and datasets ask it,
and no other file has to know of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plvm.errors import RequestError
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.evaluate.system import Ask, System
from plvm_lab.portraits import question_kind, sentences
from plvm_lab.portraits.dialogues import Dialogue, DialogueMix, draw_dialogue
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.question_kind import Question, Visible, kind, kinds_in
from plvm_lab.portraits.questions import VISUAL_KINDS, Asker, visible_kind
from plvm_lab.portraits.scene import Scene, draw_scene
from plvm_lab.portraits.situation import Situation
from plvm_lab.synth import qa

LEANINGS = ("to the left", "to the right")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """What a test registers is gone after it."""
    registers: list[dict[str, Any]] = [question_kind.KINDS, sentences.TRAIN, sentences.HELD_OUT, qa.KINDS]
    before = [dict(register) for register in registers]
    yield
    for register, own in zip(registers, before, strict=True):
        register.clear()
        register.update(own)


@pytest.fixture
def lean(restored: None) -> None:
    """A kind of question about something to be seen: which way somebody's head leans. This is all that it takes."""
    visible_kind(
        "lean",
        Visible(lambda f: f"leans {LEANINGS[f.look.tilt > 0]}", lambda *_: [f"leans {way}" for way in LEANINGS]),
        "named",
    )
    sentences.TRAIN["lean"] = ("Which way does {x} lean?",)
    sentences.HELD_OUT["lean"] = ("Where does the head of {x} lean to?",)


def dialogues(mix: DialogueMix, count: int = 300) -> list[Dialogue]:
    rng, drawn = random.Random(3), []
    for i in range(count):
        scene = draw_scene([person_of("train", 2 * i + k) for k in range(2)], rng)
        drawn.append(draw_dialogue(scene, 2, mix, rng))
    return drawn


class Leaning(System):
    """Reads from the scene which way a head leans, in its own words; of anything else it knows nothing."""

    def __init__(self, bench: Benchmark) -> None:
        self.bench, album = bench, bench.album()
        self.scenes = {album.query(i).tobytes(): scene for i, scene in enumerate(bench.pictures)}

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        return [np.array([self.holds(ask, option) for option in ask.options]) for ask in asks]

    def holds(self, ask: Ask, option: str) -> float:
        assert ask.image is not None
        figure = self.scenes[ask.image.tobytes()].find(self.bench.person(ask.concepts[0]))
        assert figure is not None
        said = "left" if "left" in option else "right"
        return 0.9 if " leans " in option and said == ("right" if figure.look.tilt > 0 else "left") else 0.1


def test_dialogues_draw_a_new_kind_and_its_answers_are_true(lean: None) -> None:
    asked = 0
    for dialogue in dialogues(DialogueMix(kinds=(("named", 1.0),))):
        for question in (q for q in dialogue.questions if q.kind == "lean"):
            asked += 1
            (name,) = question.about
            figure = dialogue.named[int(name[1:])].figure
            assert question.text == f"Which way does <{name}> lean?"
            if figure is None:
                assert question.answer == f"<{name}> is not in this photo." and not question.options
            else:
                assert question.answer == f"<{name}> leans to the {'right' if figure.look.tilt > 0 else 'left'}."
                assert sorted(question.options) == [f"<{name}> leans {way}." for way in LEANINGS]
    assert 100 < asked < 200, "one of the eight kinds of its family"


def test_the_benchmark_asks_a_new_kind_and_a_system_answers_it(lean: None, tmp_path: Path) -> None:
    bench = portraits("val", 5, SMALL).with_visual_kinds("where", "lean")
    items = [item for item in bench.visual_qa if item.kind == "lean"]
    assert len(items) == len(bench.visual_qa) / 2
    summary = evaluate(Leaning(bench), bench, tmp_path, parts=["visual_qa"])
    assert summary["visual_qa"]["by_kind"]["lean"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": len(items)}
    assert summary["visual_qa"]["by_kind"]["where"]["value"] < 1
    assert {new.question for old, new in bench.held_out_visual if old.kind == "lean"} == {
        f"Where does the head of <{item.about}> lean to?" for item in items
    }


def test_the_published_benchmark_stays_as_it_is_beside_a_new_kind(lean: None) -> None:
    bench = portraits("val", 5, SMALL)
    assert "lean" in kinds_in("named") and {i.kind for i in bench.visual_qa} == set(VISUAL_KINDS)
    other = bench.with_visual_kinds("lean")
    assert other.key != bench.key, "records of one are never taken for those of the other"
    assert other.pictures == bench.pictures and other.text_qa == bench.text_qa


def test_a_kind_may_be_a_family_of_its_own_or_ask_about_the_whole_picture(restored: None) -> None:
    @kind("hats", "scene")
    def _hats(now: Situation, *_: str | None) -> Question:
        worn = sum(f.look.hat != "none" for f in now.shown.figures)
        return Question("hats", now.worded("hats"), f"I see {worn}.")

    @kind("taller", second="name")
    def _taller(now: Situation, x: str, y: str | None) -> Question | None:
        figures = now.present[x], now.present[str(y)]
        if figures[0] is None or figures[1] is None:
            return None
        higher = x if figures[0].y < figures[1].y else y
        return Question("taller", now.worded("taller", x=f"<{x}>", y=f"<{y}>"), f"<{higher}> is.", about=(x, str(y)))

    sentences.TRAIN["hats"] = ("How many hats are there?",)
    sentences.TRAIN["taller"] = ("Who is higher up, {x} or {y}?",)
    seen = set()
    for dialogue in dialogues(DialogueMix(present=1.0, late=0.0, kinds=(("scene", 1.0), ("taller", 1.0))), 60):
        scene = dialogue.scene
        assert isinstance(scene, Scene)
        for question in dialogue.questions:
            seen.add(question.kind)
            if question.kind == "hats":
                assert question.answer == f"I see {len([f for f in scene.figures if f.look.hat != 'none'])}."
            if question.kind == "taller":
                top = min((n.figure for n in dialogue.named if n.figure), key=lambda f: f.y)
                assert question.answer == f"<n{[n.figure for n in dialogue.named].index(top)}> is."
    assert {"hats", "taller", "place"} <= seen


def test_datasets_ask_a_new_kind_about_several_concepts_where_it_makes_sense(restored: None) -> None:
    @qa.several_kind("alone", lambda now: len(now.shown) == 1)
    def _alone(now: qa.Prompted) -> qa.Asked:
        return qa.Asked(f"Is {now.names[0]} alone?", "Yes." if now.shown[0] == now.names[0] else "No.", ("Yes.", "No."))

    people = [qa.Person(f"p{i}") for i in range(6)]
    pictures = [qa.Picture(f"x{i}", ("p0", "p1")[: 1 + i % 2]) for i in range(200)]
    items = [item for item in qa.ask_everything(people, pictures, random.Random(1)) if item.kind == "alone"]
    assert len(items) > 10 and {item.answer for item in items} == {"Yes.", "No."}
    for item in items:
        assert int(item.picture[1:]) % 2 == 0, "one person is shown"
        assert item.answer == ("Yes." if item.concepts[0] == "p0" else "No.")


def test_a_kind_that_nobody_registered_is_refused_with_those_like_it() -> None:
    with pytest.raises(RequestError, match='no kind of question "wearin"') as refused:
        Asker(None, {}, random.Random(0)).ask("wearin")
    assert "wearing" in str(refused.value.hint)
    with pytest.raises(RequestError, match="nothing visible"):
        portraits("val", 5, SMALL).with_visual_kinds("both").visual_qa  # noqa: B018
