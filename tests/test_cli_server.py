"""Verbs through a running server: they say what they say without one, and load no model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from family import family as family
from plvm.cli.main import app
from plvm.server.keys import KeyFile
from plvm.server.service import Service
from plvm.store.database import Database
from serving import running
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell

pytest.importorskip("httpx2")


@pytest.fixture
def address(friends: Shell, family: Path, load_once: Callable[..., Any]) -> Iterator[str]:
    """A server of the shell's store and model."""
    vlm = load_once(str(family), device=None, dtype=None, bits=None)
    with running(Service(vlm, Database.open(friends.store), name="toy")) as place:
        yield place


@pytest.fixture
def through(address: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Type a verb that goes through the server. Returns stdout."""
    monkeypatch.setenv("PLVM_SERVER", address)

    def type_(*words: str, exit: int = 0, input: str = "") -> str:
        done = CliRunner().invoke(app, list(words), input=input)
        assert done.exit_code == exit, (words, done.stdout, done.stderr, done.exception)
        return done.stderr if exit else done.stdout

    return type_


def without(monkeypatch: pytest.MonkeyPatch, shell: Shell, *words: str) -> str:
    with monkeypatch.context() as here:
        here.delenv("PLVM_SERVER")
        return shell(*words)


def test_questions_lists_and_verdicts_are_those_of_a_model_here(
    through: Callable[..., str], friends: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (
        ("ask", "party.png", "Where is billie?"),
        ("ask", "party.png", "Where is billie?", "--words", "--with", "avril", "--max-tokens", "9"),
        ("ask", "--no-image", "Who is avril?", "--temperature", "1", "--seed", "3"),
        ("list",),
        ("recognize", "party.png"),
        ("who", "party.png"),
    ):
        assert through(*words) == without(monkeypatch, friends, *words), words
    for words in (("ask", "party.png", "Where is billie?"), ("recognize", "party.png", "billie.png"), ("who", "party.png")):
        there, here = json.loads(through(*words, "--json")), json.loads(without(monkeypatch, friends, *words, "--json"))
        for told in (there, here):
            if isinstance(told, dict):
                for varying in ("seconds", "finish", "computed_tokens", "enrolled", "calibrated"):
                    told.pop(varying, None)
        assert there == here, words


def test_somebody_is_added_and_refused_in_the_servers_words(through: Callable[..., str], friends: Shell) -> None:
    added = through("add", "Anna Maria", "party.png", "--notes", "aunt")
    assert added.startswith("Enrolled Anna Maria <anna-maria> from 1 picture")
    assert [name for name, *_ in friends.kept()] == ["anna-maria", "avril", "billie"]
    assert json.loads(through("list", "--json"))[0]["notes"] == "aunt"
    message, hint = through("add", "billie", "party.png", exit=2).splitlines()
    assert message.startswith("Error: ") and "billie" in message and hint
    assert "does not exist" in through("ask", "nowhere.png", "Who?", exit=2)
    assert "zoe" in through("ask", "party.png", "Where is <zoe>?", exit=2)
    assert "--top-k" in through("ask", "party.png", "Who?", "--top-k", "3", exit=2)
    assert "of no use" in through("list", "--namespace", "other", exit=2)
    assert "NAME IMAGE" in through("add", "--re-enrol", exit=2)


def test_a_dialogue_goes_through_the_server_and_people_join_it(through: Callable[..., str], friends: Shell) -> None:
    lines = "/list\nWhere is billie?\n/add zoe party.png\nWho is zoe?\n/image avril.png\nAnd here?\n/nothing\n/who\n/quit\n"
    told = through("chat", "party.png", "--max-tokens", "8", input=lines)
    assert "zoe" in [name for name, *_ in friends.kept()]
    assert told.count("\n") >= 6 and told.startswith("avril")
    alone = through("ask", "party.png", "Where is billie?", "--max-tokens", "8")
    assert alone in told


def test_a_key_is_needed_and_given(friends: Shell, family: Path, load_once: Callable[..., Any], tmp_path: Path,
                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    keys = KeyFile(tmp_path / "keys.json")
    key = keys.new("default")
    vlm = load_once(str(family), device=None, dtype=None, bits=None)
    with running(Service(vlm, Database.open(friends.store), name="toy", keys=keys, keys_needed=True)) as place:
        for given, code in (("", 2), ("plvm-wrong", 2), (key, 0)):
            monkeypatch.setenv("PLVM_API_KEY", given)
            done = CliRunner().invoke(app, ["list", "--server", place])
            assert done.exit_code == code, done.stderr
            assert "billie" in done.stdout if code == 0 else "key" in done.stderr
    for wrong in (place, "nowhere", "http://[::1", "https://127.0.0.1:1"):
        done = CliRunner().invoke(app, ["list", "--server", wrong])
        assert done.exit_code == 2 and len(done.stderr.strip().splitlines()) == 2, (wrong, done.stderr, done.exception)


def test_no_torch_is_loaded_on_the_way(address: str, friends: Shell) -> None:
    code = """
import sys
from plvm.cli.main import app
for words in (["list"], ["ask", "party.png", "Where is billie?"], ["recognize", "party.png"], ["add", "zoe", "party.png"]):
    app([*words, "--server", sys.argv[1]], standalone_mode=False)
heavy = {"torch", "transformers", "sqlalchemy", "tokenizers"} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, address], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
