"""The program as a whole: quick help, a reader that leaves, the page of all verbs, progress in lines."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import plvm
from plvm.cli.main import app
from plvm.cli.reference import reference
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell

pytest_plugins = ["family"]
ROOT = Path(__file__).parents[1]


def run(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, **options)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["ask", "--help"], ["mini", "build", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    done = run(
        "import sys; from plvm.cli.main import app\n"
        f"try: app({words})\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'sqlalchemy', 'PIL', 'rich'} & set(sys.modules)\n"
        "print('heavy:', *heavy, file=sys.stderr)"
    )
    assert done.returncode == 0 and done.stdout and done.stderr.strip() == "heavy:", done.stderr


def test_a_reader_that_closes_the_pipe_ends_it_quietly(friends: Shell) -> None:
    code = (
        "from plvm.cli.main import app; import plvm.cli.concepts as c\n"
        "c.table = lambda *_: 'x\\n' * 200_000\n"
        "app(['list'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "x\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_page_of_all_verbs_is_up_to_date() -> None:
    page = ROOT / "docs" / "cli.md"
    assert page.read_text(encoding="utf-8") == reference(), "run `python -m plvm.cli.reference > docs/cli.md`"


def test_version(shell: Shell) -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"plvm {plvm.__version__}\n"


def test_progress_is_told_in_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from plvm.cli import console

    stderr, now = io.StringIO(), [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", stderr)
    with console.progress() as advance:
        for step in range(1, 31):
            now[0] += 1
            advance("steps", step, 30)
        advance("quick", 1, 1)
    assert stderr.getvalue().splitlines() == [
        "steps: 12 of 30 (11 s)",
        "steps: 23 of 30 (22 s)",
        "steps: 30 of 30 (29 s)",
    ]
