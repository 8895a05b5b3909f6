"""docs/full-size.md keeps its promises: its commands have those options, its figures are what `plvm cost` counts, and
what it points to is there."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from plvm.cli.main import app
from plvm.presets import PRESETS
from plvm_lab.cli.cost import _size
from plvm_lab.measure.cost import cost

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "full-size.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Every `plvm ...` line of the shell blocks, as words."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("plvm ")]


def table_under(words: str) -> list[list[str]]:
    """The rows of the first table after `words`, without the rule under its header."""
    lines = PAGE.partition(words)[2].splitlines()
    table = itertools.takewhile(lambda line: line.startswith("|"), itertools.dropwhile(lambda x: x[:1] != "|", lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for i, line in enumerate(table) if i != 1]


def test_the_commands_have_the_options_that_they_are_given() -> None:
    assert len(commands()) >= 10
    for words in commands():
        command: Any = typer.main.get_command(app).commands[words[0]]  # type: ignore[attr-defined]
        command.make_context("plvm", list(words[1:]), resilient_parsing=False).close()


@pytest.mark.parametrize("name", ["paper-7b", "released-7b", "paper-13b"])
def test_the_table_is_what_is_counted(name: str) -> None:
    header, *rows = table_under("What it needs")
    at = header.index(name)
    facts = cost(PRESETS[name])
    memory = facts["memory"]
    expected = [
        f"{facts['backbone']:,}", f"{facts['aligner_trainable']:,}", f"{facts['encoder']:,}",
        _size(memory["weights"]["bfloat16"]), _size(memory["weights"]["float32"]),
        _size(memory["image_prefix"]), _size(memory["concept"]),
    ]  # fmt: skip
    assert [row[at] for row in rows] == expected


def test_the_times_are_those_of_the_result_file() -> None:
    found = json.loads((ROOT / "research" / "results" / "full_size.json").read_text())
    ms, train = found["prefill"]["milliseconds"], found["train"]["samples_per_second"]
    parts = ("enrol", "prefill", "decode", "score", "train")
    expected = [
        f"{found['enrol']['encoder_and_aligner_ms']:.1f} ms", f"{found['enrol']['milliseconds']['picture_to_tokens']:.1f} ms",
        f"{found['enrol']['pictures_per_second']:.0f} a second",
        f"{ms['image_prefix']:.0f} ms", f"{ms['question']:.0f} ms", f"{found['decode']['ms_per_token']:.1f} ms",
        f"{100 * found['decode']['share_of_limit']:.0f} %", f"{found['score']['seconds']:.0f} s",
        f"{train['naive']:.0f}", f"{train['shared']:.0f}", f"{max(found[p]['peak_gib'] for p in parts):.0f} GiB",
    ]  # fmt: skip
    assert [row[1] for row in table_under("Times depend on the machine")[1:]] == expected
    assert found["device"].removeprefix("NVIDIA ").startswith("H100") and found["n"] == 10


def test_what_it_points_to_is_there() -> None:
    for path in re.findall(r"research/benchmarks/\w+\.py", PAGE):
        assert (ROOT / path).exists(), path
    for dotted in set(re.findall(r"`(plvm\.[\w.]+)", PAGE)) - {"plvm.load"}:
        module, _, name = dotted.rpartition(".")
        assert hasattr(import_module(module), name) or import_module(dotted), dotted


def test_the_python_is_that_of_the_readme_with_another_folder() -> None:
    block = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
    names = set(re.findall(r"vlm\.(\w+)\(", block))
    import plvm

    assert names == {"enroll", "ask"} and all(hasattr(plvm.Personal, name) for name in names)
