"""docs/full-size.md keeps its promises: its commands have those options, its figures are what `plvm cost` counts, and
what it points to is there."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from plvm.cli.cost import _size
from plvm.cli.main import app
from plvm.cost import cost
from plvm.presets import PRESETS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "full-size.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Every `plvm ...` line of the shell blocks, as words."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("plvm ")]


def test_the_commands_have_the_options_that_they_are_given() -> None:
    assert len(commands()) >= 10
    for words in commands():
        command: Any = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
        command.make_context("plvm", list(words[1:]), resilient_parsing=False).close()


@pytest.mark.parametrize("name", ["paper-7b", "released-7b", "paper-13b"])
def test_the_table_is_what_is_counted(name: str) -> None:
    header, _, *rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("|")]
    at = header.index(name)
    facts = cost(PRESETS[name])
    memory = facts["memory"]
    expected = [
        f"{facts['backbone']:,}", f"{facts['aligner_trainable']:,}", f"{facts['encoder']:,}",
        _size(memory["weights"]["bfloat16"]), _size(memory["weights"]["float32"]),
        _size(memory["image_prefix"]), _size(memory["concept"]),
    ]  # fmt: skip
    assert [row[at + 1].strip() for row in rows] == expected


def test_what_it_points_to_is_there() -> None:
    for path in re.findall(r"benchmarks/\w+\.py", PAGE):
        assert (ROOT / path).exists(), path
    for dotted in set(re.findall(r"`(plvm\.[\w.]+)", PAGE)) - {"plvm.load"}:
        module, _, name = dotted.rpartition(".")
        assert hasattr(import_module(module), name) or import_module(dotted), dotted


def test_the_python_is_that_of_the_readme_with_another_folder() -> None:
    block = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
    names = set(re.findall(r"vlm\.(\w+)\(", block))
    import plvm

    assert names == {"enroll", "ask"} and all(hasattr(plvm.Personal, name) for name in names)
