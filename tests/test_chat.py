"""Dialogues and the object a user holds: who joins when, what is computed, what is refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest
import torch

from pictures import encoded
from plvm.engine.checks import checked_question
from plvm.engine.prefix import compute_prefixes
from plvm.errors import (
    AlignerMismatchError,
    ConceptNameError,
    DuplicateConceptError,
    ImageError,
    RequestError,
    UnknownConceptError,
)
from plvm.model.backbone import Backbone
from plvm.personal import Personal
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import Tokens
from plvm.prompt.vocabulary import vocabulary_of
from plvm.types import Concept, SamplingParams
from toys import picture

SHORT = SamplingParams(max_tokens=8)
NAMES = ("billie", "avril", "zoë")


@pytest.fixture
def friends(vlm: Personal) -> list[Concept]:
    return vlm.enroll_many({name: [picture(10 + i)] for i, name in enumerate(NAMES)})


# ---- dialogues


def test_a_dialogue_is_the_token_sequence_that_training_writes(
    vlm: Personal, friends: list[Concept], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embeddings that go through the backbone in four turns, with people joining at turns 1, 3 and 4, are those of
    the one sequence that Prompt writes for the whole dialogue, with all concepts there from the start."""
    prompt, backbone = vlm.prompt, vlm.backbone
    pushed: list[torch.Tensor] = []
    hidden = backbone.hidden
    monkeypatch.setattr(backbone, "hidden", lambda e, *a, **k: (pushed.append(e[0]), hidden(e, *a, **k))[1])
    script = [
        ("Is <billie> in this photo?", "Yes", 0),
        ("Where?", "on the left", 0),
        ("Who is next to <avril>?", "<billie> is.", 1),
        ("Is <zoë> with <billie>?", "No", 2),
    ]
    whole = vocabulary_of([friends], backbone.word_rows)
    said: Iterator[int] = iter(())
    monkeypatch.setattr("plvm.engine.decoding.sample_all", lambda *_: [next(said)])
    chat, tokens = vlm.chat(picture(1)), Tokens()
    joined = -1
    for turn, (question, answer, last) in enumerate(script):
        said = iter([*prompt.named_text(" " + answer, NAMES, whole), prompt.end_id])
        if turn:
            prompt.next_turn(tokens)
        if last > joined:
            chat.add(friends[last])
            prompt.define(tokens, last, whole)
            joined = last
        prompt.question(tokens, question, NAMES, whole)
        prompt.answer(tokens, answer, NAMES, whole)
        assert chat.ask(question).text == answer
    expected = whole.embed(torch.tensor([tokens.ids]), backbone.word_rows)[0]
    ours = torch.cat(pushed[1:])  # pushed[0] is the image prefix
    # the end of the last answer would be computed with a fifth turn
    torch.testing.assert_close(ours, expected[:-1], rtol=0, atol=0)


def test_adding_a_concept_mid_dialogue_computes_only_the_new_turn(vlm: Personal, friends: list[Concept]) -> None:
    chat = vlm.chat(picture(1), friends[:1])
    first = chat.ask("Is <billie> in this photo?", SHORT)
    chat.ask("Where?", SHORT)
    chat.add(friends[1])
    before = vlm.backbone.tokens_computed
    third = chat.ask("And <avril>?", SHORT)
    prompt, tokens = vlm.prompt, Tokens()
    prompt.turn(
        tokens, "And <avril>?", NAMES, vocabulary_of([friends[:2]], vlm.backbone.word_rows), joining=[1], first=False
    )
    tail = 2 if chat.turns[1].answer.finish == "length" else 1  # what the last answer left: its last token, its end
    assert third.computed_tokens == len(tokens) + tail
    decoded = third.new_tokens - (third.finish == "length")
    assert vlm.backbone.tokens_computed - before == third.computed_tokens + decoded
    assert third.prompt_tokens > 2 * third.computed_tokens
    assert first.computed_tokens == first.prompt_tokens, "the first turn computes the picture too"


def test_a_dialogue_says_what_its_whole_sequence_would_say_from_scratch(
    vlm: Personal, friends: list[Concept], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = vlm.chat(picture(1), friends[:1])
    pushed: list[torch.Tensor] = []
    hidden = vlm.backbone.hidden
    monkeypatch.setattr(vlm.backbone, "hidden", lambda e, *a, **k: (pushed.append(e), hidden(e, *a, **k))[1])
    chat.ask("Where is <billie>?", SHORT)
    chat.add(friends[1])
    answer = chat.ask("And <avril>?", SamplingParams(max_tokens=1))
    prefix = _prefix_embeddings(vlm.backbone, vlm.prompt)
    with torch.no_grad():
        last = hidden(torch.cat([prefix, *pushed], 1))[0][:, -1:]
    logits = vocabulary_of([friends[:2]], vlm.backbone.word_rows).logits(last, vlm.backbone.head_rows)[0, 0]
    best = int(logits.argmax())
    base = vlm.backbone.vocabulary_size
    said = f"<{NAMES[best - base]}>" if best >= base else vlm.backbone.tokenizer.decode([best])
    assert answer.text == said.lstrip()


def _prefix_embeddings(backbone: Backbone, prompt: Prompt) -> torch.Tensor:
    before, after = (backbone.word_rows[list(ids)][None] for ids in prompt.prefix())
    with torch.no_grad():
        return torch.cat([before, backbone.image_tokens(backbone.pixels([picture(1)]))[0].rows[None], after], 1)


def test_turns_tell_what_was_asked_said_and_who_joined(vlm: Personal, friends: list[Concept]) -> None:
    chat = vlm.chat(picture(1), friends[:1])
    said = [chat.ask("Where is <billie>?", SHORT)]
    chat.add(friends[1])
    assert [c.name for c in chat.concepts] == ["billie", "avril"]
    said.append(chat.ask("Who is with <avril>?", SHORT))
    assert [t.answer for t in chat.turns] == said
    assert [t.question for t in chat.turns] == ["Where is <billie>?", "Who is with <avril>?"]
    assert [t.joined for t in chat.turns] == [("billie",), ("avril",)]


def test_an_interrupted_stream_leaves_the_chat_unchanged(vlm: Personal, friends: list[Concept]) -> None:
    long = SamplingParams(max_tokens=30)
    chat, other = vlm.chat(picture(1), friends[:1]), vlm.chat(picture(1), friends[:1])
    assert chat.ask("Where is <billie>?", SHORT) == _same(other.ask("Where is <billie>?", SHORT), chat)
    chat.add(friends[1])
    chunks = chat.stream("Who is <avril>?", long)
    assert next(chunks) and next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert len(chat.turns) == 1 and [c.name for c in chat.concepts] == ["billie", "avril"]
    other.add(friends[1])
    again, never = chat.ask("Who is <avril>?", long), other.ask("Who is <avril>?", long)
    assert (again.text, again.computed_tokens) == (never.text, never.computed_tokens)


def _same(answer: object, chat: object) -> object:
    """`answer` with the costs of the chat's own: the second picture came from the cache, and clocks differ."""
    from dataclasses import replace

    mine = chat.turns[-1].answer  # type: ignore[attr-defined]
    return replace(answer, seconds=mine.seconds, computed_tokens=mine.computed_tokens)  # type: ignore[type-var]


def test_an_error_leaves_the_chat_unchanged(
    vlm: Personal, friends: list[Concept], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = vlm.chat(picture(1), friends[:1])
    expected = vlm.chat(picture(1), friends[:1]).ask("Where is <billie>?", SHORT).text
    with pytest.raises(UnknownConceptError):
        chat.ask("Where is <avril>?")
    with pytest.raises(RequestError):
        chat.ask("word " * 3000)
    with monkeypatch.context() as broken:
        broken.setattr("plvm.engine.decoding.sample_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            chat.ask("Where is <billie>?")
    assert chat.turns == ()
    assert chat.ask("Where is <billie>?", SHORT).text == expected


def test_two_chats_do_not_affect_each_other(vlm: Personal, friends: list[Concept]) -> None:
    def talk(chat_of: list[int]) -> list[list[str]]:
        chats = [vlm.chat(picture(1), [friends[0]]), vlm.chat(picture(1), [friends[1]])]
        said: list[list[str]] = [[], []]
        for i in chat_of:
            if len(said[i]) == 1:
                chats[i].add(friends[2])
            said[i].append(chats[i].ask(f"Who is <{NAMES[i]}>?", SHORT).text)
        return said

    interleaved = talk([0, 1, 1, 0, 0, 1])
    assert interleaved == talk([0, 0, 0, 1, 1, 1])
    assert interleaved[0] != interleaved[1]


def test_two_streams_of_one_chat_are_refused_instead_of_mixed(vlm: Personal, friends: list[Concept]) -> None:
    chat = vlm.chat(picture(1), friends[:1])
    first, second = chat.stream("Where?", SHORT), chat.stream("Who?", SHORT)
    next(first), next(second)
    list(first)
    with pytest.raises(RequestError, match="Another turn"):
        list(second)
    assert [t.question for t in chat.turns] == ["Where?"]


def test_looking_at_another_picture_begins_anew_with_everyone(vlm: Personal, friends: list[Concept]) -> None:
    chat = vlm.chat(picture(1), friends[:1])
    chat.ask("Where is <billie>?", SHORT)
    chat.add(friends[1])
    with pytest.raises(ImageError):
        chat.look_at(b"not a picture")
    assert len(chat.turns) == 1
    chat.look_at(picture(2))
    assert chat.turns == () and [c.name for c in chat.concepts] == ["billie", "avril"]
    answer = chat.ask("Who is that?", SHORT)
    assert answer.text == vlm.ask(picture(2), "Who is that?", friends[:2], SHORT).text
    assert chat.turns[0].joined == ("billie", "avril")


def test_streamed_turns_say_what_asked_ones_say(vlm: Personal, friends: list[Concept]) -> None:
    asked, streamed = vlm.chat(picture(1), friends[:2]), vlm.chat(picture(1), friends[:2])
    for question in ("Where is <billie>?", "Who is on the left?"):
        assert "".join(streamed.stream(question, SHORT)) == asked.ask(question, SHORT).text
    assert [t.question for t in streamed.turns] == [t.question for t in asked.turns]


def test_a_stopped_or_cut_answer_stays_in_the_dialogue_as_it_was_shown(
    vlm: Personal, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[int] = []
    hidden = vlm.backbone.hidden
    monkeypatch.setattr(vlm.backbone, "hidden", lambda e, *a, **k: (pushed.append(e.shape[1]), hidden(e, *a, **k))[1])
    prompt, rows = vlm.prompt, vlm.backbone.word_rows
    letters = [i for c in " on the left" for i in prompt.text(c)]
    said = iter([*letters, prompt.end_id, prompt.end_id])
    monkeypatch.setattr("plvm.engine.decoding.sample_all", lambda *_: [next(said)])
    chat = vlm.chat(picture(1))
    assert chat.ask("Where?", SamplingParams(stop=("he l",))).text == "on t"
    second = chat.ask("What?")
    tokens = Tokens()
    prompt.turn(tokens, "Where?", (), vocabulary_of([[]], rows))
    tokens.add([*[i for c in " on t" for i in prompt.text(c)], prompt.end_id])
    prompt.turn(tokens, "What?", (), vocabulary_of([[]], rows), first=False)
    assert second.prompt_tokens == pushed[0] + len(tokens)


# ---- the object a user holds


def test_asking_needs_neither_concepts_nor_a_picture(vlm: Personal, friends: list[Concept]) -> None:
    assert vlm.ask(picture(1), "What is that?", params=SHORT).text
    text = vlm.ask(None, "Does <billie> have red hair?", friends[:1], SHORT)
    assert text.text and text.prompt_tokens < 25


def test_enrolling_changes_no_weight_of_anything(vlm: Personal) -> None:
    parts = (vlm.backbone.model, vlm.encoder.model, vlm.aligner)
    before = [{k: v.clone() for k, v in p.state_dict().items()} for p in parts]
    concept = vlm.enroll("billie", picture(1), picture(2), notes="my cat")
    vlm.ask(picture(3), "Where is <billie>?", [concept], SHORT)
    for part, kept in zip(parts, before, strict=True):
        assert all(torch.equal(v, kept[k]) for k, v in part.state_dict().items())
    assert concept.notes == "my cat" and len(concept.references) == 2
    assert concept.aligner == vlm.fingerprint and concept.created.endswith("+00:00")


def test_enrolling_many_equals_enrolling_one_by_one(vlm: Personal) -> None:
    references = {"billie": [picture(1)], "avril": [picture(2), picture(3)], "zoë": [encoded(picture(4))]}
    together = vlm.enroll_many(references, batch=2)
    assert [c.name for c in together] == list(references)
    for concept in together:
        alone = vlm.enroll(concept.name, *references[concept.name])
        for part in ("word", "head", "context", "key"):
            torch.testing.assert_close(getattr(alone.tokens, part), getattr(concept.tokens, part), rtol=1e-4, atol=1e-5)
        assert alone.references == concept.references
    assert together[0].tokens.key.norm().item() == pytest.approx(1, abs=1e-5)


def test_a_reference_can_be_enrolled_again_from_its_kept_bytes(vlm: Personal, friends: list[Concept]) -> None:
    again = vlm.enroll("billie", *friends[0].references)
    torch.testing.assert_close(again.tokens.context, friends[0].tokens.context, rtol=1e-5, atol=1e-6)


def test_recognize_holds_a_few_pictures_at_a_time_and_finds_the_same(
    vlm: Personal, friends: list[Concept], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [picture(i) for i in range(5)]
    whole = vlm.recognize(many, friends)
    counts = []
    look = vlm.engine.look
    monkeypatch.setattr(vlm.engine, "look", lambda some, **k: counts.append(len(some)) or look(some, **k))
    monkeypatch.setattr("plvm.engine.engine.LOOKED", 2)
    again = vlm.recognize(many, friends)
    assert counts == [2, 2, 1]
    assert all(a == pytest.approx(b, abs=1e-6) for a, b in zip(again, whole, strict=True))


def test_recognize_gives_a_row_per_picture_and_looks_at_each_once(vlm: Personal, friends: list[Concept]) -> None:
    before = vlm.backbone.tokens_computed
    rows = vlm.recognize([picture(1), picture(2), picture(1)], friends)
    assert [len(r) for r in rows] == [3, 3, 3] and rows[0] == pytest.approx(rows[2], abs=1e-6) and rows[0] != rows[1]
    assert all(0 <= p <= 1 for r in rows for p in r)
    prefix = compute_prefixes(vlm.backbone, vlm.prompt, [picture(1)])[0].length
    first = vlm.backbone.tokens_computed - before - prefix
    before = vlm.backbone.tokens_computed
    vlm.recognize([picture(1), picture(2), picture(1)], friends)
    assert first - (vlm.backbone.tokens_computed - before) == 2 * prefix
    assert vlm.recognize([], friends) == [] and vlm.recognize([picture(1)], []) == [[]]


def test_a_looked_at_picture_can_be_asked_about_again(vlm: Personal, friends: list[Concept]) -> None:
    before = vlm.backbone.tokens_computed
    prefix = vlm.look(picture(1))
    assert vlm.backbone.tokens_computed - before == prefix.length
    assert vlm.look(picture(1)).past is prefix.past
    assert vlm.look(picture(1), namespace="someone else").past is not prefix.past
    answer = vlm.ask(prefix, "Who is <billie>?", friends[:1], SHORT)
    assert answer.text == vlm.ask(picture(1), "Who is <billie>?", friends[:1], SHORT).text
    assert answer.computed_tokens == answer.prompt_tokens - prefix.length


def test_many_questions_are_answered_as_single_ones(vlm: Personal, friends: list[Concept]) -> None:
    questions = [
        (picture(1), "Where is <billie>?", friends[:1]),
        (None, "Is <avril> tall?", friends[1:]),
        (picture(1), "Who is that?", ()),
    ]
    together = vlm.ask_many(questions, SHORT)
    assert [a.text for a in together] == [vlm.ask(*q, SHORT).text for q in questions]


def test_an_unknown_name_in_a_question_names_the_nearest(vlm: Personal, friends: list[Concept]) -> None:
    with pytest.raises(UnknownConceptError) as caught:
        vlm.ask(picture(1), "Where is <bilie>?", friends)
    assert "<bilie>" in caught.value.message and "Did you mean <billie>?" in caught.value.hint
    for call in (vlm.stream, vlm.chat(picture(1), friends).stream):
        with pytest.raises(UnknownConceptError):
            call(*([picture(1)] if call == vlm.stream else []), "Where is <nobody>?")  # type: ignore[operator]
    assert vlm.ask(picture(1), "Where is <bilie>?", friends, SHORT, strict_names=False).text


@pytest.mark.parametrize("text", ["<image>", "</s>", "<s >", "a < b > c", "[INST]", "<|im_end|>", "<-x>"])
def test_what_cannot_be_a_name_is_plain_text(vlm: Personal, friends: list[Concept], text: str) -> None:
    assert checked_question(f"{text} and <billie>?", {f.name: "" for f in friends}) == f"{text} and <billie>?"
    assert vlm.ask(picture(1), f"What is {text}?", friends, SHORT).text


def test_a_name_is_the_same_name_however_its_letters_are_composed(vlm: Personal, friends: list[Concept]) -> None:
    question = unicodedata.normalize("NFD", "Where is <zoë>?")
    assert len(question) == 16
    assert vlm.ask(None, question, friends, SHORT).text == vlm.ask(None, "Where is <zoë>?", friends, SHORT).text


def test_a_concept_made_by_another_aligner_says_how_to_re_enrol_it(vlm: Personal, people: list[Concept]) -> None:
    for call in (
        lambda: vlm.ask(picture(1), "Hi?", people[:1]),
        lambda: vlm.chat(picture(1), people[:1]),
        lambda: vlm.chat(picture(1)).add(people[0]),
        lambda: vlm.recognize([picture(1)], people[:1]),
    ):
        with pytest.raises(AlignerMismatchError, match="made by another Aligner") as caught:
            call()
        assert "plvm add --re-enrol" in caught.value.hint


def test_bad_input_is_refused_in_words(vlm: Personal, friends: list[Concept]) -> None:
    with pytest.raises(ConceptNameError):
        vlm.enroll("not <a> name", picture(1))
    with pytest.raises(ImageError, match="no reference image"):
        vlm.enroll("billie")
    with pytest.raises(ImageError):
        vlm.enroll("billie", "/nowhere/billie.jpg")
    with pytest.raises(DuplicateConceptError):
        vlm.enroll_many({"billie": [picture(1)], "<billie>": [picture(2)]})
    with pytest.raises(DuplicateConceptError):
        vlm.ask(None, "Hi?", [friends[0], friends[0]])
    with pytest.raises(DuplicateConceptError):
        vlm.chat(None, friends).add(friends[0])
    with pytest.raises(RequestError, match="empty"):
        vlm.ask(None, "  \n", friends)
