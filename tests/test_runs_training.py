"""The scripts of the paper's tables: each trains its arms, measures them and keeps what is done."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("accelerate")

from family import family as family
from plvm.data.spec import Spec
from plvm_lab.synth.pipeline import synthesize

RUNS = Path(__file__).parents[1] / "research" / "runs"
SCRIPTS = {
    "table2_w": "w=1,w=20",
    "table3_k": "K=8",
    "table5_p": "p=0.7",
    "distractors": "distractors=1.0",
    "position": "definitions-first",
    "crossing": "bounded-paper",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "data"
    spec = Spec(identities=16, per_identity=2, seed=5, size=48, shard=8, shares=(0.5, 0.4, 0.1), filters=False)
    synthesize(spec, folder)
    return folder


def run(script: str, data: Path, family: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    out = work / "result.json"
    command = [f"runs/{script}.py", str(data), "train.packs=2", "data.validation=4", "--arms", SCRIPTS[script]]
    command += ["--steps", "1", "--small", "--model", str(family), "--work", str(work), "--out", str(out)]
    monkeypatch.syspath_prepend(RUNS)
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(str(RUNS / f"{script}.py"), run_name="__main__")
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    "script", [s if s == "table3_k" else pytest.param(s, marks=pytest.mark.slow) for s in SCRIPTS]
)
def test_it_trains_its_arms_and_writes_them_beside_published_figures(
    data: Path, family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    found = run(script, data, family, tmp_path, monkeypatch)
    assert {"command", "commit", "machine"} <= set(found) and found["benchmark"] == "small"
    assert [r["arm"] for r in found["rows"]] == SCRIPTS[script].split(",")
    for row in found["rows"]:
        assert set(row["recognition"]) >= {"positive", "negative", "mean"} and row["n"] == 216
        assert (row["published"] is not None) == script.startswith("table")
    (table,) = found["tables"]
    assert len(table["rows"]) == len(found["charts"][0]["bars"]) == len(found["rows"])
    assert found.get("place", "") == (f"Table {script[5]}" if script.startswith("table") else "")
    if script == "table2_w":
        assert [r["settings"]["train.w"] for r in found["rows"]] == [1.0, 20.0]
        trained = sorted(tmp_path.glob("*/run/aligner.pt"))
        before = [path.stat().st_mtime_ns for path in trained]
        assert run(script, data, family, tmp_path, monkeypatch)["rows"] == found["rows"]
        assert len(before) == 2 and [path.stat().st_mtime_ns for path in trained] == before, (
            "what is done is not done again"
        )
