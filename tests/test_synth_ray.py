"""A Ray cluster gives the same dataset as one process; where there is none, nothing is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

from plvm.cli.main import app
from plvm.data.shards import QUESTIONS
from plvm.data.spec import Spec
from plvm_lab.synth.pipeline import synthesize

SMALL = Spec(identities=8, per_identity=2, seed=5, size=48, shard=2, shares=(0.5, 0.25, 0.25), filters=False)
WORDS = ["synth", "--identities", "4", "--size", "48", "--shard", "1", "--no-filters"]


def test_without_ray_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    done = CliRunner().invoke(app, [*WORDS, "--out", str(tmp_path / "d"), "--ray", "auto"])
    assert done.exit_code == 2 and done.stderr.splitlines()[-2:] == [
        "Error: --ray needs Ray.", 'Install it with: pip install "plvm[ray]"'
    ]  # fmt: skip


@pytest.mark.slow
def test_where_no_cluster_answers_the_error_names_the_address_and_what_was_finished_stays(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    folder, run = tmp_path / "d", CliRunner()
    assert run.invoke(app, [*WORDS, "--out", str(folder)]).exit_code == 0
    (folder / "manifest.json").unlink()
    (folder / f"train-00001{QUESTIONS}").unlink()
    before = {f: f.read_bytes() for f in folder.iterdir()}
    done = run.invoke(app, [*WORDS, "--out", str(folder), "--ray", "127.0.0.1:1", "--workers", "2"])
    assert done.exit_code == 2, done.output
    told, hint = done.stderr.splitlines()[-2:]
    assert told.startswith("Error: There is no Ray cluster at 127.0.0.1:1") and "--ray" in hint
    assert {f: f.read_bytes() for f in folder.iterdir()} == before
    assert run.invoke(app, [*WORDS, "--out", str(folder)]).exit_code == 0


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_the_same_content_as_one_process(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    here = synthesize(SMALL, tmp_path / "here")
    there = synthesize(SMALL, tmp_path / "there", workers=2, ray="local")
    assert there.content == here.content and there.counts == here.counts
