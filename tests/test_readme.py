"""The README keeps its promises: its Python runs, its commands run, its tree is the tree, its pictures are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import plvm
from plvm.cli.main import app
from plvm.personal import load
from plvm_lab.demo.story import STORY, reference
from plvm_lab.portraits.render import draw

pytest_plugins = ["family"]
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOT_RUN = {
    "bench",
    "demo",
    "eval",
    "mini",
    "report",
    "synth",
    "train",
}  # these take their time; their options are checked


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    """Every `plvm ...` line of the shell blocks, as words."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("plvm ")]


@pytest.fixture
def pictures(tmp_path: Path, family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which the demo has been, and a miniature in place of the mini family."""
    folder = tmp_path / "demo" / "pictures"
    folder.mkdir(parents=True)
    for name in ("billie", "avril", "dustin"):
        draw(reference(name), 128).save(folder / f"{name}.png")
    for scenario in STORY:
        if (scene := scenario.scene) is not None:
            draw(scene, 128).save(folder / f"{scenario.key}.png")
    miniature = load(family)
    for place in ("plvm.load", "plvm.personal.load"):
        monkeypatch.setattr(place, lambda *_, **__: miniature)
    monkeypatch.chdir(tmp_path)


def test_the_python_runs(pictures: None, capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    assert len(blocks("python")) == 2
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), scope)
    assert len(blocks("python")[0].strip().splitlines()) == 5
    assert "[[" in capsys.readouterr().out


def test_the_commands_run(pictures: None) -> None:
    assert len(commands()) > 10
    for words in commands():
        if words[0] not in NOT_RUN:
            typed = "/quit\n" if words[0] == "chat" else ""
            done = CliRunner().invoke(app, words, input=typed)
            assert done.exit_code == 0, (words, done.stderr, done.exception)


def test_the_long_commands_have_the_options_that_they_are_given() -> None:
    for words in commands():
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while rest and rest[0] in getattr(command, "commands", {}):  # a group may do something itself
            command = command.commands[rest.pop(0)]
        command.make_context("plvm", rest, resilient_parsing=False).close()


def test_the_tree_is_the_tree() -> None:
    tree = README.partition("src/plvm/\n")[2].partition("benchmarks/")[0]
    told, folder = set[str](), ""
    for line in tree.splitlines():
        name, nested = line.split()[0], line.startswith("    ")
        if name.endswith("/"):
            folder = name
        else:
            told.add(f"{folder}{name}" if nested else name)
            assert len(line.split()) > 1, f"{name} has no comment"
    package = Path(plvm.__file__).parent
    there = {str(file.relative_to(package)) for file in package.rglob("*.py") if file.stat().st_size}
    there -= {name for name in there if name.endswith("/__init__.py")}
    assert told == there, f"missing: {sorted(there - told)}; gone: {sorted(told - there)}"


def test_links_and_pictures_are_there() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", re.sub(r"<!--.*?-->", "", README, flags=re.DOTALL)):
        assert link.startswith("http") or (ROOT / link).exists(), link
    images = list((ROOT / "docs" / "images").iterdir())
    assert sum(image.stat().st_size for image in images) < 1_500_000


def test_the_pictures_it_speaks_of_are_those_of_the_demo() -> None:
    made = {scenario.key for scenario in STORY if scenario.people} | {"billie", "avril", "dustin"}
    assert set(re.findall(r"demo/pictures/(\w+)\.png", README)) <= made
