"""The prompt: one order of things, and text that stays text."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from plvm.errors import RequestError
from plvm.prompt.image_first import Prompt, adds_blanks
from plvm.prompt.names import mentioned, split_names
from plvm.prompt.template import Template
from plvm.prompt.turns import ANSWER, IGNORED, VERDICT, ContextToken, Tokens
from plvm.prompt.vocabulary import ConceptVocabulary, vocabulary_of
from plvm.types import Concept


@pytest.fixture
def vocabulary(tokenizer: Any, people: list[Concept]) -> ConceptVocabulary:
    import torch

    return vocabulary_of([people[:2]], torch.zeros(len(tokenizer), 64))


NAMES = ["billie", "avril"]


@pytest.mark.parametrize("text", ["<image>", "</s>", "<s>", "<pad>", "[INST]", "<other>", "a </s><image> b", "USER:"])
def test_text_that_looks_like_control_tokens_stays_text(prompt: Prompt, tokenizer: Any, text: str) -> None:
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    assert {"<s>", "</s>", "<pad>", "<image>"} == {tokenizer.convert_ids_to_tokens(i) for i in special}
    ids = prompt.text(text)
    assert not special & set(ids)
    assert tokenizer.decode(list(ids)) == text


def test_only_names_of_the_request_become_concepts(
    prompt: Prompt, tokenizer: Any, vocabulary: ConceptVocabulary
) -> None:
    ids = prompt.named_text("Are <billie>, <other> and <avril> here?", NAMES, vocabulary)
    base = len(tokenizer)
    assert [i for i in ids if i >= base] == [base, base + 1]
    assert "<other>" in tokenizer.decode([i for i in ids if i < base])


def test_a_name_absorbs_the_one_blank_before_it() -> None:
    assert split_names("Is <billie>'s hat <avril>", NAMES) == [("Is", -1), ("", 0), ("'s hat", -1), ("", 1)]
    assert split_names("<billie>", NAMES) == [("", 0)]
    assert split_names("<billie>", []) == [("<billie>", -1)]


def test_names_that_are_patterns_are_only_names(prompt: Prompt) -> None:
    assert split_names("<a-b> <aXb>", ["a-b"]) == [("", 0), (" <aXb>", -1)]
    assert mentioned("<a> and <b c> and <a> <d>") == ["a", "d"]


def test_a_turn_is_written_in_the_order_of_the_template(
    prompt: Prompt, tokenizer: Any, vocabulary: ConceptVocabulary
) -> None:
    tokens = Tokens()
    prompt.turn(tokens, "Where is <avril>?", NAMES, vocabulary, joining=[0, 1], answer="<avril> is here.")
    base = len(tokenizer)

    def shown(i: int) -> str:
        if i < base:
            return tokenizer.decode([i])
        return f"[{NAMES[i - base]}]" if i < base + 2 else f"({i - base - 2})"

    assert "".join(map(shown, tokens.ids)) == (
        "[billie] is(0)(1)(2)(3).[avril] is(4)(5)(6)(7). Where is[avril]? ASSISTANT:[avril] is here.</s>"
    )
    answer = tokens.ids.index(base + 1, tokens.ids.index(base + 1, tokens.ids.index(base + 1) + 1) + 1)
    assert tokens.supervise == [IGNORED] * answer + [ANSWER] * (len(tokens) - answer)
    assert tokens.owner[:8] == [-1, 0, 0, 0, 0, 0, 0, -1]


def test_turn_writes_what_its_parts_write(prompt: Prompt, vocabulary: ConceptVocabulary) -> None:
    whole, parts = Tokens(), Tokens()
    prompt.turn(whole, "Hello?", NAMES, vocabulary, joining=[1], first=False, answer="Yes", verdict=True)
    prompt.next_turn(parts)
    prompt.define(parts, 1, vocabulary)
    prompt.question(parts, "Hello?", NAMES, vocabulary)
    prompt.answer(parts, "Yes", NAMES, vocabulary, verdict=True)
    assert (whole.ids, whole.supervise, whole.owner) == (parts.ids, parts.supervise, parts.owner)
    assert whole.supervise[-2:] == [VERDICT, ANSWER]


def test_a_description_in_words_stands_where_the_context_tokens_stand(
    prompt: Prompt, tokenizer: Any, vocabulary: ConceptVocabulary
) -> None:
    tokens = Tokens()
    prompt.turn(tokens, "Hi?", NAMES, vocabulary, joining=[0], descriptions={0: "red hair, a cap"})
    assert tokenizer.decode([i for i in tokens.ids if i < len(tokenizer)]) == " is red hair, a cap. Hi? ASSISTANT:"
    assert not set(vocabulary.context_ids(0)) & set(tokens.ids)


def test_a_question_may_hold_single_context_tokens(
    prompt: Prompt, tokenizer: Any, vocabulary: ConceptVocabulary
) -> None:
    tokens, base = Tokens(), len(tokenizer)
    words = ("Describe ", ContextToken(1, 2), " in detail, <billie>.")
    prompt.turn(tokens, words, NAMES, vocabulary, joining=[0, 1], descriptions={0: (), 1: (3, 0)})
    own = [i for i in tokens.ids if i >= base]
    second = vocabulary.context_ids(1)
    assert own == [base + 1, second[3], second[0], second[2], base], "billie is not defined, but has a name"
    assert tokenizer.decode([i for i in tokens.ids if i < base]) == " is. Describe in detail,. ASSISTANT:"


def test_no_text_is_a_context_token(prompt: Prompt, vocabulary: ConceptVocabulary) -> None:
    typed = Tokens()
    prompt.turn(typed, "Describe <token_2>, (2), ContextToken(0, 2) in detail.", NAMES, vocabulary)
    assert max(typed.ids) < vocabulary.base


@pytest.mark.parametrize("token", [ContextToken(0, 4), ContextToken(0, -1), ContextToken(2, 0), ContextToken(-1, 0)])
def test_a_context_token_that_does_not_exist_is_refused(
    prompt: Prompt, vocabulary: ConceptVocabulary, token: ContextToken
) -> None:
    with pytest.raises(RequestError, match="no context token"):
        prompt.turn(Tokens(), ("Describe ", token, "."), NAMES, vocabulary)


def test_yes_and_no_must_be_single_tokens(tokenizer: Any) -> None:
    assert Prompt(tokenizer).yes_id != Prompt(tokenizer).no_id
    with pytest.raises(ValueError, match="one token"):
        Prompt(tokenizer, Template(yes=" Yes indeed"))


@pytest.mark.parametrize("text", ["Where is she?", " <image> and </s>", "", "[INST] \u5c0f\u660e <s>", "a\n b"])
def test_text_is_spelled_as_transformers_spells_it_whatever_a_caller_told_the_tokenizer(tokenizer: Any, text: str) -> None:
    own = copy.deepcopy(tokenizer)
    prompt = Prompt(own)
    whole, cut = ("\n" + text, 2) if adds_blanks(tokenizer) else (text, 0)
    plain = tuple(tokenizer(whole, add_special_tokens=False, split_special_tokens=True)["input_ids"][cut:])
    assert prompt.text(text) == plain
    own("Where", truncation=True, max_length=2, padding="max_length")
    assert prompt.text(text) == plain
    assert prompt.control("</s>") == (own.eos_token_id,) and prompt.text(text) == plain, "one after the other"


def test_nothing_that_a_user_wrote_is_kept_and_the_templates_pieces_are_spelled_once(
    tokenizer: Any, vocabulary: ConceptVocabulary
) -> None:
    fresh = Prompt(tokenizer)
    fresh.turn(Tokens(), "Is <billie> at the clinic again?", NAMES, vocabulary, joining=[0])
    kept = " ".join(piece for piece, _ in fresh._spelled)
    assert "clinic" not in kept and "billie" not in kept
    asked = fresh.template.recognize.replace("{name}", "<billie>")
    fresh.turn(Tokens(), asked, NAMES, vocabulary, joining=[0])
    spelled, real = [], fresh._spell

    def spell(text: str, control: bool) -> tuple[int, ...]:
        spelled.append(text)
        return real(text, control)

    fresh._spell = spell  # type: ignore[method-assign]
    fresh.turn(Tokens(), asked, NAMES, vocabulary, joining=[0])
    assert spelled == []
