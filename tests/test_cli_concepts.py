"""Whole transcripts of enrolling, showing, renaming, forgetting, exporting and importing concepts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import plvm
from pictures import encoded
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]


def test_add_list_show_rename_forget(shell: Shell) -> None:
    assert shell("list") == ""
    assert "plvm add NAME PICTURE" in shell.err
    assert re.fullmatch(r"Enrolled <billie> from 1 picture in \d+ ms\.\n", shell("add", "<billie>", "billie.png"))
    assert shell("add", "zoë", "avril.png", "party.png", "--notes", "two pictures").startswith(
        "Enrolled <zoë> from 2 pictures"
    )
    header, *rows = shell("list").splitlines()
    assert header.split() == ["NAME", "PICTURES", "ADDED", "NOTES"]
    assert [row.split()[:2] for row in rows] == [["billie", "1"], ["zoë", "2"]]
    assert rows[1].endswith("two pictures")
    assert "80 x 80 PNG, 80 x 80 PNG" in shell("show", "zoë")
    assert shell("rename", "billie", "kim") == "<billie> is now <kim>.\n"
    assert shell("forget", "kim", input="y\n") == "Forgot <kim>.\n"
    assert "[y/N]" in shell.err
    assert [c["name"] for c in json.loads(shell("list", "--json"))] == ["zoë"]


def test_what_is_shown_as_json_says_the_same(friends: Shell) -> None:
    facts = json.loads(friends("show", "billie", "--json"))
    assert facts in json.loads(friends("list", "--json"))
    assert facts["notes"] == "my sister" and facts["tokens"]["context"] == [4, 64]
    assert facts["references"] == [
        {"format": "PNG", "width": 80, "height": 80, "bytes": facts["references"][0]["bytes"]}
    ]


def test_a_reference_can_be_saved(friends: Shell) -> None:
    friends("show", "billie", "--save-reference", "saved.png")
    friends("show", "billie", "--save-reference", "saved.jpg")
    assert plvm.images.open_image("saved.png").tobytes() == picture(0).tobytes()  # type: ignore[attr-defined]
    assert Path("saved.jpg").read_bytes()[:2] == b"\xff\xd8"
    before = Path("saved.png").read_bytes()
    friends("show", "billie", "--save-reference", "saved.png", exit=2)
    assert "exists already" in friends.err and Path("saved.png").read_bytes() == before


def test_forgetting_asks_first(friends: Shell) -> None:
    friends("forget", "billie", input="n\n", exit=2)
    assert "Nobody was forgotten" in friends.err
    friends("forget", "billie", exit=2)  # nobody there to confirm
    assert "--yes" in friends.err
    friends("forget", "billie", "nobody", "--yes", exit=2)  # one unknown name: nobody is forgotten
    assert len(friends.kept()) == 2
    assert friends("forget", "billie", "avril", "--yes") == "Forgot <billie>.\nForgot <avril>.\n"
    assert friends.kept() == []


def test_adding_a_name_again_needs_replace(friends: Shell) -> None:
    message, hint = friends.refuses("add", "billie", "party.png")
    assert "<billie> is in the store already" in message and "--replace" in hint
    friends("add", "billie", "party.png", "--replace")
    friends("show", "billie", "--save-reference", "now.png")
    assert plvm.images.open_image("now.png").tobytes() == picture(2).tobytes()  # type: ignore[attr-defined]


def test_export_and_import(friends: Shell, tmp_path: Path) -> None:
    assert friends("export", "all.plvm") == "Exported 2 concepts to all.plvm: <avril>, <billie>.\n"
    assert json.loads(friends("export", "one.plvm", "billie", "--json")) == {"exported": ["billie"]}
    before = friends.kept()
    message, hint = friends.refuses("import", "one.plvm")
    assert "<billie>" in message and "--replace" in hint
    friends("forget", "billie", "avril", "--yes")
    assert friends("import", "all.plvm") == "Imported 2 concepts from all.plvm: <avril>, <billie>.\n"
    assert friends.kept() == before
    assert "exists already" in friends.refuses("export", "all.plvm")[0]


def test_namespaces_and_stores_are_apart(friends: Shell) -> None:
    assert friends("list", "--namespace", "other") == ""
    friends("add", "billie", "party.png", "--namespace", "other")
    assert friends("list", "--store", "another.db") == ""
    assert "no concept called <avril>" in friends.refuses("show", "avril", "--namespace", "other")[0]
    assert len(friends.kept()) == 2


def test_a_whole_folder_of_people(shell: Shell) -> None:
    people = Path("people")
    for name in ("billie", "avril", "Anna Maria", "!!!", "broken", "empty", ".hidden"):
        (people / name).mkdir(parents=True)
    picture(1).save(people / "billie" / "1.png")
    picture(2).save(people / "billie" / "2.JPG")
    (people / "billie" / "3.jpg").write_bytes(b"not a picture")
    (people / "billie" / "notes.txt").write_text("not looked at")
    picture(3).save(people / "avril" / "a.png")
    picture(4).save(people / "Anna Maria" / "a.png")
    picture(4).save(people / "!!!" / "a.png")
    (people / "broken" / "a.png").write_bytes(encoded(picture(5))[:200])
    picture(6).save(people / "stray.png")
    header, *rows = shell("add", "--folder", "people").splitlines()  # some were enrolled: exit code 0
    assert [re.split(r"  +", row) for row in rows] == [
        ["!!!", "0", "0", "not enrolled"],
        ["Anna Maria", "1", "0", "enrolled"],
        ["avril", "1", "0", "enrolled"],
        ["billie", "2", "1", "enrolled"],
        ["broken", "0", "1", "not enrolled"],
        ["empty", "0", "0", "not enrolled"],
    ]
    for complaint in ("1 picture directly in people", "3.jpg", "neither a letter", "a.png", "holds no picture",
                      "Enrolled 3 of 6 folders"):  # fmt: skip
        assert complaint in shell.err
    kept = [(name, len(pictures)) for name, _, _, _, pictures in shell.kept()]
    assert kept == [("anna-maria", 1), ("avril", 1), ("billie", 2)]
    for name in ("!!!", "broken", "empty"):
        shutil.rmtree(people / name)
    before = shell.kept()
    shell("add", "--folder", "people")  # everyone is there already: nothing changes, nothing is wrong
    assert shell.kept() == before
    done = json.loads(shell("add", "--folder", "people", "--replace", "--json"))
    assert [(e["name"], e["display"], e["pictures"]) for e in done["enrolled"]] == [
        ("avril", "avril", 1), ("billie", "billie", 2), ("anna-maria", "Anna Maria", 1),
    ]  # fmt: skip
    assert [Path(item["file"]).name for item in done["skipped"]] == ["3.jpg"]


def test_another_aligner_enrols_everyone_again(friends: Shell) -> None:
    other, before = friends.family.parent / "other", friends.kept()
    for words in (("ask", "party.png", "Who is <billie>?"), ("recognize", "party.png"), ("ask", "party.png", "Who?")):
        message, hint = friends.refuses(*words, model=other)
        assert "made by another Aligner" in message and "plvm add --re-enrol" in hint
    assert friends("add", "--re-enrol", model=other) == "Enrolled 2 concepts again.\n"
    assert [row[:1] + row[2:] for row in friends.kept()] == [row[:1] + row[2:] for row in before]
    assert {row[1] for row in friends.kept()}.isdisjoint(row[1] for row in before)
    friends("ask", "party.png", "Who is <billie>?", "--max-tokens", "2", model=other)
    assert "already" in friends("add", "--re-enrol", model=other)
