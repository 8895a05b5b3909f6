"""The grounded tasks: what they ask is true of the pictures, and what anchored tokens are told is true of the people."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from plvm.data.dataset import Dataset
from plvm.data.manifest import read_rows
from plvm.data.spec import Identity, Spec
from plvm.errors import RequestError
from plvm.model.forms.anchored import AnchoredAligner
from plvm.train.batch import pack
from plvm.train.settings import Data
from plvm.train.tasks import Group, Sample
from plvm_lab.portraits.person import PHRASES, SLOTS
from plvm_lab.synth.pipeline import synthesize
from plvm_lab.synth.portraits_generator import PortraitsGenerator
from plvm_lab.tasks.ground_truth import Truth, read_truth
from plvm_lab.tasks.grounded import Grounded
from trainer_worker import a_trainer, small

FRIENDS = Spec(
    identities=40, per_identity=2, seed=3, size=48, shard=8, shares=(0.6, 0.3, 0.1), filters=False,
    options={"people": [1, 3]},
)  # fmt: skip
FORMS = ("Is this <", "Do you see <", "Is <n0> h", "Is <n0> t", "Is <n1> h", "Is <n0> v", "Can you see <")
GROUNDED = {"data.tasks": "grounded", "aligner.architecture": "anchored", "train.anchor": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grounded") / "data"
    synthesize(FRIENDS, folder)
    return folder


@pytest.fixture(scope="module")
def album(data: Path) -> Dataset:
    return Dataset(data)


@pytest.fixture(scope="module")
def truth(album: Dataset) -> Truth:
    return read_truth(album, "train")


def drawn(album: Dataset, data: Data, count: int) -> list[Group]:
    grounded, rng = Grounded(album, album.split("train"), data), random.Random(0)
    return [g for _ in range(count) for g in grounded.groups(rng, 2, 2)]


def test_the_truth_read_back_is_what_the_generator_drew(album: Dataset, truth: Truth) -> None:
    generator = PortraitsGenerator(FRIENDS)
    assert truth.people and truth.scenes
    assert all(generator.person(key).traits == person.traits for key, person in truth.people.items())
    for key in {key.rpartition("-")[0] for key in truth.scenes}:
        for i, true in enumerate(generator.group(Identity(key, "train", 0)).scenes):
            told = truth.scenes[f"{key}-{i}"]
            assert (told.place, told.light) == (true.place, true.light)
            for a, b in zip(told.figures, true.figures, strict=True):
                assert a.position == b.position and a.person.traits == b.person.traits
                assert dataclasses.replace(a.look, hat_color="", tilt=0.0, turn=0.0) == dataclasses.replace(
                    b.look, hat_color="", tilt=0.0, turn=0.0
                )


def test_recognition_answers_say_who_is_in_the_picture(album: Dataset, truth: Truth) -> None:
    seen, checked = dict(album.split("train").pictures), Counter[bool]()
    for group in drawn(album, Data("grounded", recognition=1, attribute=0), 200):
        looks = {truth.people[p].traits for p in seen[group.picture]}
        for sample in group.samples:
            for turn in sample.turns:
                named = [f"<n{i}>" in turn.question for i in range(len(sample.people))]
                if turn.here is not None and sum(named) == 1 and turn.question.startswith(FORMS):
                    here = truth.people[sample.people[named.index(True)]].traits in looks
                    assert turn.here == here
                    checked[here] += 1
    assert min(checked[True], checked[False]) > 20


def test_without_a_picture_only_what_a_reference_tells_is_asked(album: Dataset, truth: Truth) -> None:
    for group in drawn(album, Data("grounded", recognition=0, attribute=1), 60):
        assert group.picture == ""
        for sample in group.samples:
            for turn in sample.turns:
                phrases = {PHRASES[s][truth.people[p][s]] for p in sample.people for s in SLOTS}
                said = turn.answer.rstrip(".").removeprefix("Yes, ").removeprefix("No, ")
                assert (
                    said in ("Yes", "No")
                    or any(said.endswith(p) for p in phrases)
                    or "<n" in said
                    or "not know" in said
                )


def test_a_step_has_as_many_people_in_every_prompt_and_pictures_in_the_share_asked_for(album: Dataset) -> None:
    grounded = Grounded(album, album.split("train"), Data("grounded", recognition=3, attribute=1))
    rng = random.Random(1)
    steps = [grounded.groups(rng, 2, 3) for _ in range(300)]
    crowds = [{len(s.people) for g in step for s in g.samples} for step in steps]
    assert all(len(c) == 1 for c in crowds) and set().union(*crowds) == {1, 2, 3}
    assert sum(bool(step[0].picture) for step in steps) / 300 == pytest.approx(0.75, abs=0.08)
    assert all(len(set(s.people)) == len(s.people) for step in steps for g in step for s in g.samples)


def test_anchored_tokens_are_told_the_traits_of_their_person_and_learn_to_point_at_them(
    data: Path, truth: Truth, tmp_path: Path
) -> None:
    t = a_trainer(data, tmp_path / "run", small(GROUNDED))
    (group,) = t.groups(random.Random(0))[:1]
    packed = pack([group], t.features, t.prompt, t.aligner.config.context_tokens, anchors=t._anchors)
    words = packed.anchors
    assert words is not None and isinstance(t.aligner, AnchoredAligner)
    for row, sample in zip(words, group.samples, strict=True):
        for told, key in zip(row, sample.people, strict=True):
            person = truth.people[key]
            assert [t.prompt.tokenizer.decode([i]).strip() for i in told] == [PHRASES[s][person[s]] for s in SLOTS]
    told = packed.z_ref.flatten(0, 1), words.flatten(0, 1)
    first, _ = t.aligner.extra_loss(*told)
    optimizer = torch.optim.Adam(t.aligner.parameters(), 3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        loss, right = t.aligner.extra_loss(*told)
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * first and right > 0.5


def test_a_run_tells_its_anchors_for_their_share_of_the_steps_and_keeps_going(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    a_trainer(data, out, small(GROUNDED)).run(lambda *_: None)
    log = [json.loads(line) for line in (out / "run" / "aligner.jsonl").read_text().splitlines()]
    assert ["read" in line for line in log] == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.tasks": "grounded", "data.distractors": 0.5}, "data.distractors cannot be 0.5"),
        ({"train.anchor": 0.5}, "train.anchor cannot be 0.5"),
        ({"data.tasks": "free"}, "data.tasks cannot be 'free'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: Mapping[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        small(changes)


def test_a_dataset_that_does_not_tell_what_it_shows_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row | {"truth": ""} for row in read_rows(data, split="train")]
    monkeypatch.setattr("plvm_lab.tasks.ground_truth.read_rows", lambda *_, **__: rows)
    with pytest.raises(RequestError, match="does not tell what its pictures show") as caught:
        read_truth(Dataset(data), "train")
    assert "--generator portraits" in caught.value.hint


def test_samples_are_values(album: Dataset) -> None:
    assert drawn(album, Data("grounded"), 3) == drawn(album, Data("grounded"), 3)
    assert isinstance(drawn(album, Data("grounded"), 1)[0].samples[0], Sample)
