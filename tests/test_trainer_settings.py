"""The trainer's settings, from a file and the command line, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from family import family as family
from plvm.cli.main import app
from plvm.config import changed, parse_overrides, read_settings
from plvm.data.dataset import Dataset
from plvm.data.manifest import MANIFEST
from plvm.errors import RequestError
from plvm.train.settings import Data, Settings
from plvm.train.tasks import check_split
from plvm_lab.synth.pipeline import synthesize
from trained import PEOPLE
from trained import album as album
from trained import data as data
from trained import whole as whole
from trainer_worker import a_trainer, small


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
        Dataset(newer)
    with pytest.raises(RequestError, match="cannot be read"):
        Dataset(tmp_path / "nothing")
    synthesize(dataclasses.replace(PEOPLE, identities=4, shares=(1.0, 0.0, 0.0)), tmp_path / "bare")
    with pytest.raises(RequestError, match='no pictures in its split "val"'):
        a_trainer(tmp_path / "bare", tmp_path / "out", small())


def test_a_split_that_lacks_what_is_drawn_is_refused(album: Dataset) -> None:
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
    monkeypatch.setattr("plvm.train.processes.has_package", lambda name: False)
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
