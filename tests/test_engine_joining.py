"""Answers that join a batch in the middle: each is the one it would have been alone."""

from __future__ import annotations

import pytest
import torch

from plvm.engine.decoding import Completion, Decoding
from plvm.engine.generate import complete, generate
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request
from plvm.engine.steps import ROOM, Steps
from plvm.errors import RequestError
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, SamplingParams

PARAMS = [SamplingParams(max_tokens=n, temperature=t, seed=7) for n, t in ((30, 0.0), (9, 0.8), (20, 0.0), (14, 0.5))]


@pytest.fixture
def asked(prefixes: list[ImagePrefix], people: list[Concept]) -> list[Request]:
    """Four requests of different lengths, pictures and numbers of concepts."""
    return [
        Request(prefixes[0], "Who is on the left?", tuple(people[:1])),
        Request(prefixes[1], "Is <billie> next to <avril>, and what do they do there?", tuple(people[:3])),
        Request(prefixes[2], "What is a hat?"),
        Request(prefixes[1], "Where is <zoë>?", (people[3],)),
    ]


def run(decoding: Decoding, texts: dict[int, str], done: dict[int, Completion]) -> None:
    for written in decoding.step():
        texts[written.ticket] = texts.get(written.ticket, "") + written.chunk
        if written.completion is not None:
            done[written.ticket] = written.completion


def test_who_joins_while_others_are_written_gets_the_answer_it_gets_alone(
    backbone: Backbone, prompt: Prompt, asked: list[Request]
) -> None:
    decoding, texts, done = Decoding(backbone, prompt), dict[int, str](), dict[int, Completion]()
    for i, request in enumerate(asked):
        assert decoding.join([request], [PARAMS[i]]) == [i]
        for _ in range(3):
            run(decoding, texts, done)
    while len(decoding):
        run(decoding, texts, done)
    for i, request in enumerate(asked):
        alone = complete(backbone, prompt, request, PARAMS[i])
        assert texts[i] == done[i].answer.text == alone.answer.text
        assert done[i].ids == alone.ids and done[i].answer.finish == alone.answer.finish
        for (k, v), (own_k, own_v) in zip(done[i].session.past, alone.session.past, strict=True):
            assert torch.allclose(k, own_k, atol=1e-9) and torch.allclose(v, own_v, atol=1e-9)


@pytest.mark.parametrize("late", [False, True], ids=["to the end", "till another picture's joins"])
def test_answers_about_one_picture_hold_it_once_and_are_those_they_get_alone(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], people: list[Concept], asked: list[Request], late: bool
) -> None:
    decoding, texts, done = Decoding(backbone, prompt), dict[int, str](), dict[int, Completion]()
    requests = [asked[1], asked[3], Request(prefixes[1], "How many people are there, and who of them is <my-cat>?", (people[2],))]
    params = [SamplingParams(max_tokens=ROOM + 9, temperature=0.9, seed=i) for i in range(2)] + [SamplingParams(max_tokens=7)]
    decoding.join(requests, params)
    run(decoding, texts, done)
    assert decoding._steps.cache.shared is prefixes[1].past
    own = max(len(r.write(prompt, decoding._vocabulary)) for r in requests)
    assert decoding._steps.cache.end == own + ROOM, "of the picture no row has a column of its own"
    if late:
        requests.append(asked[2])
        params.append(PARAMS[2])
        decoding.join(requests[3:], params[3:])
    while len(decoding):
        run(decoding, texts, done)
    assert decoding._steps.joined == late
    for i, request in enumerate(requests):
        alone = complete(backbone, prompt, request, params[i])
        assert texts[i] == done[i].answer.text == alone.answer.text and done[i].ids == alone.ids
        torch.testing.assert_close(done[i].session.past, alone.session.past, rtol=0, atol=1e-9)


def test_where_nobody_goes_on_no_keys_and_values_are_copied(
    backbone: Backbone, prompt: Prompt, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [complete(backbone, prompt, request, params).answer.text for request, params in zip(asked, PARAMS, strict=True)]
    monkeypatch.setattr(Steps, "row", lambda *_: pytest.fail("a copy of a row"))
    assert [answer.text for answer in generate(backbone, prompt, asked, PARAMS)] == expected


def test_who_is_sent_away_changes_nothing_for_the_others(
    backbone: Backbone, prompt: Prompt, asked: list[Request]
) -> None:
    decoding, texts, done = Decoding(backbone, prompt), dict[int, str](), dict[int, Completion]()
    decoding.join(asked[:2], PARAMS[:2])
    run(decoding, texts, done)
    decoding.join(asked[2:], PARAMS[2:])
    run(decoding, texts, done)
    decoding.drop([0, 99])
    while len(decoding):
        run(decoding, texts, done)
    assert sorted(done) == [1, 2, 3]
    for i in done:
        assert done[i].answer.text == complete(backbone, prompt, asked[i], PARAMS[i]).answer.text


def test_columns_that_nobody_sees_are_not_kept_for_ever(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix]
) -> None:
    """A batch that never empties is no longer than its longest row and room for the next tokens, however many pass through it."""
    decoding = Decoding(backbone, prompt)
    request, params = Request(prefixes[0], "Who is on the left?"), SamplingParams(max_tokens=6)
    longest = 0
    for _ in range(40):
        decoding.join([request], [params])
        for _ in range(3):
            decoding.step()
        longest = max(longest, decoding._steps.cache.length if len(decoding) else 0)
    rows = complete(backbone, prompt, request, params).answer
    assert longest <= rows.prompt_tokens + params.max_tokens + ROOM


def test_a_prompt_that_is_too_long_leaves_the_batch_as_it_was(
    backbone: Backbone, prompt: Prompt, asked: list[Request]
) -> None:
    decoding, texts, done = Decoding(backbone, prompt), dict[int, str](), dict[int, Completion]()
    decoding.join(asked[:1], PARAMS[:1])
    with pytest.raises(RequestError, match="tokens"):
        decoding.join([Request(asked[0].state, "Who? " * backbone.max_tokens)], PARAMS[:1])
    while len(decoding):
        run(decoding, texts, done)
    assert done[0].answer.text == complete(backbone, prompt, asked[0], PARAMS[0]).answer.text
