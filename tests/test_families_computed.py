"""What is computed with every family of backbones, against the stock model with physically longer tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from backbone_families import NAMES, QUESTION, SHORT, pictures, stock_inputs, stock_logits
from backbone_families import exact as exact
from backbone_families import folder as folder
from backbone_families import people as people
from backbone_families import prefixes as prefixes
from backbone_families import prompt as prompt
from plvm.engine import decoding as engine
from plvm.engine.decoding import never_chosen
from plvm.engine.gathered import gather
from plvm.engine.generate import complete, generate
from plvm.engine.prefix import ImagePrefix, compute_prefixes
from plvm.engine.request import Request
from plvm.engine.score import choose, yes_probability
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import Tokens
from plvm.prompt.vocabulary import vocabulary_of
from plvm.types import Concept
from toys import extended


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids that are chosen from now on."""
    ids = list[int]()
    sample_all = engine.sample_all
    monkeypatch.setattr(engine, "sample_all", lambda *a: (ids.extend(sample_all(*a)), ids[-1:])[1])
    return ids


def test_logits_equal_those_of_the_stock_model_with_extended_tables(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    two, columns = people[:2], exact.vocabulary_size + 2
    model = extended(exact, two)
    for image, prefix in zip([*pictures(), None], prefixes, strict=True):
        g = gather(exact, prompt, [Request(prefix, "Is <billie> next to <avril>?", tuple(two))])
        with torch.no_grad():
            hidden, _ = exact.hidden(g.vocabulary.embed(g.ids, exact.word_rows), g.past, g.layout.positions)
            ours = g.vocabulary.logits(hidden, exact.head_rows)[0]
            theirs = stock_logits(model, stock_inputs(exact, prompt, image, g.ids[0].tolist()))
        torch.testing.assert_close(ours, theirs[-len(ours) :, :columns], rtol=0, atol=1e-8)
        assert ours.std() > 0.3 and prefix.length + len(ours) == len(theirs)


def greedy(model: Any, exact: Backbone, prompt: Prompt, suffix: Sequence[int], columns: int, most: int) -> list[int]:
    """What the stock model says after the wide picture and `suffix`, every word computed from the beginning."""
    banned, new = never_chosen(exact, prompt).nonzero().flatten(), list[int]()
    while len(new) < most and prompt.end_id not in new:
        with torch.no_grad():
            logits = stock_logits(model, stock_inputs(exact, prompt, pictures()[1], [*suffix, *new]))[-1, :columns]
        logits[banned] = float("-inf")
        new.append(int(logits.argmax()))
    return new


def test_generation_from_a_cached_prefix_equals_generation_from_scratch(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], chosen: list[int]
) -> None:
    request = Request(prefixes[1], "Who is <billie>?", tuple(people[:2]))
    suffix = gather(exact, prompt, [request]).ids[0].tolist()
    generate(exact, prompt, [request], SHORT)
    model = extended(exact, people[:2])
    assert (
        chosen == greedy(model, exact, prompt, suffix, exact.vocabulary_size + 2, SHORT.max_tokens) and len(chosen) > 2
    )


def test_a_dialogue_in_which_someone_joins_equals_one_whole_sequence(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], chosen: list[int]
) -> None:
    first = complete(exact, prompt, Request(prefixes[1], "Where is <billie>?", (people[0],)), SHORT)
    said = [i for i in chosen if i != prompt.end_id]
    chosen.clear()
    generate(exact, prompt, [Request(first.session, "And <avril>?", (people[1],))], SHORT)
    vocabulary, tokens = vocabulary_of([people[:2]], exact.word_rows), Tokens()
    prompt.turn(tokens, "Where is <billie>?", NAMES[:1], vocabulary, joining=[0])
    tokens.add([*said, prompt.end_id])
    prompt.turn(tokens, "And <avril>?", NAMES[:2], vocabulary, joining=[1], first=False)
    model = extended(exact, people[:2])
    assert chosen == greedy(model, exact, prompt, tokens.ids, exact.vocabulary_size + 2, SHORT.max_tokens)


def test_batched_answers_and_scores_equal_single_ones(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    requests = [
        Request(prefixes[0], "Where is <billie>?", (people[0],)),
        Request(prefixes[1], "Who is on the left, <avril> or <zoë>?", tuple(people[1:])),
        Request(prefixes[2], QUESTION),
        Request(prefixes[3], "What does <avril> look like?", (people[1],)),
    ]
    together = generate(exact, prompt, requests, SHORT)
    alone = [generate(exact, prompt, [r], SHORT)[0] for r in requests]
    assert [(a.text, a.finish) for a in together] == [(a.text, a.finish) for a in alone]
    assert len({a.text for a in alone}) == 4
    scores = yes_probability(exact, prompt, prefixes[:3], people, batch=4)
    for i in range(3):
        for c, concept in enumerate(people):
            one = compute_prefixes(exact, prompt, [pictures()[i]])
            assert yes_probability(exact, prompt, one, [concept]).item() == pytest.approx(scores[i, c].item(), abs=1e-6)
    assert scores.std() > 0.01


def test_scores_and_choices_equal_the_stock_model_on_whole_sequences(
    exact: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    concept, image = people[0], pictures()[2]
    model = extended(exact, [concept])
    request = Request(prefixes[2], prompt.template.recognize.replace("{name}", "<billie>"), (concept,))
    g = gather(exact, prompt, [request])
    suffix = g.ids[0].tolist()
    with torch.no_grad():
        logits = stock_logits(model, stock_inputs(exact, prompt, image, suffix))[-1]
        expected = logits[[prompt.yes_id, prompt.no_id]].softmax(0)[0].item()
        options, scores = ["<billie> is on the left", "<billie> is in the middle", "Yes, on the right"], []
        for option in options:
            tail = [*prompt.spoken(option, request.names, g.vocabulary), prompt.end_id]
            whole = stock_logits(model, stock_inputs(exact, prompt, image, [*suffix, *tail]))
            chances = whole[-len(tail) - 1 : -1, : exact.vocabulary_size + 1].log_softmax(-1)
            scores.append(chances.gather(1, torch.tensor(tail)[:, None]).sum())
    assert yes_probability(exact, prompt, prefixes[2:3], [concept]).item() == pytest.approx(expected, abs=1e-6)
    ours = choose(exact, prompt, request, options)
    torch.testing.assert_close(ours.double().log(), torch.stack(scores).log_softmax(0), rtol=0, atol=1e-3)
