"""The benchmark of training: one row per case, equal gradients, and a last line for machines."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from plvm.cli.main import app


def test_its_last_line_is_json_with_a_row_for_every_case(tmp_path: Path) -> None:
    command = ["bench", "train", "--image-tokens", "16", "--packs", "1", "--packs", "4", "--rounds", "1", "--json"]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "result.json")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == json.loads((tmp_path / "result.json").read_text())
    assert [(r["image_tokens"], r["m"]) for r in found["rows"]] == [(16, 1), (16, 4)]
    for row in found["rows"]:
        assert 0 < row["max_gradient_difference"] <= 1e-5, "computed in two ways, and the same"
        assert row["speedup"] > 0 and row["naive_per_s"] > 0 and row["shared_per_s"] > 0
    assert found["rows"][1]["peak_memory_ratio"] < 1
    assert found["n"] == 1 and {"command", "commit", "seed", "machine"} <= set(found)


def test_a_picture_that_is_no_square_is_refused() -> None:
    done = CliRunner().invoke(app, ["bench", "train", "--image-tokens", "60"])
    assert done.exit_code == 2 and "no square" in done.stderr
