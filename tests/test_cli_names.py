"""Transcripts with names that people have: enrolled, asked about, renamed, looked alike, and found without brackets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import plvm
from plvm.store import ConceptStore
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]


@pytest.fixture
def people(shell: Shell) -> Shell:
    """A shell where Anna Maria, <billie> and O'Neill are enrolled."""
    assert shell("add", "Anna Maria", "avril.png").startswith("Enrolled Anna Maria <anna-maria> from 1 picture in ")
    assert shell("add", "billie", "billie.png").startswith("Enrolled <billie> from 1 picture in ")
    assert shell("add", "<O'Neill>", "party.png").startswith("Enrolled O'Neill <o-neill> from")
    return shell


def test_whoever_has_a_display_name_is_known_by_it_and_by_the_word(people: Shell) -> None:
    assert [line.split("  ")[0] for line in people("list").splitlines()[1:]] == [
        "Anna Maria <anna-maria>", "billie", "O'Neill <o-neill>",
    ]  # fmt: skip
    for name in ("Anna Maria", "anna maria", "<Anna Maria>", "anna-maria", "<anna-maria>"):
        facts = json.loads(people("show", name, "--json"))
        assert (facts["name"], facts["display"]) == ("anna-maria", "Anna Maria")
    assert people("export", "two.plvm", "anna-maria", "O\u2019Neill").startswith("Exported 2 concepts")
    assert people("rename", "anna maria", "Anna Lena") == "Anna Maria <anna-maria> is now Anna Lena <anna-lena>.\n"
    assert people("rename", "anna-lena", "lena") == "Anna Lena <anna-lena> is now <lena>.\n"
    assert people("rename", "lena", "小明 王") == "<lena> is now 小明 王 <小明-王>.\n"
    assert people("rename", "小明 王", "小明  王") == "小明 王 <小明-王> is now 小明 王 <小明-王>.\n"
    assert people("forget", "O'Neill", input="y\n") == "Forgot O'Neill <o-neill>.\n"
    assert "Forget O'Neill <o-neill> and every stored picture" in people.err
    assert people("import", "two.plvm") == "Imported 2 concepts from two.plvm: <anna-maria>, <o-neill>.\n"
    assert json.loads(people("show", "O'Neill", "--json"))["display"] == "O'Neill"


def test_a_taken_name_is_taken_in_every_spelling(people: Shell) -> None:
    for name in ("Anna Maria", "ANNA  MARIA", "<anna-maria>", "o\u2019neill"):
        message, hint = people.refuses("add", name, "party.png")
        assert "is in the store already" in message and "--replace" in hint
    picture(9).save("new.png")
    people("add", "anna-maria", "new.png", "--replace")
    assert json.loads(people("show", "Anna Maria", "--json"))["display"] == "Anna Maria", "the display name stays"
    assert "<anna-maria-2>" in people("add", "Anna. Maria", "new.png")
    assert [name for name, *_ in people.kept()] == ["anna-maria", "anna-maria-2", "billie", "o-neill"]


def test_names_that_only_look_like_known_ones_are_refused(people: Shell) -> None:
    for name in ("b\u0456llie", "Ann\u0430 Maria"):
        for new in (("add", name, "party.png"), ("rename", "O'Neill", name)):
            assert "looks like" in people.refuses(*new)[0]
        for words in (("show", name), ("forget", name, "--yes"), ("ask", "party.png", f"Is <{name}> here?"),
                      ("ask", "party.png", f"Is {name} here?"), ("ask", "party.png", "Who?", "--with", name)):  # fmt: skip
            message, hint = people.refuses(*words)
            assert "CYRILLIC" in message and ("<billie>" in hint or "<anna-maria>" in hint), words
    message, hint = people.refuses("ask", "party.png", "Is <Anna Mari> here?")
    assert "<Anna Mari>" in message and "<anna-maria>" in hint and '`plvm add "Anna Mari" PICTURE`' in hint


def concepts(shell: Shell, question: str, *options: str) -> list[str]:
    facts = json.loads(shell("ask", "party.png", question, "--json", "--max-tokens", "1", *options))
    assert facts["question"] == question
    return facts["concepts"]


def test_a_name_in_a_question_needs_no_brackets(people: Shell) -> None:
    everyone = ["anna-maria", "billie", "o-neill"]
    assert concepts(people, "Where is Billie?") == ["billie"]
    assert concepts(people, "Is anna maria with o'neill's dog?") == ["anna-maria", "o-neill"]
    assert concepts(people, "Is <Anna Maria> here?") == ["anna-maria"]
    assert concepts(people, "Is <Anna Maria> here?", "--exact-names") == ["anna-maria"]
    assert concepts(people, "Where is Billie?", "--exact-names") == everyone
    assert concepts(people, "Where is Billiebob?") == everyone
    assert concepts(people, "Who is here?", "--with", "Anna Maria") == ["anna-maria"]
    people("add", "Will", "billie.png")
    assert concepts(people, "Is Will here?") == ["Will"]
    assert concepts(people, "Will she come, Billie?") == ["billie"]


def test_with_brackets_or_without_the_answer_is_the_same(people: Shell) -> None:
    def said(question: str, *options: str) -> str:
        return json.loads(people("ask", "party.png", question, "--json", "--max-tokens", "6", *options))["answer"]

    assert said("Where is Billie?") == said("Where is <billie>?") == said("Where is <billie>?", "--exact-names")
    assert said("Is Anna Maria here?") == said("Is <anna-maria> here?") == said("Is <anna maria> here?")


class Says:
    """A model whose answers name somebody."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setattr(plvm.Personal, "stream", lambda *_, **__: iter([text]))
        monkeypatch.setattr(plvm.Personal, "ask", lambda *_, **__: plvm.Answer(text))


def test_answers_show_display_names_or_words(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    Says(monkeypatch, "<anna-maria> is beside <billie>.")
    asked = ("ask", "party.png", "Who is beside Billie and Anna Maria?")
    assert people(*asked) == "Anna Maria is beside billie.\n"
    assert people(*asked, "--words") == "<anna-maria> is beside <billie>.\n"
    facts = json.loads(people(*asked, "--json"))
    assert facts["answer"] == "<anna-maria> is beside <billie>." and facts["shown"] == "Anna Maria is beside billie."


def test_a_dialogue_with_display_names(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(7).save("zed.png")
    asked: list[str] = []

    def stream(chat: plvm.Chat, question: str, params: object) -> object:
        asked.append(question)
        return iter(["<zoe-b> ", "and <anna-maria>"])

    monkeypatch.setattr(plvm.Chat, "stream", stream)
    typed = ['/add "Zoe B." zed.png', "Is Zoe B. here, Anna Maria?", "/add Anna Maria", "/add O'Neill", "/add zoe b.",
             '/add "ANNA MARIA" zed.png', "/list", "/quit"]  # fmt: skip
    said = people("chat", "party.png", "--with", "billie", input="\n".join(typed))
    assert people.err.splitlines() == [
        "In the dialogue: <billie>. /help lists the commands, /quit ends it.",
        "Enrolled Zoe B. <zoe-b> from 1 picture; <zoe-b> joins.",
        "Anna Maria <anna-maria> joins.",
        "Error: <anna-maria> is in the dialogue already.",
        "Just talk about it.",
        "O'Neill <o-neill> joins.",
        "Error: <zoe-b> is in the dialogue already.",
        "Just talk about it.",
        "Error: <anna-maria> is in the store already.",
        'Choose another name, or say /add "ANNA MARIA" to let it join.',
    ]
    assert said.startswith("Zoe B. and Anna Maria\n") and "Zoe B. <zoe-b>" in said
    assert "<zoe-b> and <anna-maria>\n" in people(
        "chat", "party.png", "--with", "Zoe B.", "--words", input="Who is Anna Maria?\n"
    )


def test_one_picture_under_two_names_is_noticed_and_kept(people: Shell) -> None:
    people("add", "kim", "billie.png", "party.png")
    assert "A picture of <kim> is also one of <billie>, <o-neill>" in people.err
    done = json.loads(people("add", "lou", "avril.png", "--json"))
    assert done["enrolled"][0]["same_picture_as"] == ["anna-maria"] and "<anna-maria>" in people.err
    people("add", "mia", "billie.png", "--namespace", "other")
    assert people.err == ""
    people("chat", "--with", "billie", input="/add nia billie.png\n")
    assert "A picture of <nia> is also one of <billie>, <kim>" in people.err


def test_a_folder_exits_with_0_if_anybody_was_enrolled_and_with_2_if_nobody(people: Shell) -> None:
    for name, seed in (("Jean Luc", 20), ("jean luc", 21), ("Billie", 22), ("b\u0456llie", 23), ("!!!", 24), ("kim", 20)):
        (Path("people") / name).mkdir(parents=True)
        picture(seed).save(Path("people") / name / "a.png")
    done = json.loads(people("add", "--folder", "people", "--json"))
    assert [(e["name"], e["display"], e["same_picture_as"]) for e in done["enrolled"]] == [
        ("Billie", "Billie", []), ("kim", "kim", ["jean-luc"]), ("jean-luc", "Jean Luc", ["kim"]),
    ]  # fmt: skip
    left_out = {item["name"]: item["reason"] for item in done["skipped"]}
    assert set(left_out) == {"jean luc", "b\u0456llie", "!!!"}
    assert "same name" in left_out["jean luc"] and "looks like" in left_out["b\u0456llie"]
    for name in ("Jean Luc", "Billie", "kim"):
        (Path("people") / name / "a.png").unlink()
        (Path("people") / name).rmdir()
    people("forget", "Jean Luc", "--yes")
    (Path("people") / "jean luc" / "a.png").write_bytes(b"no picture")
    assert people("add", "--folder", "people", exit=2).count("not enrolled") == 3
    assert "Left out" in people.err


def test_a_store_keeps_display_names_in_python_too(people: Shell) -> None:
    with ConceptStore.open(people.store) as store:
        assert store.people() == {"anna-maria": "Anna Maria", "billie": "", "o-neill": "O'Neill"}
        anna = store.get("Anna Maria")
        assert store.add(replace(anna, name="x", display="x")).display == "" and store.forget("x") is None
        assert (anna.name, anna.display, anna.shown) == ("anna-maria", "Anna Maria", "Anna Maria")
        assert store.rename("billie", "Billie B.") == "billie-b"
        assert store.check_known("billie b.", "<anna-maria>", "anna maria") == ["billie-b", "anna-maria"]
