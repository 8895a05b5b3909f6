"""A dialogue goes on in the memory that it is in; whoever else continues the same state copies. Neither disturbs the other."""

from __future__ import annotations

from dataclasses import replace

import torch

from plvm.engine.generate import complete
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.server.sessions import Sessions, key_of
from plvm.types import Concept, SamplingParams

PARAMS = SamplingParams(max_tokens=7)


def begun(backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], people: list[Concept]) -> Session:
    """The state after a first turn."""
    return complete(backbone, prompt, Request(prefixes[0], "Where is <billie>?", (people[0],)), PARAMS).session


def test_two_that_continue_one_state_say_what_they_say_with_copies_of_it(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], people: list[Concept]
) -> None:
    state = begun(backbone, prompt, prefixes, people)
    before = [t.clone() for pair in state.past for t in pair]
    questions = ["Who is it?", "What is <billie> doing?", "Is it raining?"]
    copied = [complete(backbone, prompt, Request(replace(state, room=None), q), PARAMS) for q in questions]
    first, second, third = (complete(backbone, prompt, Request(state, q), PARAMS) for q in questions)
    for ours, theirs in zip((first, second, third), copied, strict=True):
        assert ours.answer.text == theirs.answer.text and ours.ids == theirs.ids
        torch.testing.assert_close(ours.session.past, theirs.session.past, rtol=0, atol=1e-10)
    again = [complete(backbone, prompt, Request(s, "And then?"), PARAMS) for s in (first.session, copied[0].session)]
    torch.testing.assert_close(again[0].session.past, again[1].session.past, rtol=0, atol=1e-10)
    assert all(torch.equal(a, b) for a, b in zip(before, (t for pair in state.past for t in pair), strict=True))


def test_the_first_that_continues_writes_on_and_copies_nothing(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], people: list[Concept]
) -> None:
    state = begun(backbone, prompt, prefixes, people)
    where = state.past[0][0].data_ptr()
    after, other = (complete(backbone, prompt, Request(state, "Who?"), SamplingParams(max_tokens=1)).session for _ in range(2))
    assert after.past[0][0].data_ptr() == where != other.past[0][0].data_ptr()


def test_what_a_server_keeps_of_a_dialogue_is_apart_from_what_comes_after_it(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], people: list[Concept]
) -> None:
    state, sessions = begun(backbone, prompt, prefixes, people), Sessions(10**9)
    key = key_of("home", "picture", state.concepts, ())
    sessions.put(key, state, 0)
    kept = sessions.get(key)
    assert kept is not None and kept.room is None and kept.length == state.length
    for pair, own in zip(state.past, kept.past, strict=True):
        for t, copied in zip(pair, own, strict=True):
            assert torch.equal(t, copied)
            assert copied.untyped_storage().nbytes() == copied.nbytes < t.untyped_storage().nbytes()


def test_a_step_that_outgrows_the_room_takes_a_new_one(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], people: list[Concept]
) -> None:
    long = SamplingParams(max_tokens=200)
    state = begun(backbone, prompt, prefixes, people)
    ours = complete(backbone, prompt, Request(state, "Who is it?"), long)
    theirs = complete(backbone, prompt, Request(replace(state, room=None), "Who is it?"), long)
    assert ours.ids == theirs.ids and len(state.past[0][0][0, 0]) == state.length
