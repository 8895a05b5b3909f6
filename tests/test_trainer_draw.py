"""What the trainer draws: people, pictures and questions in the shares that are asked for, packed into pieces."""

from __future__ import annotations

import dataclasses
import random
import re
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from plvm.data.dataset import Dataset, Sentence
from plvm.data.manifest import read_rows
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import ANSWER, VERDICT
from plvm.train.batch import pieces, write_sample
from plvm.train.settings import Data
from plvm.train.tasks import Sample, SingleQuestions, Turn
from plvm_lab.synth.pipeline import synthesize
from trained import PEOPLE
from trained import album as album
from trained import data as data


def asked(sample: Sample) -> int:
    """The number of the person that the sample's one question is about."""
    (turn,) = sample.turns
    (number,) = set(re.findall(r"<n(\d)>", turn.question))
    return int(number)


def plain(sample: Sample) -> Sentence:
    """The sample's one question as the dataset has it: about <n0>."""
    (turn,) = sample.turns
    return Sentence(*(re.sub(r"<n\d>", "<n0>", text) for text in (turn.question, turn.answer)))


@pytest.mark.parametrize(("p", "recognition", "attribute"), [(0.5, 1.0, 1.0), (0.7, 3.0, 1.0), (0.4, 1.0, 0.0)])
def test_positives_and_kinds_of_questions_come_as_often_as_the_settings_say(
    album: Dataset, p: float, recognition: float, attribute: float
) -> None:
    settings, rng = Data(p=p, recognition=recognition, attribute=attribute), random.Random(0)
    split = album.split("train")
    groups = [g for _ in range(1500) for g in SingleQuestions(album, split, settings).groups(rng, 2, 2)]
    present = dict(split.pictures)
    here = Counter(t.here for g in groups for s in g.samples for t in s.turns)
    share = recognition / (recognition + attribute)
    assert sum(bool(g.picture) for g in groups) / len(groups) == pytest.approx(share, abs=0.03)
    assert here[True] / (here[True] + here[False]) == pytest.approx(p, abs=0.03)
    for group in groups:
        for s in group.samples:
            person, (turn,) = s.people[asked(s)], s.turns
            assert (turn.here is None) == (not group.picture)
            assert turn.here is None or turn.here == (person in present[group.picture])
            assert turn.here is None or turn.answer.startswith("Yes" if turn.here else "No")
            assert turn.here is not None or (person, plain(s)) in split.attributes
    wordings = [
        {plain(s).question for g in groups for s in g.samples if s.turns[0].here is here} for here in (True, False)
    ]
    assert wordings[0] == wordings[1], "no wording tells the answer"


def test_distractors_are_other_people_in_the_share_of_steps_that_is_asked_for(album: Dataset) -> None:
    split, rng = album.split("train"), random.Random(0)
    present, counts = dict(split.pictures), Counter[int]()
    for _ in range(600):
        (group,) = SingleQuestions(album, split, Data(distractors=0.25)).groups(rng, 1, 3)
        counts[len(group.samples[0].people)] += 1
        for s in group.samples:
            others = [x for i, x in enumerate(s.people) if i != asked(s)]
            assert len(set(s.people)) == len(s.people) == len(group.samples[0].people)
            assert not group.picture or not set(present[group.picture]) & set(others)
    assert 1 - counts[1] / 600 == pytest.approx(0.25, abs=0.06) and set(counts) == {1, 2, 3, 4}


def test_friends_who_are_pictured_together_are_all_there_and_never_asked_about_as_absent(tmp_path: Path) -> None:
    spec = dataclasses.replace(PEOPLE, identities=24, per_identity=1, options={"people": [2, 3]})
    synthesize(spec, tmp_path / "friends")
    friends, rng = Dataset(tmp_path / "friends"), random.Random(0)
    split = friends.split("train")
    truth = {r["picture"]: set(r["people"]) for r in read_rows(tmp_path / "friends", split="train") if r["name"] == "0"}
    found: dict[str, set[str]] = {}
    for _ in range(200):
        for group in SingleQuestions(friends, split, Data(attribute=0)).groups(rng, 2, 4):
            for s in group.samples:
                person, (turn,) = s.people[asked(s)], s.turns
                assert turn.here == (person in truth[group.picture])
                if turn.here:
                    found.setdefault(group.picture, set()).add(person)
    assert found == truth and max(map(len, truth.values())) >= 2, "everybody in a picture is asked about"


def test_every_recognition_answer_has_its_yes_or_no_marked_for_w_and_nothing_else_is(
    album: Dataset, prompt: Prompt
) -> None:
    split, rng = album.split("train"), random.Random(1)
    for _ in range(60):
        for group in SingleQuestions(album, split, Data(distractors=0.5)).groups(rng, 1, 4):
            for s in group.samples:
                tokens = write_sample(prompt, s, 100_000, 4)
                marked = [i for i, kind in zip(tokens.ids, tokens.supervise, strict=True) if kind == VERDICT]
                here = s.turns[0].here
                expected = [] if here is None else [prompt.yes_id if here else prompt.no_id]
                assert marked == expected and tokens.supervise[-1] == ANSWER
                names = [i - 100_000 for i in tokens.ids if 100_000 <= i < 100_000 + len(s.people)]
                assert set(names[len(s.people) :]) <= {asked(s)}, "questions and answers speak of the one asked about"


def test_a_family_that_goes_on_after_yes_and_no_is_trained_on_what_both_have_and_on_no_end(prompt: Prompt) -> None:
    turns = (Turn("Is <n1> here?", "No.", False), Turn("What does <n0> do?", "<n0> sings."), Turn("Is <n0> here?", "Yes!", True))
    tokens = write_sample(prompt, Sample(("p", "q"), turns, (0, 0)), 100_000, 4, goes_on=", {name} is")
    told = [token for token, kind in zip(tokens.ids, tokens.supervise, strict=True) if kind]
    said = "".join(f"<n{i - 100_000}>" if i >= 100_000 else prompt.tokenizer.decode([i]) for i in told)
    assert re.sub(r"\s", "", said) == f"No,<n1>is<n0>sings.{prompt.tokenizer.decode([prompt.end_id])}Yes,<n0>is"
    assert tokens.supervise.count(VERDICT) == 2


def test_pieces_and_processes_share_all_groups_and_put_similar_lengths_together(album: Dataset) -> None:
    groups = SingleQuestions(album, album.split("train"), Data()).groups(random.Random(2), 12, 2)
    shared = [g for rank in range(3) for piece, _ in pieces(groups, 2, rank, 3) for g in piece]
    assert sorted(map(id, shared)) == sorted(map(id, groups))
    lengths = [
        [max(len(s.turns[0].question + s.turns[0].answer) for s in g.samples) for g in piece]
        for piece, _ in pieces(groups, 3)
        if piece[0].picture
    ]
    assert all(max(a) <= min(b) for a, b in zip(lengths, lengths[1:]))
    for some in (groups, groups[:1], groups[:5]):
        even = [list(pieces(some, 2, rank, 3, even=True)) for rank in range(3)]
        assert len(set(map(len, even))) == 1, "all processes run as many passes"
        assert sorted(id(g) for own in even for piece, mine in own if mine for g in piece) == sorted(map(id, some))
