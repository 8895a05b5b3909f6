"""The scripts of the paper's tables run from end to end, small, and write what they promise."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from family import write_family
from plvm.errors import RequestError
from plvm_lab.cli.evaluate import settings_in

RUNS = Path(__file__).parents[1] / "research" / "runs"
QUICK = (
    "epochs=1",
    "batch=8",
    "positive=2",
    "hard=1",
    "others=1",
    "looks=0",
    "steps=0",
    "negatives=2",
    "context_tokens=2",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("family"))


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: Any) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(RUNS / script), run_name="__main__")


def test_table_6_compares_enrolment_in_one_run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "table6.json"
    run(monkeypatch, "table6.py", "--model", model, "--small", "--people", 1, "--out", out,
        "--accuracy", tmp_path / "none.json", "--set", *QUICK, "threshold=0.5")  # fmt: skip
    found = json.loads(out.read_text())
    rows = {row["system"]: row for row in found["rows"]}
    assert list(rows) == ["plvm", "myvlm", "yollava"] and found["n"] == 1 and found["command"]
    for row in rows.values():
        assert row["enroll_seconds"] > 0 and row["enroll_bytes"] > 0
        assert row["times_plvm"] == pytest.approx(row["enroll_seconds"] / rows["plvm"]["enroll_seconds"], rel=0.1, abs=0.05)


@pytest.mark.slow
def test_table_1_has_a_row_per_system_and_keeps_those_of_earlier_runs(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "table1.json"
    for systems in (("plvm", "llava"), ("embedding",)):
        run(monkeypatch, "table1.py", "--model", model, "--small", "--systems", *systems,
            "--work", tmp_path / "work", "--out", out)  # fmt: skip
    rows = {row["system"]: row for row in json.loads(out.read_text())["rows"]}
    assert list(rows) == ["plvm", "llava", "embedding"]
    assert set(rows["plvm"]["recognition"]) == {"positive", "negative", "mean", "auc"}
    assert rows["plvm"]["controls"]["visual_qa"].keys() >= {"constant", "no_image", "no_reference", "other_reference"}
    assert rows["embedding"]["text_qa"] is None and rows["plvm"]["published"]["mean"] == 81.6
    assert rows["plvm"]["enroll_seconds"] > 0


def test_settings_are_json_or_text() -> None:
    assert settings_in(["a=1", "b=x", "c=null", 'd={"e": 2}', "f=1e-3"]) == {
        "a": 1, "b": "x", "c": None, "d": {"e": 2}, "f": 0.001,
    }  # fmt: skip
    with pytest.raises(RequestError, match="no setting"):
        settings_in(["epochs"])
