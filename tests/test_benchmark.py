"""The portraits benchmark: its counts, its balance, its truth, and that nobody is in two splits or two seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from plvm.data.wordings import PROTOCOL
from plvm.errors import RequestError
from plvm_lab.evaluate.controls import permuted, variants, with_other_reference
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.items import Choice
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, Size, portraits
from plvm_lab.portraits.person import Person, person_of
from plvm_lab.portraits.question_kind import visible_of
from plvm_lab.portraits.questions import VISUAL_KINDS
from plvm_lab.portraits.sentences import HELD_OUT, TRAIN


@pytest.fixture(scope="module")
def bench() -> Benchmark:
    return portraits()


def everyone(bench: Benchmark) -> set[Person]:
    """Every person that a benchmark knows or shows."""
    shown = {f.person for scene in bench.pictures for f in scene.figures}
    return shown | set(bench.people) | {p for alike in bench.lookalikes for p in alike}


def test_there_are_34_identities_246_pictures_and_8364_pairs(bench: Benchmark) -> None:
    assert (len(bench.people), len(bench.references), len(bench.pictures)) == (34, 34, 246)
    assert bench.present.shape == (34, 246) and bench.present.size == 8364
    assert len(set(bench.names)) == len(set(bench.people)) == 34


def test_every_identity_is_in_5_to_15_pictures_and_every_picture_has_one(bench: Benchmark) -> None:
    assert bench.present.sum(1).min() >= 5 and bench.present.sum(1).max() <= 15
    assert bench.present.any(0).all()
    assert {len(scene.figures) for scene in bench.pictures} == {1, 2, 3, 4}


def test_the_truth_is_what_the_scenes_show(bench: Benchmark) -> None:
    for j, scene in enumerate(bench.pictures):
        people = [f.person for f in scene.figures]
        assert len(set(people)) == len(people), "nobody is twice in a picture"
        assert [p in people for p in bench.people] == bench.present[:, j].tolist()
    for person, scene in zip(bench.people, bench.references, strict=True):
        assert [f.person for f in scene.figures] == [person]


@pytest.mark.parametrize("key", ["{0}", "{0}~2", "{0}={1}"])
def test_further_references_show_the_same_person_otherwise(bench: Benchmark, key: str) -> None:
    key = key.format(*bench.names)
    name, first = bench.reference(key)
    assert name == bench.names[0] and bench.reference(key, 0) == (name, first)
    others = [bench.reference(key, number)[1] for number in (1, 2)]
    assert {scene.figures[0].person for scene in others} == {first.figures[0].person}
    assert len({first, *others}) == 3 and others[0] == bench.reference(key, 1)[1]


def test_the_same_split_and_seed_give_the_same_benchmark(bench: Benchmark) -> None:
    again = portraits()
    assert again == bench and again.text_qa == bench.text_qa and again.visual_qa == bench.visual_qa
    assert again.who(3) == bench.who(3) and again.scripts == bench.scripts and again.triples == bench.triples
    assert portraits(seed=1).pictures != bench.pictures != portraits("val").pictures


def test_nobody_is_in_two_splits_or_two_seeds_nor_in_training(bench: Benchmark) -> None:
    worlds = [everyone(b) for b in (bench, portraits(seed=1), portraits(seed=2), portraits("val"), portraits("val", 1))]
    worlds += [{person_of(split, i) for i in range(4000)} for split in ("train", "demo")]
    assert sum(map(len, worlds)) == len(set[Person]().union(*worlds))


def test_traits_alone_do_not_repeat_either_within_the_benchmark(bench: Benchmark) -> None:
    shown = {f.person for scene in bench.pictures for f in scene.figures} | set(bench.people)
    assert len({p.traits for p in shown}) == len(shown)


def keys_are_balanced(items: Sequence[Choice]) -> None:
    for count in (2, 3):
        keys = Counter(i.key for i in items if len(i.options) == count)
        assert len(keys) == count and max(keys.values()) - min(keys.values()) <= 1
    run = [i.key for i in items]
    assert len({tuple(run[i : i + 6]) for i in range(0, len(run) - 6, 6)}) > len(run) / 15, "the keys have no pattern"


def test_text_questions_are_balanced_in_identities_slots_and_keys(bench: Benchmark) -> None:
    items = bench.text_qa
    assert len(items) == 102 and set(Counter(i.about for i in items).values()) == {3}
    slots = Counter(i.kind for i in items)
    assert len(slots) == 14 and max(slots.values()) - min(slots.values()) <= 1
    assert len({(i.about, i.kind) for i in items}) == 102
    keys_are_balanced(items)


def test_the_key_of_a_text_question_is_true_and_the_other_options_are_not(bench: Benchmark) -> None:
    for item in [*bench.text_qa, *(i for i, _ in bench.held_out_text)]:
        true = bench.person(item.about).phrase(item.kind)
        assert [o.endswith(f" {true}.") for o in item.options].count(True) == 1
        assert item.options[item.key].endswith(f" {true}.") and len(set(item.options)) == len(item.options)


def test_visual_questions_are_balanced_and_need_the_picture_and_the_identity(bench: Benchmark) -> None:
    items = bench.visual_qa
    assert len(items) >= 350 and len({i.about for i in items}) == 34
    kinds = Counter(i.kind for i in items)
    assert set(kinds) == set(VISUAL_KINDS) and max(kinds.values()) == min(kinds.values())
    keys_are_balanced(items)
    for item in items:
        assert item.picture is not None
        scene = bench.pictures[item.picture]
        figure = scene.find(bench.person(item.about))
        assert figure is not None
        tell = visible_of(item.kind).tell
        assert item.options[item.key] == f"<{item.about}> {tell(figure)}."
        assert len(set(item.options)) == len(item.options) in (2, 3)
        wrong = [o for i, o in enumerate(item.options) if i != item.key]
        assert any(f"<{item.about}> {tell(f)}." in wrong for f in scene.figures), "an option is true of somebody else"


def test_hats_and_glasses_are_there_in_half_of_their_questions(bench: Benchmark) -> None:
    for kind in ("hat", "glasses"):
        worn = [" not " not in i.options[i.key] for i in bench.visual_qa if i.kind == kind]
        assert abs(np.mean(worn) - 0.5) <= 0.05


def test_lookalikes_differ_in_1_to_4_traits_and_are_in_no_picture(bench: Benchmark) -> None:
    shown = {f.person for scene in bench.pictures for f in scene.figures}
    for person, alike in zip(bench.people, bench.lookalikes, strict=True):
        assert [person.differences(p) for p in alike] == [1, 2, 3, 4]
        assert not shown & set(alike)
    pairs = bench.lookalike_pairs
    assert Counter(p.truth for p in pairs) == {True: bench.present.sum(), False: 4 * bench.present.sum()}
    assert all(p.about in bench.shown(p.picture) for p in pairs)


def test_three_concepts_in_a_prompt_are_balanced_and_the_target_stands_anywhere(bench: Benchmark) -> None:
    pairs = bench.triples
    assert len(pairs) == 1500 and sum(p.truth for p in pairs) == 750
    assert min(Counter(p.target for p in pairs).values()) > 400
    for p in pairs:
        assert len(set(p.concepts)) == 3 and p.concepts[p.target] == p.about and f"<{p.about}>" in p.question
        assert p.truth == (p.about in bench.shown(p.picture))
    others = [n in bench.shown(p.picture) for p in pairs for n in p.concepts if n != p.about]
    assert 0.15 < np.mean(others) < 0.6, "the others are partly there, partly not"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_who_questions_have_one_true_answer_and_all_three_cases(bench: Benchmark, count: int) -> None:
    items = bench.who(count)
    cases = Counter(i.case for i in items)
    assert cases["enrolled"] >= 300 and cases["nobody"] >= 100
    assert cases["enrolled"] / len(items) == pytest.approx(0.7, abs=0.02)
    assert {i.kind for i in items} == {"who_position", "who_doing", "who_wearing"}
    for item in items:
        here = set(item.concepts) & set(bench.shown(item.picture))
        assert len(set(item.concepts)) == count
        assert (item.name in here) == (item.case == "enrolled") and (not here) == (item.case == "nobody")
        assert item.answer.startswith(f"<{item.name}> " if item.name else "Someone I do not know ")
        said = item.answer.split("> " if item.name else "know ")[1]
        figures = bench.pictures[item.picture].figures
        fits = [f for f in figures if f"{said}" in [f"{visible_of(k).tell(f)}." for k in ("where", "doing", "wearing")]]
        assert len(fits) == 1 and fits[0].person == (bench.person(item.name) if item.name else fits[0].person)
        if item.name is None:
            assert fits[0].person not in {bench.person(n) for n in item.concepts}


def test_scripts_ask_about_the_second_concept_only_after_it_may_join(bench: Benchmark) -> None:
    assert len(bench.scripts) == 200
    for s in bench.scripts:
        assert [line.asked for line in s.lines] == [False, False, True, True] and s.joins == 2 and s.first != s.added
        assert not any(f"<{s.added}>" in line.question + line.answer for line in s.lines[:2])
        assert all(f"<{s.added}>" in line.question for line in s.lines[2:])
    shown = np.mean([s.added in bench.shown(s.picture) for s in bench.scripts])
    assert 0.6 < shown < 0.72


def test_held_out_wordings_are_no_trained_ones_and_all_else_is_the_same(bench: Benchmark) -> None:
    every = {w for wordings in TRAIN.values() for w in wordings}
    assert not every & {w for wordings in HELD_OUT.values() for w in wordings}
    for trained, new in (*bench.held_out_text, *bench.held_out_visual):
        assert trained.question.replace(f"<{trained.about}>", "{x}") in TRAIN[trained.kind]
        assert new.question.replace(f"<{new.about}>", "{x}") in HELD_OUT[new.kind]
        assert (trained.id, trained.options, trained.key) == (new.id, new.options, new.key)
    for before, after in bench.held_out_pairs:
        assert before.question == PROTOCOL.format(x=f"<{before.about}>") != after.question
        assert (before.id, before.truth) == (after.id, after.truth)
    assert len(bench.held_out_text) > 300 and sum(p.truth for p, _ in bench.held_out_pairs) == bench.present.sum()


def test_controls_change_what_they_say_and_nothing_else(bench: Benchmark) -> None:
    for item, turned in zip(bench.visual_qa, permuted(bench.visual_qa), strict=True):
        assert turned.options[turned.key] == item.options[item.key]
        assert turned.options != item.options and set(turned.options) == set(item.options)
    for item in with_other_reference(bench.visual_qa, bench, "visual_qa"):
        name, _, other = item.concepts[0].partition("=")
        assert name == item.about != other and other not in bench.shown(item.picture or 0)
        assert bench.reference(item.concepts[0]) == (name, bench.references[bench.names.index(other)])
    assert Counter((part, control) for part, control, _ in variants(bench)).most_common(1)[0][1] == 1


def test_a_small_benchmark_has_everything_in_small() -> None:
    small = portraits("val", 3, SMALL)
    assert (len(small.people), len(small.pictures), len(small.visual_qa), len(small.who(3))) == (6, 36, 24, 22)
    assert len(small.triples) == 60 and len(small.scripts) == 6


def test_impossible_benchmarks_are_refused_with_what_is_possible() -> None:
    with pytest.raises(RequestError, match='no split "tset"'):
        portraits("tset")
    with pytest.raises(RequestError, match="at least 5 for each"):
        portraits(size=Size(identities=34, pictures=100))


def test_pictures_on_disk_are_those_in_memory_and_are_not_drawn_twice(tmp_path: Path) -> None:
    small = portraits(size=SMALL)
    memory, disk = Drawings(small), Drawings(small, tmp_path)
    key = f"{small.names[0]}~2"
    assert (
        disk.reference(key).tobytes() == memory.reference(key).tobytes() != memory.reference(small.names[0]).tobytes()
    )
    files = sorted(tmp_path.rglob("*.png"))
    assert len(files) == 1 and "lookalike-2" in files[0].name
    stamp = files[0].stat().st_mtime_ns
    assert Drawings(small, tmp_path).reference(key).tobytes() == memory.reference(key).tobytes()
    assert files[0].stat().st_mtime_ns == stamp and disk.query(0).size == (480, 480)


def test_an_album_keeps_no_more_pictures_than_it_may() -> None:
    album = Drawings(portraits(size=SMALL), keep=2)
    first = album.query(0)
    assert album.query(0) is first
    album.query(1), album.query(2)
    assert album.query(0) is not first and album.query(0).tobytes() == first.tobytes()
