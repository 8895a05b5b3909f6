"""What a user types wrongly, or has damaged: a message, a hint, exit code 2, and the store as it was."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pictures import animation, encoded, png_bomb
from plvm.cli.main import app
from plvm.store import ConceptStore
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (encoded(picture(1))[:300], "cut off"),
        (png_bomb(), "900,000,000 pixels"),
        (animation("GIF"), "frames"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_bad_pictures_are_refused_everywhere(friends: Shell, content: bytes, complaint: str) -> None:
    Path("bad.png").write_bytes(content)
    commands = ("add", "kim", "bad.png"), ("ask", "bad.png", "Who?"), ("recognize", "party.png", "bad.png"), (
        "chat", "bad.png")  # fmt: skip
    for words in commands:
        assert complaint in friends.refuses(*words)[0]
    for words in (("add", "kim", "."), ("add", "kim", "partie.png"), ("ask", "http://x.org/a.png", "Who?")):
        friends.refuses(*words)
    assert "party.png" in friends.err or "network" in friends.err


@pytest.mark.parametrize("name", ["", "a\u200bb", "a<b", "a\nb", "x" * 10_000, "-x-"[1:2] + "\u202e", "image"])
def test_bad_names_are_refused(friends: Shell, name: str) -> None:
    friends.refuses("add", name, "party.png")
    friends.refuses("rename", "billie", name)


def test_unknown_names_are_told_what_is_near(friends: Shell) -> None:
    message, hint = friends.refuses("ask", "party.png", "Where is <bilie>?")
    assert "<bilie>" in message and "<billie>" in hint
    for words in (("show", "bilie"), ("rename", "bilie", "x"), ("forget", "bilie", "--yes"), ("export", "f", "bilie"),
                  ("ask", "party.png", "Who?", "--with", "bilie")):  # fmt: skip
        assert "Did you mean <billie>" in friends.refuses(*words)[1]


def test_wrong_ways_to_say_it(shell: Shell) -> None:
    for words, complaint in (
        (("add",), "One of NAME IMAGE"),
        (("add", "billie"), "no picture"),
        (("add", "billie", "billie.png", "--folder", "people"), "One of NAME IMAGE"),
        (("add", "--folder", "people"), "does not exist"),
        (("add", "--folder", "."), "nobody"),
        (("ask", "party.png"), "A picture and a question"),
        (("ask", "party.png", "Where", "is", "he?"), "too many"),
        (("ask", "party.png", " "), "empty"),
        (("recognize", "party.png"), "Nobody is enrolled"),
        (("list", "--namespace", "a b"), "namespace"),
        (("list", "--store", "mongodb://x"), "mongodb"),
        (("eval", "--out", "out", "--suite", "faces"), "no suite"),
        (("eval", "--out", "out", "--system", "gpt"), "no system"),
        (("mini", "build", "--out", "b", "--scale", "huge"), "no scale"),
    ):
        assert complaint in shell.refuses(*words)[0]
    for words in ((), ("lst",), ("list", "--colour"), ("recognize",), ("mini", "build")):
        assert CliRunner().invoke(app, words).exit_code == 2


def test_a_damaged_store_is_refused_and_left_alone(friends: Shell) -> None:
    good = friends.store.read_bytes()
    for damage in (b"this is no database", good[:100] + b"\xff" * 4000 + good[4100:]):
        friends.store.write_bytes(damage)
        for words in (("list",), ("add", "kim", "party.png"), ("ask", "party.png", "Who?"), ("forget", "kim", "--yes")):
            friends.refuses(*words)
        assert friends.store.read_bytes() == damage
    friends.store.write_bytes(good)
    assert "<billie>" in friends("show", "billie")


def test_damaged_weights_are_refused(friends: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PLVM_HOME", str(friends.store.parent))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    parts = {"aligner.safetensors": "aligner", "config.json": "aligner", "model.safetensors": "backbone"}
    for file, where in parts.items():
        copy = Path(shutil.copytree(friends.family.parent, f"copy-{file}"))
        data = (copy / where / file).read_bytes()
        (copy / where / file).write_bytes(data[: len(data) // 2])
        for words in (("add", "kim", "party.png"), ("ask", "party.png", "Who is <billie>?")):
            message, hint = friends.refuses(*words, model=copy / "aligner")
            assert where in message and hint
    assert "no folder" in friends.refuses("recognize", "party.png", model="./nowhere")[0]


def test_a_damaged_export_changes_nothing(friends: Shell) -> None:
    friends("export", "all.plvm")
    friends("forget", "avril", "--yes")
    data = Path("all.plvm").read_bytes()
    for damaged in (b"", b"hello", data[:-40], data.replace(b"PNG", b"PMG", 1)):
        Path("bad.plvm").write_bytes(damaged)
        friends.refuses("import", "bad.plvm")


def test_a_mistake_of_ours_keeps_its_traceback(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConceptStore, "page", lambda *_, **__: 1 / 0)
    done = CliRunner().invoke(app, ["list"])
    assert done.exit_code == 1 and isinstance(done.exception, ZeroDivisionError)


def test_nothing_that_others_wrote_can_steer_the_terminal(friends: Shell) -> None:
    friends("add", "kim", "party.png", "--notes", "\x1b[2J\x1b]0;owned\x07")
    assert "\x1b" not in friends("list") + friends("show", "kim") and "x1b" in friends.out


@pytest.mark.parametrize(
    "option",
    [("--temperature", "inf"), ("--temperature", "nan"), ("--temperature", "-1"), ("--top-p", "nan"), ("--top-p", "inf"),
     ("--temperature", "1", "--seed", "99999999999999999999")],
)  # fmt: skip
def test_numbers_that_nobody_can_draw_with_are_refused(friends: Shell, option: tuple[str, ...]) -> None:
    for verb in (("ask", "party.png", "Who?"), ("chat", "party.png")):
        message, hint = friends.refuses(*verb, *option)
        assert option[-2].removeprefix("--").replace("-", "_") in message and "sampling parameters" in hint


@pytest.mark.parametrize("half", ["\udcff", "\ud83d", "who \ude00 is it?"])
def test_text_in_another_encoding_is_refused(friends: Shell, half: str) -> None:
    """What a shell hands over that is no UTF-8 arrives as halves of characters."""
    for words in (
        ("ask", "party.png", f"Who is {half}?"),
        ("ask", "--no-image", half, "--json"),
        ("ask", "party.png", "Who?", "--with", half),
        ("add", f"a{half}", "party.png"),
        ("add", "kim", "party.png", "--notes", half),
        ("rename", "billie", half),
        ("show", half),
        ("list", "--namespace", half),
    ):
        message, _ = friends.refuses(*words)
        assert half not in message and "\\ud" in message
    said = friends("chat", "party.png", input="Who is there?\n")
    assert said


def test_a_file_whose_name_is_no_utf_8_is_read_and_told_as_json(friends: Shell) -> None:
    name = os.fsdecode(b"p\xff.png")
    Path(name).write_bytes(Path("party.png").read_bytes())
    assert json.loads(friends("recognize", name, "--json"))[0]["image"] == name
    assert json.loads(friends("ask", name, "Who?", "--json"))["image"] == name
    friends("add", "kim", name)
