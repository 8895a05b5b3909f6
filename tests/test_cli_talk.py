"""Whole transcripts of asking, recognizing and chatting, on an untrained miniature of the real thing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import plvm
from plvm.store import ConceptStore
from shell import Shell
from shell import friends as friends
from shell import load_once as load_once
from shell import shell as shell
from toys import picture

pytest_plugins = ["family"]


def test_ask_says_what_the_library_says(friends: Shell, load_once: Callable[..., Any]) -> None:
    said = friends("ask", "party.png", "Where is <billie>?", "--max-tokens", "6")
    facts = json.loads(friends("ask", "party.png", "Where is <billie>?", "--max-tokens", "6", "--json"))
    with ConceptStore.open(friends.store) as store:
        answer = load_once(str(friends.family), device=None).ask(
            "party.png", "Where is <billie>?", [store.get("billie")], plvm.SamplingParams(max_tokens=6)
        )
    assert facts["answer"] == answer.text and facts["concepts"] == ["billie"]
    assert facts["new_tokens"] == 6 and facts["finish"] == "length"
    assert said.rstrip("\n").replace("\\x", "") != "" and friends.err == ""


def test_which_concepts_go_into_a_prompt(friends: Shell) -> None:
    def concepts(*words: str) -> list[str]:
        return json.loads(friends("ask", *words, "--json", "--max-tokens", "1"))["concepts"]

    assert concepts("party.png", "Is <avril> here?") == ["avril"]
    assert concepts("party.png", "Who is here?") == ["avril", "billie"]
    assert concepts("party.png", "Is <avril> here?", "--with", "billie") == ["billie", "avril"]
    assert concepts("party.png", "Is </s> or <image> here?") == ["avril", "billie"]  # plain text
    for name in ("carl", "dina", "emma"):
        friends("add", name, "party.png")
    assert len(concepts("party.png", "Who is here?")) == 4
    assert "likeliest" in friends.err
    message, hint = friends.refuses("ask", "--no-image", "Who has red hair?")
    assert "5 concepts" in message and "--with" in hint
    assert concepts("--no-image", "Who has red hair?", "--with", "emma", "--with", "avril") == ["emma", "avril"]


def test_temperature_zero_is_greedy_and_a_seed_repeats(friends: Shell) -> None:
    def ask(*options: str) -> str:
        return friends("ask", "party.png", "Who is <billie>?", "--max-tokens", "8", *options)

    assert ask() == ask("--temperature", "0") == ask("--temperature", "0", "--seed", "1")
    hot = ("--temperature", "2.5", "--top-p", "0.99", "--top-k", "200")
    assert ask(*hot, "--seed", "1") == ask(*hot, "--seed", "1") != ask(*hot, "--seed", "2")
    for option, value in (("--temperature", "-1"), ("--top-p", "0"), ("--max-tokens", "0"), ("--stop", "")):
        friends.refuses("ask", "party.png", "Who?", option, value)


def test_recognize_one_picture_and_several(friends: Shell) -> None:
    header, *rows = friends("recognize", "party.png").splitlines()
    assert header.split() == ["NAME", "P(PRESENT)", "VERDICT"]
    chances = {name: float(p) for name, p, _ in (row.split() for row in rows)}
    assert set(chances) == {"avril", "billie"} and list(chances.values()) == sorted(chances.values(), reverse=True)
    found = json.loads(friends("recognize", "party.png", "avril.png", "--json"))
    assert [row["image"] for row in found] == ["party.png", "avril.png"]
    assert found[0]["present"] == pytest.approx(chances, abs=6e-4)
    assert [row.split()[0] for row in friends("recognize", "party.png", "avril.png").splitlines()] == [
        "IMAGE", "party.png", "avril.png",
    ]  # fmt: skip


def test_a_dialogue_in_which_people_join_and_errors_do_not_end_it(friends: Shell) -> None:
    picture(7).save("zed.png")
    picture(8).save("other one.png")
    typed = ["Is <billie> here?", "/add zed zed.png", "And <zed>?", "/add zed zed.png", "/add kim missing.jpeg", "/who",
             "/list", "/wha", "<nobody>?", "", "/image other one.png", "Who is it?", "/add avril", "/help", "/quit",
             "never asked"]  # fmt: skip
    said = friends("chat", "party.png", "--with", "billie", "--max-tokens", "4", input="\n".join(typed))
    chatter = friends.err.splitlines()
    assert chatter == [
        "In the dialogue: <billie>. /help lists the commands, /quit ends it.",
        "Enrolled <zed> from 1 picture; <zed> joins.",
        "Error: <zed> is in the store already.",
        "Choose another name, or say /add zed to let it join.",
        "Error: missing.jpeg does not exist.",
        "Check the path.",
        "The verdicts are not calibrated: they follow from P(Yes) alone. `plvm calibrate` fits them.",
        "Error: There is no command /wha.",
        "Did you mean /who?",
        "Error: There is no concept called <nobody>.",
        "`plvm list` shows all; `plvm add nobody PICTURE` adds it.",
        "Looking at it; everyone stays in the dialogue.",
        "<avril> joins.",
    ]
    dialogue = "in the dialogue"
    for part in ("Nobody I know", "<avril>   enrolled", f"<billie>  {dialogue}", f"<zed>     {dialogue}", "/image FILE"):
        assert part in said
    assert [row[0] for row in friends.kept()] == ["avril", "billie", "zed"]


def test_a_dialogue_ends_with_its_input_and_joins_whoever_is_named(friends: Shell) -> None:
    friends("chat", "--max-tokens", "2", "--with", "avril", input="What hair has <billie>?\n/who\n/image\n")
    assert "<billie> joins." in friends.err and "There is no picture." in friends.err
    friends("chat", input="")


def test_an_interrupted_answer_does_not_count(friends: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = plvm.Chat.stream

    def stream(chat: Any, question: str, params: Any) -> Any:
        asked.append(question)
        chunks = real(chat, question, params)
        yield next(chunks)
        if len(asked) == 1:
            raise KeyboardInterrupt
        yield from chunks

    monkeypatch.setattr(plvm.Chat, "stream", stream)
    friends("chat", "party.png", "--max-tokens", "3", input="First?\nSecond?\n")
    assert asked == ["First?", "Second?"] and "does not count" in friends.err
