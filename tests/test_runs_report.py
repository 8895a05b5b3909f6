"""The scripts that make tables and figures run from end to end, in small, and write what they promise."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["family"]

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a script on the miniature model in an empty folder; returns what its result file says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def go(script: str, *words: str, out: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [script, "--model", str(family), *words])
        sys.path.insert(0, str((ROOT / script).parent))
        runpy.run_path(str(ROOT / script), run_name="__main__")
        found = json.loads((tmp_path / out).read_text())
        assert found["command"].startswith("python ") and found["versions"]["torch"] and found["n"]
        return found

    return go


def test_table_8_is_measured_on_a_folder_in_yollavas_layout(run: Any, tmp_path: Path) -> None:
    words = ("--small", "--parts", "recognition", "text_qa", "--out", "t8.json")
    found = run("runs/table8.py", *words, out="t8.json")
    summary = found["systems"]["plvm"]
    assert summary["suite"] == "yollava" and found["n"] == 6 * 36 == summary["timing"]["recognition"]["n"]
    assert summary["text_qa"]["accuracy"]["n"] == 18 and found["paper"]["PLVM"]["mean"] == 86.2
    assert set(summary["benchmark"]["defects"]) <= {"not-the-papers-size", "shared-picture", "skewed-key"}
    folder = next((tmp_path / "build").rglob("train"))
    assert len(list(folder.iterdir())) == 6


def test_figure_4_is_a_dialogue_that_four_people_join(run: Any, tmp_path: Path) -> None:
    found = run("runs/figure4.py", "--out", "f4", out="f4/figure4.json")
    said = found["dialogue"]["systems"]["plvm"]
    assert [turn["joins"] for turn in said] == ["billie", "robin", "kai", "noel"]
    assert all(f"<{turn['joins']}>" in turn["question"] and turn["truth"] for turn in said)
    page = (tmp_path / "f4" / "index.html").read_text()
    assert page.count("data:image/webp") == 5 and "http" not in page


def test_recognition_is_measured_against_the_number_of_enrolled_people(run: Any) -> None:
    words = ("--small", "--counts", "1", "3", "--pictures", "4", "--out", "e.json")
    found = run("benchmarks/enrolled.py", *words, out="e.json")["enrolled"]
    assert (
        found["1"]["found"]["value"] == 1 and found["1"]["times_as_long"] == 1 and found["1"]["false_alarms"]["n"] == 0
    )
    assert found["3"]["false_alarms"]["n"] == 8 and found["3"]["found"]["n"] == 4


def test_recognition_is_measured_with_one_two_and_four_references(run: Any) -> None:
    found = run("benchmarks/references.py", "--small", "--out", "r.json", out="r.json")["references"]
    assert set(found) == {"1", "2", "4"} and found["1"]["gained"]["value"] == 0
    assert found["2"]["auc"] != found["1"]["auc"] or found["4"]["auc"] != found["1"]["auc"]
