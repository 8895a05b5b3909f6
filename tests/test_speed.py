"""The benchmarks' scripts in miniature: every part runs and writes its file; on a GPU the same steps run at full size."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "research" / "benchmarks"


def run(script: str, *words: str) -> None:
    """Run a script of the benchmarks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        patch.setattr(sys, "argv", [script, *words])
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")


def read(file: Path) -> dict[str, Any]:
    """A result file."""
    found: dict[str, Any] = json.loads(file.read_text())
    assert found["commit"] and found["n"] and found["tables"]
    return found


@pytest.mark.slow
def test_speed_writes_a_file_for_each_part_and_leaves_what_is_there(tmp_path: Path) -> None:
    small = ("--rounds", "1", "--short", "--out", str(tmp_path))
    (tmp_path / "speed_start.json").write_text("there")
    (tmp_path / "speed_serve.json").write_text("there")
    run("speed.py", *small)
    assert (tmp_path / "speed_start.json").read_text() == "there"
    for part in ("enroll", "score", "chat", "generate"):
        rows = read(tmp_path / f"speed_{part}.json")["rows"]
        assert {row["subject"] for row in rows} == {"mini", "toy"} and all(row["ratio"] > 0 for row in rows)
    score = read(tmp_path / "speed_score.json")["rows"]
    assert max(row["difference"] for row in score) < 1e-5, "the probabilities of the naive way"


@pytest.mark.slow
def test_what_runs_on_a_gpu_runs_in_miniature_on_a_cpu(tmp_path: Path) -> None:
    run("gpu.py", "--tiny", "--device", "cpu", "--tests", "on_a_gpu and encoder", "--out", str(tmp_path))
    found = read(tmp_path / "gpu_checks.json")
    assert len(found["tests"]) >= 4 and set(found["tests"].values()) <= {"skipped", "passed"}
    assert set(found["bench"]) == {"score", "generate", "chat", "train"}
    assert set(found["seconds"]) == {"tests", "full_size", "bench"}
    assert read(tmp_path / "full_size.json")["preset"] == "paper-7b, in miniature"


@pytest.mark.slow
def test_number_formats_are_timed_in_turn_and_their_answers_compared(tmp_path: Path) -> None:
    out = tmp_path / "formats.json"
    run("number_formats.py", "--subjects", "mini", "toy", "--small", "--rounds", "1", "--work", str(tmp_path), "--out", str(out))
    found = read(out)
    assert {row["subject"] for row in found["times"]} == {"mini", "toy"}
    for row in found["answers"]:
        assert row["same"]["float32, torch"] == row["same"]["float32"] == row["n"], "rounding elsewhere changes no answer"
        assert row["same"]["bfloat16"] >= 0.9 * row["n"]


def test_growth_is_measured_beside_what_the_shapes_say_and_the_fleets_arithmetic_holds(tmp_path: Path) -> None:
    out, drawn = tmp_path / "growth.json", tmp_path / "growth.svg"
    run("growth.py", "--subject", "toy", "--short", "--rounds", "1", "--out", str(out), "--picture", str(drawn))
    found = read(out)
    assert len(found["curves"]) == drawn.read_text().count("seconds</text>") == 5
    one, four = found["curves"]["people in a picture"]
    assert one["predicted"] < four["predicted"] < 4 * one["predicted"], "a picture is looked at once"
    assert all(p["seconds"] > 0 for points in found["curves"].values() for p in points)
    fleet = found["fleet"]
    told = {what: (much, sum_) for what, much, sum_ in fleet["lines"]}
    concept = 4 * (18 * 4096 + 768)
    assert told["concepts in the store"][0] == f"{fleet['users'] * fleet['people'] * concept / 1e12:.1f} TB"
    assert f"{concept:,} bytes" in told["concepts in the store"][1]
