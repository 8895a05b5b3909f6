"""The trainer of Aligners: what it draws, that nothing but the Aligner changes, that a run may be cut and shared, and what
it refuses."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from plvm.cli.main import app
from plvm.config import changed, parse_overrides, read_settings
from plvm.errors import PlvmError, RequestError
from plvm.model.checkpoint import load_aligner
from plvm.prompt import ANSWER, VERDICT, Prompt
from plvm.synth.dataset import MANIFEST, read_rows
from plvm.synth.pipeline import synthesize
from plvm.synth.spec import Spec
from plvm.train import trainer as training
from plvm.train.album import Album, Sentence
from plvm.train.batch import pieces, write_sample
from plvm.train.draw import Group, Sample, Turn, check_split, draw_groups
from plvm.train.features import Cache, Features, fingerprint_of
from plvm.train.memory import peak_bytes
from plvm.train.settings import Data, Settings
from trainer_worker import a_trainer, small

PEOPLE = Spec(identities=16, per_identity=2, seed=5, size=48, shard=8, shares=(0.5, 0.4, 0.1), filters=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "data"
    synthesize(PEOPLE, folder)
    return folder


@pytest.fixture(scope="module")
def album(data: Path) -> Album:
    return Album(data)


def asked(sample: Sample) -> int:
    """The number of the person that the sample's one question is about."""
    (turn,) = sample.turns
    (number,) = set(re.findall(r"<n(\d)>", turn.question))
    return int(number)


def plain(sample: Sample) -> Sentence:
    """The sample's one question as the dataset has it: about <n0>."""
    (turn,) = sample.turns
    return Sentence(*(re.sub(r"<n\d>", "<n0>", text) for text in (turn.question, turn.answer)))


def curve(out: Path) -> list[float]:
    """The training loss, step by step."""
    return [json.loads(line)["total"] for line in (out / "run" / "aligner.jsonl").read_text().splitlines()]


def quiet(stage: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
    pass


def weights(out: Path) -> dict[str, Tensor]:
    return torch.load(out / "run" / "aligner.pt", weights_only=True)["parts"]["aligner"]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that nothing happened to."""
    out = tmp_path_factory.mktemp("train") / "whole"
    a_trainer(data, out, small()).run(quiet)
    return out


# ---- what is drawn


@pytest.mark.parametrize(("p", "recognition", "attribute"), [(0.5, 1.0, 1.0), (0.7, 3.0, 1.0), (0.4, 1.0, 0.0)])
def test_positives_and_kinds_of_questions_come_as_often_as_the_settings_say(
    album: Album, p: float, recognition: float, attribute: float
) -> None:
    settings, rng = Data(p=p, recognition=recognition, attribute=attribute), random.Random(0)
    split = album.split("train")
    groups = [g for _ in range(1500) for g in draw_groups(split, settings, rng, 2, 2)]
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


def test_distractors_are_other_people_in_the_share_of_steps_that_is_asked_for(album: Album) -> None:
    split, rng = album.split("train"), random.Random(0)
    present, counts = dict(split.pictures), Counter[int]()
    for _ in range(600):
        (group,) = draw_groups(split, Data(distractors=0.25), rng, 1, 3)
        counts[len(group.samples[0].people)] += 1
        for s in group.samples:
            others = [x for i, x in enumerate(s.people) if i != asked(s)]
            assert len(set(s.people)) == len(s.people) == len(group.samples[0].people)
            assert not group.picture or not set(present[group.picture]) & set(others)
    assert 1 - counts[1] / 600 == pytest.approx(0.25, abs=0.06) and set(counts) == {1, 2, 3, 4}


def test_friends_who_are_pictured_together_are_all_there_and_never_asked_about_as_absent(tmp_path: Path) -> None:
    spec = dataclasses.replace(PEOPLE, identities=24, per_identity=1, options={"people": [2, 3]})
    synthesize(spec, tmp_path / "friends")
    split, rng = Album(tmp_path / "friends").split("train"), random.Random(0)
    truth = {r["picture"]: set(r["people"]) for r in read_rows(tmp_path / "friends", split="train") if r["name"] == "0"}
    found: dict[str, set[str]] = {}
    for _ in range(200):
        for group in draw_groups(split, Data(attribute=0), rng, 2, 4):
            for s in group.samples:
                person, (turn,) = s.people[asked(s)], s.turns
                assert turn.here == (person in truth[group.picture])
                if turn.here:
                    found.setdefault(group.picture, set()).add(person)
    assert found == truth and max(map(len, truth.values())) >= 2, "everybody in a picture is asked about"


def test_every_recognition_answer_has_its_yes_or_no_marked_for_w_and_nothing_else_is(
    album: Album, prompt: Prompt
) -> None:
    split, rng = album.split("train"), random.Random(1)
    for _ in range(60):
        for group in draw_groups(split, Data(distractors=0.5), rng, 1, 4):
            for s in group.samples:
                tokens = write_sample(prompt, s, 100_000, 4)
                marked = [i for i, kind in zip(tokens.ids, tokens.supervise, strict=True) if kind == VERDICT]
                here = s.turns[0].here
                expected = [] if here is None else [prompt.yes_id if here else prompt.no_id]
                assert marked == expected and tokens.supervise[-1] == ANSWER
                names = [i - 100_000 for i in tokens.ids if 100_000 <= i < 100_000 + len(s.people)]
                assert set(names[len(s.people) :]) <= {asked(s)}, "questions and answers speak of the one asked about"


def test_pieces_and_processes_share_all_groups_and_put_similar_lengths_together(album: Album) -> None:
    groups = draw_groups(album.split("train"), Data(), random.Random(2), 12, 2)
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


# ---- the run


def test_a_run_leaves_an_aligner_folder_with_its_record_and_changes_nothing_frozen(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    t = a_trainer(data, tmp_path / "out", small())
    frozen = [t.backbone.model, t.encoder.model]
    before = [{k: v.clone() for k, v in m.state_dict().items()} for m in frozen]
    start = {k: v.clone() for k, v in t.aligner.state_dict().items()}
    record = t.run(quiet)
    for model, old in zip(frozen, before, strict=True):
        assert not [k for k, v in model.state_dict().items() if not torch.equal(v, old[k])]
    assert not [k for k, v in t.aligner.state_dict().items() if torch.equal(v, start[k]) and "bias" not in k]
    _, template, there = load_aligner(tmp_path / "out")
    assert there == record and template == t.prompt.template
    assert record["content"] == t.album.content and record["train"]["w"] == 20.0
    assert math.isfinite(record["validation"]["loss"]) and record["samples"] == 4 * record["step"]
    assert curve(tmp_path / "out") == curve(whole)


def test_killed_at_a_random_step_and_resumed_it_ends_with_the_same_bits(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    kill_at, out = random.randrange(1, 6), tmp_path / "out"

    def killed(stage: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
        if stage == "train" and step == kill_at + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        a_trainer(data, out, small()).run(killed)
    again = a_trainer(data, out, small())
    assert again.step_of_checkpoint() == kill_at
    again.run(quiet)
    ours, theirs = weights(out), weights(whole)
    assert not [k for k in theirs if not torch.equal(ours[k], theirs[k])], f"killed at {kill_at}"
    for name in ("aligner.safetensors", "training.json"):
        left, right = ((folder / name).read_bytes() for folder in (out, whole))
        assert left == right, name


def test_accumulated_in_pieces_it_has_the_same_loss_curve(data: Path, whole: Path, tmp_path: Path) -> None:
    a_trainer(data, tmp_path / "out", small({"train.accumulate": 2})).run(quiet)
    assert curve(tmp_path / "out") == pytest.approx(curve(whole), rel=1e-5)


@pytest.mark.parametrize("shard", ["", "shard"], ids=["whole backbones", "a backbone spread over both"])
def test_two_processes_have_the_loss_curve_of_one(data: Path, whole: Path, tmp_path: Path, shard: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    shared["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    command = [
        sys.executable,
        str(Path(__file__).with_name("trainer_worker.py")),
        str(data),
        str(tmp_path / "out"),
        shard,
    ]
    workers = [
        subprocess.Popen(command, env={**os.environ, **shared, "RANK": r, "LOCAL_RANK": r}, stderr=subprocess.PIPE)
        for r in "01"
    ]
    for worker in workers:
        said = worker.communicate(timeout=900)[1].decode()
        assert worker.returncode == 0, said
    assert torch.load(tmp_path / "out" / "run" / "aligner.pt", weights_only=True)["step"] == 6
    assert curve(tmp_path / "out") == pytest.approx(curve(whole), rel=1e-5)
    ours, theirs = (torch.cat([v.flatten() for v in weights(f).values()]) for f in (tmp_path / "out", whole))
    assert ((ours - theirs).norm() / theirs.norm()).item() <= 1e-5


def test_it_trains_with_distractors_and_changed_references_too(tmp_path: Path) -> None:
    many = dataclasses.replace(PEOPLE, identities=20, shares=(0.5, 0.5, 0.0))
    synthesize(many, tmp_path / "data")
    changes = {"data.distractors": 0.7, "data.augment": True, "train.steps": 3, "data.validation": 24}
    a_trainer(tmp_path / "data", tmp_path / "one", small(changes)).run(quiet)
    a_trainer(tmp_path / "data", tmp_path / "two", small(changes)).run(quiet)
    assert curve(tmp_path / "one") == curve(tmp_path / "two")
    t = a_trainer(tmp_path / "data", tmp_path / "three", small(changes))
    assert len({len(g.samples[0].people) for groups in t.validation for g in groups}) > 1
    first = t.splits["train"].people[0]
    assert torch.equal(t.features.reference(first, "0/1"), t.features.reference(first, "0/1"))
    assert not torch.equal(t.features.reference(first, "0/1"), t.features.reference(first, "0/2"))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_too(data: Path, whole: Path, tmp_path: Path, precision: str) -> None:
    a_trainer(data, tmp_path / "out", small({"train.precision": precision, "train.steps": 2})).run(quiet)
    found, exact = curve(tmp_path / "out")[0], curve(whole)[0]
    assert found == pytest.approx(exact, rel=0.05) and found != exact


def test_w_weighs_yes_and_no_in_the_loss(data: Path, tmp_path: Path) -> None:
    """One word answers, "Yes." or "No.", have the weights w, 1 and 1: their losses tell w."""
    bare = {}
    for w in (1.0, 20.0, 1e9):
        t = a_trainer(data, tmp_path / str(w), small({"train.w": w}))
        split = t.splits["train"]
        picture, present = split.pictures[0]
        sample = Sample(present, (Turn("Is <n0> here?", "Yes.", True),), (0,))
        with torch.no_grad():
            bare[w] = float(t._measure([Group(picture, (sample,))])[0])
    mean, word = bare[1.0], bare[1e9]
    rest = (3 * mean - word) / 2
    assert bare[20.0] == pytest.approx((20 * word + 2 * rest) / 22, rel=1e-5)


def test_it_stops_when_validation_gets_no_better_and_keeps_the_best(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, 1.0, 3.0, 4.0])
    monkeypatch.setattr(training.Trainer, "validate", lambda self: {"loss": next(losses)})
    t = a_trainer(data, tmp_path / "out", small({"train.steps": 50, "train.validate": 1, "train.patience": 2}))
    assert t.run(quiet)["step"] == 2
    assert t.step_of_checkpoint() == 4
    assert a_trainer(data, tmp_path / "out", t.settings).run(quiet)["step"] == 2, "a stopped run stays stopped"


def test_a_loss_that_is_no_number_ends_the_run_before_the_step_and_the_last_checkpoint_stays(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    t, real = a_trainer(data, tmp_path / "out", small()), training.Trainer.losses

    def broken(self: training.Trainer, step: int, rng: random.Random) -> Any:
        for piece in real(self, step, rng):
            yield {**piece, "total": piece["total"] * (math.nan if step == 3 else 1.0)}

    monkeypatch.setattr(training.Trainer, "losses", broken)
    with pytest.raises(PlvmError, match="at step 4 the loss is nan") as caught:
        t.run(quiet)
    assert "step 3" in caught.value.hint
    assert t.step_of_checkpoint() == 3 and all(v.isfinite().all() for v in weights(tmp_path / "out").values())
    monkeypatch.undo()
    a_trainer(data, tmp_path / "out", small()).run(quiet)
    ours, theirs = weights(tmp_path / "out"), weights(whole)
    assert not [k for k in theirs if not torch.equal(ours[k], theirs[k])]


def test_the_estimate_is_of_this_machine_and_leaves_no_trace(data: Path, whole: Path, tmp_path: Path) -> None:
    t = a_trainer(data, tmp_path / "out", small())
    found = t.estimate()
    assert found.aligner == 16 * sum(p.numel() for p in t.aligner.parameters())
    assert found.frozen > 0 and found.step > 0 and found.seconds == pytest.approx(6 * found.seconds_per_step)
    t.run(quiet)
    assert curve(tmp_path / "out") == curve(whole)


def test_the_meter_counts_what_lives_at_a_time() -> None:
    def chain() -> None:
        x = torch.zeros(1000, requires_grad=True)  # 4,000 bytes; every sine keeps its input, the last result is kept
        for _ in range(5):
            x = x.sin()

    def dropped() -> None:
        x = torch.zeros(1000)
        for _ in range(5):
            x = x.sin()

    assert peak_bytes(chain) == 6 * 4000
    assert peak_bytes(dropped) == 2 * 4000


# ---- frozen features


def test_cached_features_are_the_fresh_ones_and_the_models_are_not_asked_again(
    data: Path, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = a_trainer(data, tmp_path / "out", small())
    split, cache = t.splits["train"], Cache(tmp_path / "cache", 1e9)
    fresh, kept = t.features, Features(t.backbone, t.encoder, t.album, cache)
    people, pictures = split.people[:3], [key for key, _ in split.pictures[:3]]
    for _ in range(2):
        for person in people:
            assert torch.equal(kept.reference(person), fresh.reference(person))
        for key in pictures:
            a, b = kept.image_tokens(key), fresh.image_tokens(key)
            assert a.ids == b.ids and a.advance == b.advance
            assert torch.equal(a.rows, b.rows) and torch.equal(a.places, b.places)
    assert (cache.hits, cache.misses) == (6, 6)
    monkeypatch.setattr(t.encoder, "features", None)
    again = Features(t.backbone, t.encoder, t.album, Cache(tmp_path / "cache", 1e9))
    assert again.reference(people[0]).isfinite().all()
    with pytest.raises(TypeError):
        again.reference(people[0], augment="1")  # a changed copy is another picture


def test_a_run_with_cached_features_is_the_run_without(data: Path, whole: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        a_trainer(data, tmp_path / name, small(), cache=tmp_path / "cache").run(quiet)
        ours, theirs = weights(tmp_path / name), weights(whole)
        assert not [k for k in theirs if not torch.equal(ours[k], theirs[k])]


def test_the_cache_stays_in_its_size_and_computes_anew_what_is_damaged(tmp_path: Path) -> None:
    cpu, values = torch.device("cpu"), {"x": torch.arange(100.0)}
    cache = Cache(tmp_path, 900)
    for i in range(5):
        cache.get(f"who/{i:064}", lambda: values, cpu)
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert len(files) == 2, "two of 400 bytes fit"
    files[0].write_bytes(b"half a fi")
    found = Cache(tmp_path, 900).get(f"who/{0:064}", lambda: values, cpu)
    assert torch.equal(found["x"], values["x"])


def test_another_model_or_other_preprocessing_has_another_fingerprint(data: Path, tmp_path: Path) -> None:
    t = a_trainer(data, tmp_path / "out", small())
    model, processor = t.encoder.model, t.encoder.image_processor
    first = fingerprint_of(model, processor)
    assert fingerprint_of(model, t.backbone.image_processor) != first
    with torch.no_grad():
        next(model.parameters()).flatten()[0] += 1
    assert fingerprint_of(model, processor) != first
    with torch.no_grad():
        next(model.parameters()).flatten()[0] -= 1


# ---- settings and refusals


def test_settings_come_from_the_file_and_the_command_line_on_top(tmp_path: Path) -> None:
    toml, js = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_text('[train]\nw = 5\nlr = 1e-3\n[aligner]\narchitecture = "released"\n')
    js.write_text('{"train": {"w": 5, "lr": 1e-3}, "aligner": {"architecture": "released"}}')
    assert read_settings(toml) == read_settings(js)
    found = changed(
        Settings(), read_settings(toml) | parse_overrides(["train.w=2.5", "aligner.K=8", "data.augment=true"])
    )
    assert (found.train.w, found.train.lr, found.aligner.K, found.data.augment) == (2.5, 1e-3, 8, True)
    assert found.aligner.architecture == "released" and found.train.steps == Settings().train.steps


def test_the_defaults_are_the_papers() -> None:
    s = Settings()
    assert (s.train.lr, s.train.optimizer, s.train.pictures, s.train.w) == (1e-4, "adamw", 2, 20.0)
    assert (s.data.p, s.data.recognition / s.data.attribute, s.aligner.K, s.aligner.architecture) == (
        0.5,
        1,
        16,
        "paper",
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("train.stepz=5", 'no setting "train.stepz"', "Did you mean train.steps?"),
        ("trian.w=5", 'no setting "trian.w"', "Did you mean train.w?"),
        ("aligner.k=5", 'no setting "aligner.k"', "Did you mean aligner.K?"),
        ("w=5", 'no setting "w"', "Did you mean train.w?"),
        ("train.w", "no setting", "section.key=value"),
        ("train.w=heavy", 'train.w cannot be "heavy"', "a number"),
        ("train.steps=2.5", "train.steps cannot be 2.5", "a whole number"),
        ("train.w=-1", "train.w cannot be -1.0", "more than 0"),
        ("train.w=NaN", "train.w cannot be nan", "more than 0"),
        ("data.p=1.5", "data.p cannot be 1.5", "0 to 1"),
        ("train.precision=fp8", "train.precision cannot be 'fp8'", "bf16"),
        ("aligner.architecture=lora", "aligner.architecture cannot be 'lora'", "anchored"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_right_one_named(text: str, message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        changed(Settings(), parse_overrides([text]))
    assert message in caught.value.message and hint in caught.value.hint


def test_another_preset_another_dataset_or_other_settings_cannot_continue_a_run(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    synthesize(dataclasses.replace(PEOPLE, seed=6), other)
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("model 'toy'; this one has 'paper-7b'", lambda: a_trainer(data, whole, small(), model="paper-7b")),
        ("train.w 20.0; this one has 5.0", lambda: a_trainer(data, whole, small({"train.w": 5.0}))),
        ("content ", lambda: a_trainer(other, whole, small())),
    ]
    for message, start in cases:
        with pytest.raises(RequestError, match=r"holds a run with") as caught:
            start()
        assert message in caught.value.message


def test_a_dataset_of_another_format_an_empty_split_and_no_dataset_are_refused(data: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    for file in data.iterdir():
        (newer / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((data / MANIFEST).read_text())
    manifest["spec"]["format"] = 99
    (newer / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RequestError, match="format 99; this plvm reads format 2"):
        Album(newer)
    with pytest.raises(RequestError, match="cannot be read"):
        Album(tmp_path / "nothing")
    synthesize(dataclasses.replace(PEOPLE, identities=4, shares=(1.0, 0.0, 0.0)), tmp_path / "bare")
    with pytest.raises(RequestError, match='no pictures in its split "val"'):
        a_trainer(tmp_path / "bare", tmp_path / "out", small())


def test_a_split_that_lacks_what_is_drawn_is_refused(album: Album) -> None:
    split = album.split("train")
    for changes, settings, message in (
        ({"attributes": ()}, Data(), "no questions about attributes"),
        ({"no": ()}, Data(), "lacks No answers"),
        ({"people": split.people[:1]}, Data(), "has 1 people; 2 are needed"),
        ({"people": split.people[:4]}, Data(distractors=0.1), "has 4 people; 5 are needed"),
    ):
        with pytest.raises(RequestError, match=message):
            check_split(dataclasses.replace(split, **changes), settings)
    check_split(dataclasses.replace(split, attributes=()), Data(attribute=0.0))


def test_what_is_not_installed_and_a_folder_of_something_else_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match='tracker "wandbb" is not installed'):
        a_trainer(data, tmp_path / "out", small({"train.trackers": "wandbb"}))
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RequestError, match="holds no training run"):
        a_trainer(data, tmp_path, small())
    monkeypatch.setattr("plvm.train.team.has_package", lambda name: False)
    with pytest.raises(RequestError, match="needs accelerate") as caught:
        a_trainer(data, tmp_path / "out", small())
    assert 'pip install "plvm[train]"' in caught.value.hint


def test_the_command_trains_between_the_parts_of_a_model_folder_and_tells_before_what_it_takes(
    data: Path, family: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    import plvm

    command = [
        "train", str(data), "train.steps=2", "train.packs=2", "train.report=1", "data.validation=4", "aligner.K=3",
        "--out", str(tmp_path / "out"), "--model", str(family), "--device", "cpu", "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "Memory: frozen parts" in done.stderr and "s a step" in done.stderr
    record = json.loads(done.stdout)
    assert record["model"] == str(family) and record["aligner"]["K"] == 3
    assert list((tmp_path / "out" / "run").rglob("events.out.tfevents*")), "TensorBoard's log"
    vlm = plvm.load(tmp_path / "out", device="cpu")
    assert vlm.aligner.config.context_tokens == 3 and vlm.aligner.config.architecture == "paper"
    again = CliRunner().invoke(app, [*command, "--config", str(tmp_path / "none.toml")])
    assert again.exit_code == 2 and "none.toml cannot be read" in again.stderr
    shown = CliRunner().invoke(app, ["train", str(data), "train.w=3", "--out", "x", "--show"])
    assert shown.exit_code == 0 and "train.w = 3.0" in shown.stdout


from family import family as family  # noqa: E402
