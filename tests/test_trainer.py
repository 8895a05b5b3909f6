"""The trainer's run: nothing but the Aligner changes, it may be cut and shared, and it ends as it should."""

from __future__ import annotations

import dataclasses
import math
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from plvm.errors import PlvmError
from plvm.model.checkpoint import FAMILIARITY, load_aligner, load_familiarity
from plvm.train import trainer as training
from plvm.train.memory import peak_bytes
from plvm.train.tasks import Group, Sample, Turn
from plvm_lab.synth.pipeline import synthesize
from trained import PEOPLE, curve, quiet, weights
from trained import data as data
from trained import whole as whole
from trainer_worker import a_trainer, small


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
    assert record["content"] == t.dataset.content and record["train"]["w"] == 20.0
    assert math.isfinite(record["validation"]["loss"]) and record["samples"] == 4 * record["step"]
    assert curve(tmp_path / "out") == curve(whole)


def test_a_run_ends_with_a_familiarity_of_its_dataset_and_fits_it_once(data: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    file, told = out / FAMILIARITY, list[tuple[str, int, int]]()
    bits = file.read_bytes()
    a_trainer(data, out, small()).run(lambda stage, done, of, _: told.append((stage, done, of)))
    assert not told
    file.unlink()  # as if it had been interrupted there
    t = a_trainer(data, out, small())
    t.run(lambda stage, done, of, _: told.append((stage, done, of)))
    assert file.read_bytes() == bits and {stage for stage, _, _ in told} == {"familiarity"} and told[-1][1] == told[-1][2]
    found = load_familiarity(out)
    assert found is not None
    seen = t.backbone.image_tokens(t.backbone.pixels([t.dataset.image(key) for key, _ in t.splits["train"].pictures]))
    near = found.queries.scores(torch.stack([own.glance for own in seen if own.glance is not None]))
    assert sorted(near)[len(near) // 2] < 1 and "plvm train" in found.warning({"photo.jpg": 2.0})


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


@pytest.mark.slow
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
