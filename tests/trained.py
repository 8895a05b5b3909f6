"""A small dataset, a run of the trainer on it that nothing happened to, and what is read off a run: for the tests of the
trainer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from plvm.data.dataset import Dataset
from plvm.data.spec import Spec
from plvm_lab.synth.pipeline import synthesize
from trainer_worker import a_trainer, small

PEOPLE = Spec(identities=16, per_identity=2, seed=5, size=48, shard=8, shares=(0.5, 0.4, 0.1), filters=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "data"
    synthesize(PEOPLE, folder)
    return folder


@pytest.fixture(scope="module")
def album(data: Path) -> Dataset:
    return Dataset(data)


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
