"""The drawn world: the same for everybody, and what is said about it is true."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from plvm.data.wordings import PROTOCOL
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.dialogues import DialogueMix, draw_dialogue
from plvm_lab.portraits.person import GEOMETRY, PHRASES, SLOTS, Person, draw_person, lookalike, person_of
from plvm_lab.portraits.phrases import NUMBERS
from plvm_lab.portraits.question_kind import Question
from plvm_lab.portraits.questions import Asker
from plvm_lab.portraits.render import draw, scene_svg
from plvm_lab.portraits.scene import CANVAS, POSITIONS, Figure, Scene, draw_portrait, draw_scene
from plvm_lab.portraits.sentences import HELD_OUT, TRAIN, UNKNOWN

CROWDS = (1, 2, 3, 4)


def a_scene(seed: int, people: int | None = None) -> Scene:
    rng = random.Random(seed)
    return draw_scene([draw_person(rng) for _ in range(people or 1 + seed % 4)], rng)


# ---- one seed, one world


def test_the_same_seed_gives_the_same_person_scene_and_svg() -> None:
    for seed in range(5):
        assert person_of("train", seed) == person_of("train", seed)
        assert draw_person(random.Random(seed)) == draw_person(random.Random(seed))
        assert a_scene(seed) == a_scene(seed)
        assert scene_svg(a_scene(seed)) == scene_svg(a_scene(seed))
    assert len({scene_svg(a_scene(seed)) for seed in range(20)}) == 20


def test_the_people_are_still_those_that_the_recorded_figures_are_about() -> None:
    """Whoever changes this number makes another benchmark: the family must be built and measured again."""
    people = [person_of(split, i) for split in ("train", "val", "test") for i in range(20)]
    assert hashlib.sha256(repr(people).encode()).hexdigest().startswith("8746a22de891f7a6")


def test_the_splits_have_no_identity_in_common() -> None:
    splits = {split: {person_of(split, i) for i in range(400)} for split in ("train", "val", "test")}
    assert all(len(people) == 400 for people in splits.values())
    assert len(set().union(*splits.values())) == 1200
    assert not {person_of("test", i, 1) for i in range(400)} & splits["test"]


def test_traits_and_geometry_are_what_they_may_be() -> None:
    seen: dict[str, set[str]] = {slot: set() for slot in SLOTS}
    for i in range(600):
        person = person_of("train", i)
        assert all(-1 <= g <= 1 for g in person.geometry) and len(person.geometry) == len(GEOMETRY)
        for slot in SLOTS:
            assert person[slot] in PHRASES[slot] and person.phrase(slot) == PHRASES[slot][person[slot]]
            seen[slot].add(person[slot])
    assert seen == {slot: set(values) for slot, values in PHRASES.items()}


@pytest.mark.parametrize("changes", [1, 2, 3, 5, 8])
def test_a_lookalike_differs_in_exactly_as_many_traits_as_asked(changes: int) -> None:
    for i in range(200):
        person = person_of("train", i)
        other = lookalike(person, changes, random.Random(i))
        assert sum(a != b for a, b in zip(person.traits, other.traits, strict=True)) == changes
        assert person.differences(other) == other.differences(person) == changes
        assert other["gender"] == person["gender"]
        assert max(abs(a - b) for a, b in zip(person.geometry, other.geometry, strict=True)) <= 0.4005
        assert all(-1 <= g <= 1 for g in other.geometry)


def test_a_woman_has_no_beard_and_neither_has_a_lookalike_of_hers() -> None:
    women = [p for p in (person_of("train", i) for i in range(400)) if p["gender"] == "woman"]
    assert len(women) > 100
    for i, woman in enumerate(women):
        assert woman["facial_hair"] == lookalike(woman, 8, random.Random(i))["facial_hair"] == "none"


# ---- one phrase, one token


def world_phrases() -> set[str]:
    tables = [*PHRASES.values(), S.PLACES, S.LIGHTS, S.ACTIVITIES, S.EXPRESSIONS, S.HATS, S.GLASSES]
    words = {p for table in tables for p in table.values()} | {p for ps in POSITIONS.values() for p in ps}
    return words | set(S.COLORS) | {word for c in S.CLOTHES.values() for word in c.split(" ")} | {UNKNOWN, "Yes", "No"}


def test_every_phrase_of_the_world_is_one_token_with_a_blank_before_it(tokenizer: Any) -> None:
    spelled = {w: tokenizer(" " + w, add_special_tokens=False)["input_ids"] for w in world_phrases()}
    assert {w: len(ids) for w, ids in spelled.items() if len(ids) != 1} == {}
    assert len({ids[0] for ids in spelled.values()}) == len(spelled), "two phrases must not share a token"
    assert all(tokenizer.decode(ids) == " " + w for w, ids in spelled.items())


# ---- questions and answers


def worlds() -> Iterator[tuple[Scene, dict[str, Person], Asker]]:
    """Scenes in which some know everybody and some nobody; <zed> is never there."""
    for seed in range(80):
        scene, rng = a_scene(seed), random.Random(seed)
        named = {f"n{i}": f.person for i, f in enumerate(scene.figures) if rng.random() < 0.7}
        named["zed"] = draw_person(rng)
        yield scene, named, Asker(scene, named, rng)


def figure_named(scene: Scene, person: Person) -> Figure | None:
    """Our own look at the scene."""
    return next(
        (f for f in scene.figures if (f.person.traits, f.person.geometry) == (person.traits, person.geometry)), None
    )


def garment(figure: Figure) -> str:
    """What somebody wears, in our own words."""
    kind = {"tshirt": "t-shirt", "stripes": "striped shirt"}.get(figure.look.clothes, figure.look.clothes)
    article = "" if kind == "overalls" else "an " if figure.look.color == "orange" else "a "
    return f"{article}{figure.look.color} {kind}"


def called(scene: Scene, named: dict[str, Person], figure: Figure) -> str:
    return next((f"<{n}>" for n, p in named.items() if figure_named(scene, p) is figure), "someone I do not know")


TOLD = {
    "where": lambda f: f"is {f.position}",
    "wearing": lambda f: f"is wearing {garment(f)}",
    "doing": lambda f: f"is {S.ACTIVITIES[f.look.activity]}",
    "expression": lambda f: f"is {f.look.expression}",
    "hat": lambda f: "is not wearing a hat" if f.look.hat == "none" else f"is wearing {S.HATS[f.look.hat]}",
    "glasses": lambda f: f"is wearing {f.look.glasses}" if f.look.glasses != "none" else "is not wearing glasses",
}


@pytest.mark.parametrize("kind", TOLD)
def test_what_is_said_about_somebody_in_the_picture_is_true(kind: str) -> None:
    for scene, named, asker in worlds():
        for name, person in named.items():
            q = asker.ask(kind, name)
            figure = figure_named(scene, person)
            assert q is not None and f"<{name}>" in q.text and q.about == (name,)
            if figure is None:
                assert q.answer == f"<{name}> is not in this photo." and q.options == ()
                continue
            base, _, beside = q.answer.removesuffix(".").partition(", next to ")
            assert base == f"<{name}> {TOLD[kind](figure)}"
            assert q.options.count(f"{base}.") == 1 and len(set(q.options)) == len(q.options) > 1
            if kind == "where":
                at = scene.figures.index(figure)
                near = [f for i, f in enumerate(scene.figures) if abs(i - at) == 1]
                known = [w for w in (called(scene, named, f) for f in near) if w.startswith("<")]
                assert beside == " and ".join(known)
            else:
                assert not beside


def test_the_positions_are_those_of_the_picture_from_left_to_right() -> None:
    for seed in range(200):
        scene = a_scene(seed)
        assert [f.x for f in scene.figures] == sorted(f.x for f in scene.figures)
        assert tuple(f.position for f in scene.figures) == POSITIONS[len(scene.figures)]
        for f in scene.figures:
            if f.position != "in the middle":
                assert (f.x < CANVAS / 2) == f.position.endswith("left")


def test_recognition_says_yes_for_those_in_the_picture_and_no_for_all_others() -> None:
    answers = set()
    for scene, named, asker in worlds():
        for name, person in named.items():
            q = asker.ask("recognize", name)
            assert q is not None and q.verdict
            present = figure_named(scene, person) is not None
            word, _, rest = q.answer.removesuffix(".").partition(", ")
            assert word == ("Yes" if present else "No")
            assert rest in ("", f"<{name}> is {'' if present else 'not '}in this photo")
            assert [o for o in q.options if o.startswith(word)] == [f"{word}."]
            answers.add((word, bool(rest)))
    assert len(answers) == 4


def test_who_questions_name_the_right_person_or_admit_that_nobody_knows_them() -> None:
    unknown = 0
    for scene, named, asker in worlds():
        for kind in ("who_position", "who_doing", "who_wearing"):
            q = asker.ask(kind)
            if q is None:
                continue
            who, tail = re.fullmatch(r"(<\w+>|Someone I do not know) (is .*)\.", q.answer).groups()  # type: ignore[union-attr]
            tell = TOLD[{"who_position": "where"}.get(kind, kind.removeprefix("who_"))]
            fitting = [f for f in scene.figures if tell(f) == tail]
            assert len(fitting) == 1, "the question must have one answer"
            assert who.lower() == called(scene, named, fitting[0]).lower()
            assert tail.removeprefix("is wearing ").removeprefix("is ") in q.text
            assert q.options.count(q.answer) == 1
            unknown += who.startswith("Someone")
    assert unknown > 5


def test_who_is_in_the_picture_is_everybody_who_has_a_name_here() -> None:
    for scene, named, asker in worlds():
        q = asker.ask("who_present")
        assert q is not None
        names = {w for w in (called(scene, named, f) for f in scene.figures) if w.startswith("<")}
        assert set(re.findall("<[^>]+>", q.answer)) == names
        assert names or q.answer == "I do not know anyone in this photo."


def test_who_is_beside_somebody_are_the_neighbours() -> None:
    for scene, named, asker in worlds():
        for name, person in named.items():
            q, figure = asker.ask("beside", name), figure_named(scene, person)
            assert q is not None
            if figure is None:
                assert q.answer == f"<{name}> is not in this photo."
                continue
            at = scene.figures.index(figure)
            near = [called(scene, named, scene.figures[i]) for i in (at - 1, at + 1) if 0 <= i < len(scene.figures)]
            said = q.answer.removesuffix(f" next to <{name}>.")
            verb = "are" if len(near) == 2 else "is"
            assert said.lower() == (f"{' and '.join(near)} {verb}".lower() if near else "nobody is")


def test_the_picture_as_a_whole_is_told_truly() -> None:
    for scene, _, asker in worlds():
        count, place, light = (asker.ask(kind) for kind in ("count", "place", "light"))
        assert count and place and light
        number = ["one person", "two people", "three people", "four people"][len(scene.figures) - 1]
        assert count.answer == f"I see {number}." and len(NUMBERS) == 4
        assert place.answer == f"It was taken {S.PLACES[scene.place]}."
        assert light.answer == f"It was taken {S.LIGHTS[scene.light]}."
        for q in (count, place, light):
            assert q.options.count(q.answer) == 1 and len(set(q.options)) == len(q.options)


def test_questions_about_two_people_are_true_of_both() -> None:
    for scene, named, asker in worlds():
        if len(named) < 2:
            continue
        x, y = random.Random(1).sample(sorted(named), 2)
        here = [n for n in (x, y) if figure_named(scene, named[n]) is not None]
        q, doing = asker.ask("both", x, y), asker.ask("doing_both", x, y)
        assert q is not None and doing is not None
        assert q.answer == {0: "No.", 1: f"No, only <{''.join(here)}> is in this photo.", 2: "Yes."}[len(here)]
        for n in (x, y):
            figure = figure_named(scene, named[n])
            assert f"<{n}> is {S.ACTIVITIES[figure.look.activity] if figure else 'not in this photo'}" in doing.answer


@pytest.mark.parametrize("slot", SLOTS)
def test_trait_questions_are_answered_from_the_person_with_or_without_a_picture(slot: str) -> None:
    for i in range(20):
        person = person_of("train", i)
        q = Asker(None, {"a": person}, random.Random(i)).ask(slot, "a")
        assert q is not None
        verb = "is" if slot in ("gender", "age") else "has"
        assert q.answer == f"<a> {verb} {PHRASES[slot][person[slot]]}."
        assert q.options.count(q.answer) == 1 and len(q.options) == len(PHRASES[slot])


def test_has_and_who_has_are_true_of_the_people_named() -> None:
    asked = 0
    for i in range(200):
        people = {n: person_of("train", 3 * i + k) for k, n in enumerate("abc")}
        asker = Asker(None, people, random.Random(i))
        has, who = asker.ask("has", "a", "hair_color"), asker.ask("who_has", "a", "nose")
        assert has is not None
        true = people["a"].phrase("hair_color")
        assert has.answer == ("Yes." if true in has.text else f"No, <a> has {true}.")
        alone = sum(p["nose"] == people["a"]["nose"] for p in people.values()) == 1
        assert (who is not None) == alone
        if who is not None:
            assert who.answer == f"<a> has {people['a'].phrase('nose')}." and who.options.count(who.answer) == 1
            asked += 1
    assert asked > 30


def test_every_kind_of_question_can_be_asked_and_leaves_no_gap_unfilled() -> None:
    scene = a_scene(3, 3)
    named = {f"n{i}": f.person for i, f in enumerate(scene.figures)}
    for kind in TRAIN:
        questions = [Asker(scene, named, random.Random(seed)).ask(kind, "n0", "n1") for seed in range(60)]
        asked = [q for q in questions if q is not None]
        assert asked, kind
        for q in asked:
            assert isinstance(q, Question) and "{" not in q.text + q.answer and "None" not in q.text + q.answer
            assert q.answer.endswith(".") and q.kind == kind


# ---- wordings


def test_held_out_wordings_are_never_trained_on() -> None:
    trained = {text for texts in TRAIN.values() for text in texts}
    held_out = {text for texts in HELD_OUT.values() for text in texts}
    assert not trained & held_out
    assert not {t.lower().strip(" ?.") for t in trained} & {t.lower().strip(" ?.") for t in held_out}
    assert set(HELD_OUT) <= set(TRAIN) and all(HELD_OUT.values())


def test_training_draws_the_trained_wordings_and_the_evaluation_can_draw_the_others() -> None:
    scene = a_scene(2, 1)
    named = {"a": scene.figures[0].person}
    for kind in HELD_OUT:
        if kind.startswith("who"):
            continue
        for wordings in (TRAIN, HELD_OUT):
            seen = {
                q.text
                for seed in range(200)
                if (q := Asker(scene, named, random.Random(seed), wordings).ask(kind, "a"))
            }
            assert seen == {text.replace("{x}", "<a>") for text in wordings[kind]}


def test_there_are_at_least_30_wordings_of_recognition_the_protocols_among_them() -> None:
    assert len(set(TRAIN["recognize"])) == len(TRAIN["recognize"]) >= 30
    assert PROTOCOL in TRAIN["recognize"] and PROTOCOL == "Is {x} in this photo? Answer with Yes or No."
    assert all(text.count("{x}") == 1 for text in (*TRAIN["recognize"], *HELD_OUT["recognize"]))


# ---- dialogues


def test_a_name_that_joins_late_is_not_asked_about_before() -> None:
    late = 0
    for seed in range(150):
        rng = random.Random(seed)
        dialogue = draw_dialogue(a_scene(seed), 3, DialogueMix(turns=4, late=0.5), rng)
        assert len(dialogue.questions) == 4 and dialogue.named[0].joins == 0
        for turn, q in enumerate(dialogue.questions):
            said = set(re.findall(r"<(n\d)>", " ".join([q.text, q.answer, *q.options])))
            assert said <= {f"n{i}" for i, n in enumerate(dialogue.named) if n.joins <= turn}
        late += sum(n.joins > 0 for n in dialogue.named)
    assert late > 100


def test_a_description_fits_nobody_but_the_one_it_names() -> None:
    for seed in range(300):
        scene = a_scene(seed)
        for named in draw_dialogue(scene, 2, DialogueMix(), random.Random(seed)).named:
            fitting = [f for f in scene.figures if all(f.person[s] == named.person[s] for s in named.slots)]
            assert fitting == ([] if named.figure is None else [named.figure])


# ---- pictures


@pytest.mark.parametrize("size", [64, 160])
def test_a_drawing_is_an_rgb_picture_of_the_asked_size(size: int) -> None:
    drawn = draw(a_scene(1), size)
    assert drawn.mode == "RGB" and drawn.size == (size, size)
    pixels = np.asarray(drawn)
    assert pixels.std() > 20 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    assert np.array_equal(pixels, np.asarray(draw(a_scene(1), size)))


def test_pictures_of_different_people_differ_though_everything_else_is_the_same() -> None:
    drawn = [np.asarray(draw(draw_portrait(person_of("val", i), random.Random(1)), 96)).astype(int) for i in range(8)]
    for i in range(8):
        for j in range(i):
            assert np.abs(drawn[i] - drawn[j]).mean() > 2


@pytest.mark.parametrize("slot", SLOTS)
def test_every_trait_can_be_seen(slot: str) -> None:
    """Each value of a slot, all else equal, gives a picture of its own; a bare head hides nothing."""
    seed = next(
        s for s in range(99) if (p := draw_person(random.Random(s)))["gender"] == "man" and p["hairstyle"] == "short"
    )
    person = draw_person(random.Random(seed))
    base = draw_portrait(person, random.Random(0))
    figure = base.figures[0]
    look = S.Look("smiling", "tshirt", "red", "none", "red", "none", "standing")
    pictures = set()
    for value in PHRASES[slot]:
        traits = tuple(value if s == slot else t for s, t in zip(SLOTS, person.traits, strict=True))
        shown = Figure(Person(traits, person.geometry), look, figure.position, figure.x, figure.y, figure.scale)
        pictures.add(draw(Scene(base.place, "day", (shown,), 1), 112).tobytes())
    assert len(pictures) == len(PHRASES[slot])


@pytest.mark.parametrize("people", CROWDS)
def test_every_face_has_its_centre_inside_the_canvas_and_its_own_place(people: int) -> None:
    for seed in range(300):
        scene = a_scene(seed, people)
        assert len(scene.figures) == len({f.person for f in scene.figures}) == people
        for f in scene.figures:
            assert 0 < f.x < CANVAS and 0 < f.y < CANVAS
            assert f.y - 50 * f.scale > -5, "a face must not be cut at the top"
        gaps = [b.x - a.x for a, b in zip(scene.figures, scene.figures[1:])]
        assert all(gap > 0.5 * 74 * min(f.scale for f in scene.figures) for gap in gaps)


def test_a_reference_picture_shows_one_person_alone_and_near() -> None:
    for i in range(100):
        person = person_of("test", i)
        scene = draw_portrait(person, random.Random(i))
        (figure,) = scene.figures
        assert figure.person == person and scene.find(person) is figure
        assert figure.look.activity == "standing" and 100 * figure.scale > CANVAS / 2
        assert abs(figure.x - CANVAS / 2) < 20 and abs(figure.y - CANVAS / 2) < 20
