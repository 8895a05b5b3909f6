"""Dialogues without end: what is read of a long one, what is computed for it, and what is still refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from plvm.engine.generate import complete
from plvm.engine.prefix import compute_prefixes
from plvm.engine.request import Request
from plvm.errors import RequestError
from plvm.model.backbone import Backbone
from plvm.personal import Personal, load
from plvm.prompt.definitions_first import DefinitionsFirst
from plvm.prompt.image_first import Prompt
from plvm.prompt.template import Template
from plvm.prompt.vocabulary import vocabulary_of
from plvm.types import Concept, SamplingParams
from toys import picture

SHORT = SamplingParams(max_tokens=4)


@pytest.fixture
def friends(vlm: Personal) -> list[Concept]:
    return vlm.enroll_many({name: [picture(10 + i)] for i, name in enumerate(("billie", "avril"))})


def with_window(vlm: Personal, turns: int) -> Personal:
    template = replace(vlm.prompt.template, turns=turns)
    prompt = type(vlm.prompt)(vlm.prompt.tokenizer, template)
    return Personal(vlm.backbone, vlm.encoder, vlm.aligner, prompt, vlm.fingerprint)


def prompt_lengths(vlm: Personal, friends: Sequence[Concept], turns: int) -> list[int]:
    chat = vlm.chat(picture(1), friends)
    return [chat.ask(f"Is <billie> number {i}?", SHORT).prompt_tokens for i in range(turns)]


def test_a_dialogue_of_any_length_is_answered_and_its_prompt_stays_bounded(
    vlm: Personal, friends: list[Concept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vlm.backbone, "max_tokens", 300)
    lengths = prompt_lengths(vlm, friends, 60)
    limit = vlm.backbone.max_tokens - SHORT.max_tokens
    assert max(lengths) < limit and any(after < before for before, after in zip(lengths, lengths[1:], strict=False))


def test_the_window_is_as_many_turns_as_the_template_says(vlm: Personal, friends: list[Concept]) -> None:
    """With a window of four the fifth turn is asked after the two before it, the same prompt as if nothing else had been said."""
    chat = with_window(vlm, 4).chat(picture(1), friends)
    for i in range(4):
        chat.ask(f"Is <billie> number {i}?", SHORT)
    kept = tuple((turn.question, turn.answer.text) for turn in chat.turns[2:])
    (prefix,) = compute_prefixes(vlm.backbone, vlm.prompt, [picture(1)])
    alone = Request(prefix.settled, "And <avril>?", tuple(friends), history=kept)
    expected, answer = complete(vlm.backbone, vlm.prompt, alone, SHORT).answer, chat.ask("And <avril>?", SHORT)
    assert (answer.text, answer.prompt_tokens) == (expected.text, expected.prompt_tokens)
    assert len(chat.turns) == 5 and chat.concepts == tuple(friends)


def test_the_picture_is_computed_once_and_the_kept_turns_are_counted(vlm: Personal, friends: list[Concept]) -> None:
    chat = with_window(vlm, 3).chat(picture(1), friends)
    prefix = vlm.look(picture(1)).length
    counted = []
    for i in range(9):
        before = vlm.backbone.tokens_computed
        answer = chat.ask(f"Is <billie> number {i}?", SHORT)
        steps = max(answer.new_tokens - (answer.finish == "length"), 0)
        counted.append((vlm.backbone.tokens_computed - before - steps, answer.computed_tokens - (prefix if i == 0 else 0)))
        if i:
            assert answer.computed_tokens <= answer.prompt_tokens - prefix
    assert all(computed == told for computed, told in counted), counted


@pytest.mark.parametrize("writer", [Prompt, DefinitionsFirst])
def test_what_is_written_again_is_what_was_said(
    writer: type[Prompt], vlm: Personal, backbone: Backbone, friends: list[Concept]
) -> None:
    """A history in one piece is the token sequence of the turns it consists of."""
    prompt = writer(vlm.prompt.tokenizer, Template(form="definitions-first") if writer is DefinitionsFirst else None)
    (start,) = compute_prefixes(backbone, prompt, [picture(1)])
    vocabulary = vocabulary_of([friends], backbone.word_rows, [start.features])
    said = (("Who is <avril>?", "Yes"), ("Where is she?", "<billie> Yes"))
    whole = Request(start, "And now?", tuple(friends), history=said).write(prompt, vocabulary)
    first = Request(start, said[0][0], tuple(friends)).write(prompt, vocabulary)
    assert whole[: len(first)] == first
    assert whole.count(prompt.end_id) == 2 and whole.count(vocabulary.word_id(1)) == 2
    definition = vocabulary.context_ids(0)
    assert sum(whole[i : i + len(definition)] == definition for i in range(len(whole))) == 1


def test_mini_writes_a_dialogue_again_as_the_very_tokens_that_it_had() -> None:
    vlm = load("mini", device="cpu")
    (start,) = [vlm.look(picture(1))]
    state, said = start, []
    for question in ("Is it day?", "Where is this?", "How many people are there?"):
        done = complete(vlm.backbone, vlm.prompt, Request(state, question), SamplingParams())
        said.append((question, done.answer.text))
        state = done.session
    going_on = complete(vlm.backbone, vlm.prompt, Request(state, "What is the weather like?"))
    again = complete(vlm.backbone, vlm.prompt, Request(start, "What is the weather like?", history=tuple(said)))
    assert going_on.answer.text == again.answer.text and going_on.answer.prompt_tokens == again.answer.prompt_tokens
    for (k, v), (k2, v2) in zip(going_on.session.past, again.session.past, strict=True):
        torch.testing.assert_close((k, v), (k2, v2), rtol=1e-3, atol=1e-3)
    assert going_on.session.turns == again.session.turns == 4


def test_a_single_question_that_is_too_long_is_refused_and_changes_nothing(vlm: Personal, friends: list[Concept]) -> None:
    chat = vlm.chat(picture(1), friends)
    chat.ask("Is <billie> here?", SHORT)
    with pytest.raises(RequestError, match="the model reads fewer than"):
        chat.ask("why " * vlm.backbone.max_tokens, SHORT)
    assert len(chat.turns) == 1
    assert chat.ask("And <avril>?", SHORT).text is not None and len(chat.turns) == 2


def test_somebody_who_joins_as_the_window_moves_is_known(vlm: Personal, friends: list[Concept]) -> None:
    chat = with_window(vlm, 2).chat(picture(1), friends[:1])
    for i in range(2):
        chat.ask(f"Is <billie> number {i}?", SHORT)
    chat.add(friends[1])
    chat.ask("Who is <avril>?", SHORT)
    assert chat.concepts == tuple(friends) and chat.turns[-1].joined == ("avril",)
    assert chat.ask("Is <avril> with <billie>?", SHORT).text is not None
