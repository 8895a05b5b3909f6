"""README and quick start keep their promises: their Python runs and prints what they say, their commands run, what they
point to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import plvm
from plvm.cli.main import app
from plvm.model.familiarity import LIMIT
from plvm.personal import load
from plvm_lab.demo.events import SIZE
from plvm_lab.demo.story import STORY, reference
from plvm_lab.portraits.everyday import LIMITS
from plvm_lab.portraits.render import draw

pytest_plugins = ["family"]
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "docs/quickstart.md"]


def blocks(language: str, page: str = "README.md") -> list[str]:
    """The fenced blocks of one language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """Every `plvm ...` line of the shell blocks, as words."""
    lines = [line for block in blocks("sh", page) for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("plvm ")]


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which the demo has been, and nobody enrolled yet."""
    folder = tmp_path / "demo" / "pictures"
    folder.mkdir(parents=True)
    for name in ("billie", "avril", "dustin"):
        draw(reference(name), SIZE).save(folder / f"{name}.png")
    for scenario in STORY:
        if (scene := scenario.scene) is not None:
            draw(scene, SIZE).save(folder / f"{scenario.key}.png")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def miniature(demo: None, family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, and a miniature in place of the mini family."""
    small = load(family)
    for place in ("plvm.load", "plvm.personal.load"):
        monkeypatch.setattr(place, lambda *_, **__: small)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_runs(page: str, miniature: None, capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    for block in blocks("python", page):
        exec(compile(block, page, "exec"), scope)
    assert capsys.readouterr().out


def test_the_first_example_has_five_lines() -> None:
    assert len(blocks("python")[0].strip().splitlines()) == 5


def test_the_python_prints_what_stands_below_it(demo: None, capsys: pytest.CaptureFixture[str]) -> None:
    """With the shipped model, and each answer on a line of its own."""
    scope: dict[str, Any] = {}
    for block, said in zip(blocks("python"), blocks("text"), strict=True):
        exec(compile(block, "README.md", "exec"), scope)
        assert capsys.readouterr().out == said


def test_what_it_says_of_noise_and_of_other_questions_is_what_happens(demo: None) -> None:
    vlm = plvm.load("mini")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    nobody = vlm.enroll("nobody", noise)
    answer = vlm.ask(noise, "What is the hair color of <nobody>?", [nobody])
    assert nobody.unlike is not None and min(*nobody.unlike, answer.unlike or 0) > LIMIT, "warned of, and answered all the same"
    assert re.fullmatch(r"<nobody> has \w+ hair\.", answer.text)
    for outside in ("What is the capital of France?", "Wo ist der Bahnhof?"):
        assert vlm.ask("demo/pictures/library.png", outside, [nobody]).text == LIMITS


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run(page: str, miniature: None) -> None:
    assert len(commands(page)) >= 7
    for words in commands(page):
        typed = "/quit\n" if words[0] == "chat" else ""
        done = CliRunner().invoke(app, words, input=typed)
        assert done.exit_code == 0, (words, done.stderr, done.exception)


def test_it_is_read_in_minutes() -> None:
    assert len(README.splitlines()) <= 150


def test_links_and_pictures_are_there() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert link.startswith("https://") or (ROOT / link.partition("#")[0]).exists(), link
    images = list((ROOT / "docs" / "images").iterdir())
    assert sum(image.stat().st_size for image in images) < 1_500_000


def test_the_pictures_it_speaks_of_are_those_of_the_demo() -> None:
    made = {scenario.key for scenario in STORY if scenario.people} | {"billie", "avril", "dustin"}
    for page in PAGES:
        assert set(re.findall(r"demo/pictures/(\w+)\.png", (ROOT / page).read_text(encoding="utf-8"))) <= made
