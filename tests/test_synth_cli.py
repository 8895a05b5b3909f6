"""The verbs that make, show and check a dataset, and their mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

from plvm.cli.main import app
from plvm.data.spec import SPLITS


def test_the_verbs_make_show_and_check_a_dataset(tmp_path: Path) -> None:
    run, data = CliRunner(), str(tmp_path / "d")
    done = run.invoke(
        app, ["synth", "--identities", "4", "--per-identity", "2", "--size", "48", "--no-filters", "--out", data]
    )
    assert done.exit_code == 0 and done.stdout.strip() == data and "images/s" in done.stderr
    assert run.invoke(app, ["synth", "show", data, "--out", str(tmp_path / "s.png")]).exit_code == 0
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 3 * 160 and sheet.height > 4 * 160
    assert run.invoke(app, ["synth", "show", data, "--out", str(tmp_path / "s.html")]).exit_code == 0
    page = (tmp_path / "s.html").read_text()
    assert page.count("<img") == 12 and "p000003" in page
    assert run.invoke(app, ["synth", "check", data]).exit_code == 0
    together = run.invoke(
        app,
        ["synth", "--identities", "4", "--people", "2", "--size", "48", "--no-filters", "--json", "--out", data + "2"],
    )
    assert together.exit_code == 0 and sum(json.loads(together.stdout)["counts"][s]["pictures"] for s in SPLITS) == 14
    nobody = run.invoke(app, ["synth", "show", data, "--rejected"])
    assert nobody.exit_code == 2 and "nobody to show" in nobody.stderr


def test_mistakes_on_the_command_line_are_two_lines(tmp_path: Path) -> None:
    run = CliRunner()
    for words in (
        ["synth", "--generator", "gan", "--out", str(tmp_path / "a")],
        ["synth", "--identities", "3"],
        ["synth", "show", str(tmp_path / "nothing")],
        ["synth", "import", str(tmp_path / "nothing"), "--out", str(tmp_path / "b"), "--no-filters"],
        ["synth", "--generator", "ip-adapter", "--out", str(tmp_path / "c")],
        ["synth", "prompts", "--count", "1000000"],
        ["synth", "--people", "1-4", "--out", str(tmp_path / "d")],
        ["synth", "--people", "1-5", "--no-filters", "--out", str(tmp_path / "e")],
        ["synth", "--people", "many", "--no-filters", "--out", str(tmp_path / "f")],
        ["synth", "--steps", "20", "--out", str(tmp_path / "g")],
        ["synth", "--scale", "0", "--out", str(tmp_path / "g")],
        ["synth", "--generator", "ip-adapter", "--people", "2", "--out", str(tmp_path / "h")],
    ):
        done = run.invoke(app, words)
        assert done.exit_code == 2 and done.stderr.startswith("Error:") and len(done.stderr.splitlines()) == 2, words
