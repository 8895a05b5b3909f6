"""Calibrating from a dataset and for a build, on an untrained miniature of the real thing; and measuring what comes of it."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

import torch

import plvm
from plvm.data.dataset import Dataset
from plvm.data.spec import Spec
from plvm.train.calibrating import calibration_of
from plvm_lab.families.mini.crowd import Crowd, calibrate
from plvm_lab.synth.pipeline import synthesize
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]
RUNS = Path(__file__).parents[1] / "research" / "runs"
PEOPLE = Spec(identities=50, per_identity=2, seed=5, size=48, shard=10, shares=(0.08, 0.84, 0.08), filters=False)


@pytest.fixture
def own(family: Path, tmp_path: Path) -> Path:
    """A copy of the miniature that may be written to."""
    return shutil.copytree(family.parent, tmp_path / "own") / "aligner"


def test_calibrate_writes_verdicts_beside_the_weights_and_the_fingerprint_stays(
    friends: Shell, own: Path, load_once: Any
) -> None:
    synthesize(PEOPLE, Path("data"))
    before = load_once(str(own)).fingerprint
    found = json.loads(friends("calibrate", "data", "--model", str(own), "--json"))
    assert found["people"] == 21 and found["pictures"] == 42
    load_once.cache_clear()
    vlm = load_once(str(own))
    assert vlm.fingerprint == before and vlm.calibration.verdicts.calibrated and vlm.calibration.reader is not None
    assert json.loads(friends("who", "party.png", "--json", model=own))["calibrated"] is True
    assert "calibrated" not in friends.err


def test_where_the_reader_is_known_thresholds_are_fitted_on_pictures_of_nobody_too(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesize(PEOPLE, tmp_path / "data")
    vlm, dataset = plvm.load(own), Dataset(tmp_path / "data")
    concept = vlm.tokens_of([[picture(1)]])[0]
    known = torch.eye(vlm.backbone.width)[:, : len(concept.key)]
    monkeypatch.setattr(type(vlm.backbone.family), "key_weight", lambda _: known)
    told, split = list[tuple[str, int, int]](), dataset.split("val")
    loose, strict = (calibration_of(vlm, dataset, split, rare=rare, report=lambda *a: told.append(a)) for rare in (0.4, 0.001))
    assert told[-1] == ("pictures judged", 84, 84) and not any(what == "pictures read" for what, _, _ in told)
    assert strict.verdicts.pictures == 42 and strict.verdicts.yes[0] > loose.verdicts.yes[0]


def test_calibrate_refuses_what_it_cannot_use(friends: Shell, own: Path) -> None:
    synthesize(Spec(**{**vars(PEOPLE), "identities": 12}), Path("few"))
    assert "too few" in friends.refuses("calibrate", "few", "--model", str(own))[0]
    assert "no folder of an Aligner" in friends.refuses("calibrate", "few", "--model", "mini")[0]


def test_a_crowd_is_the_same_every_time_and_says_who_is_in_its_pictures() -> None:
    crowd = Crowd(30, 3)
    scenes = [crowd.scene(i, 10, 20) for i in range(20)]
    assert scenes == [Crowd(30, 3).scene(i, 10, 20) for i in range(20)]
    for scene, present in scenes:
        assert set(present) <= set(range(10, 20))
        assert {i for i in range(30) if scene.find(crowd.person(i)) is not None} == set(present)
    assert {len(present) for _, present in scenes} >= {0, 1, 2}
    assert not {crowd.person(i) for i in range(30)} & {Crowd(30, 3, "test").person(i) for i in range(30)}


@pytest.mark.slow
def test_a_build_of_the_smallest_scale_has_people_and_pictures_enough(own: Path) -> None:
    found = calibrate(plvm.load(own), people=80, pictures=120)
    assert found.verdicts.pictures >= 40 and found.verdicts.people >= 35


@pytest.mark.slow
def test_scripts_calibrate_and_measure(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(script: str, *words: Any) -> None:
        monkeypatch.setattr(sys, "argv", [script, "--model", str(own), *map(str, words)])
        runpy.run_path(str(RUNS / script), run_name="__main__")

    monkeypatch.setattr(sys, "path", [*sys.path])
    run("calibrate.py", "--people", 80, "--pictures", 120)
    out = tmp_path / "r.json"
    run("roll_call.py", "--people", 12, "--counts", 1, 10, "--pictures", 6, "--before", 3, "--out", out)
    found = json.loads(out.read_text())
    assert list(found["enrolled"]) == ["1", "10"] and found["n"] == 6 and found["calibration"]["pictures"] > 40
    for ways in found["enrolled"].values():
        assert ways["before"]["false"]["n"] == 3 and ways["after"]["false"]["n"] == 6
    assert len(found["tables"][0]["rows"]) == 4
