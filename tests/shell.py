"""A shell with pictures and a store in which commands are typed: for tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import plvm
from plvm.cli.main import app
from plvm.personal import load
from plvm.store import ConceptStore
from toys import picture


class Shell:
    """A folder with pictures and a store, and a way to type commands there."""

    def __init__(self, family: Path, home: Path) -> None:
        self.family, self.store = family, home / "plvm" / "concepts.db"
        self.out = self.err = ""

    def __call__(self, *words: str, exit: int = 0, input: str = "", model: Path | str | None = None) -> str:
        """Type `plvm` and `words`; the model is the miniature. Returns stdout."""
        needs_model = words[0] in ("add", "ask", "chat", "recognize", "who", "watch", "caption", "demo", "eval")
        extra = ("--model", str(self.family if model is None else model)) if needs_model else ()
        done = CliRunner().invoke(app, [*words, *extra], input=input)
        self.out, self.err = done.stdout, done.stderr
        problem = done.exception if not isinstance(done.exception, SystemExit) else None
        assert done.exit_code == exit, (words, self.out, self.err, problem)
        return self.out

    def refuses(self, *words: str, model: Path | str | None = None, input: str = "") -> tuple[str, str]:
        """Type something that is wrong: exit code 2, nothing on stdout, the store as it was. Returns the message and
        the hint."""
        before = self.kept()
        self(*words, exit=2, model=model, input=input)
        assert self.out == "", self.out
        assert self.kept() == before
        lines = self.err.strip().splitlines()
        assert len(lines) == 2 and lines[0].startswith("Error: ") and lines[1], self.err
        return lines[0].removeprefix("Error: "), lines[1]

    def kept(self) -> Any:
        """Everything in the store, by value."""
        if not self.store.exists():
            return []
        try:
            with ConceptStore.open(self.store) as store:
                return [(c.name, c.aligner, c.notes, c.created, c.references) for c in store.list()]
        except plvm.StoreError:
            return self.store.read_bytes()


@pytest.fixture
def shell(
    family: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_once: Callable[..., Any]
) -> Shell:
    """A shell in a folder with billie.png, avril.png, party.png; models are read from disk once for all tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("plvm.personal.load", load_once)
    for seed, name in enumerate(("billie", "avril", "party")):
        picture(seed).save(f"{name}.png")
    return Shell(family, home)


@pytest.fixture(scope="session")
def load_once() -> Callable[..., Any]:
    return cache(load)


@pytest.fixture
def friends(shell: Shell) -> Shell:
    """A shell where <avril> and <billie> are enrolled."""
    shell("add", "billie", "billie.png", "--notes", "my sister")
    shell("add", "avril", "avril.png")
    return shell
