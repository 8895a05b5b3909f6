"""The concept vocabulary: rows as arguments are the same as a model that was physically extended."""

from __future__ import annotations

import torch

from plvm.engine.gathered import gather
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import ids_of, vocabulary_of
from plvm.types import Concept
from toys import K, a_concept, extended, picture

QUESTION = "Is <billie> next to <avril>?"


def test_logits_with_concept_rows_equal_a_model_whose_lm_head_was_physically_extended(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    two = people[:2]
    g = gather(backbone, prompt, [Request(prefixes[0], QUESTION, tuple(two))])
    with torch.no_grad():
        hidden, _ = backbone.hidden(g.vocabulary.embed(g.ids, backbone.word_rows), g.past)
        ours = g.vocabulary.logits(hidden, backbone.head_rows)
        before, after = prompt.prefix()
        image = [backbone.model.config.image_token_id] * backbone.model.config.image_seq_length
        ids = torch.tensor([[*before, *image, *after, *g.ids[0].tolist()]])
        theirs = extended(backbone, two)(input_ids=ids, **backbone.pixels([picture(1)]).inputs).logits
    columns = backbone.vocabulary_size + 2
    assert ours.shape == (1, g.ids.shape[1], columns)
    torch.testing.assert_close(ours, theirs[:, -g.ids.shape[1] :, :columns], rtol=0, atol=1e-9)
    assert (ours[0, :, -2:].abs() > 0.1).any(), "the name columns must not be trivially equal"


def test_ids_follow_the_base_vocabulary(people: list[Concept]) -> None:
    vocabulary = vocabulary_of([people[:2]], torch.zeros(100, 64))
    assert [vocabulary.word_id(c) for c in (0, 1)] == [100, 101]
    assert vocabulary.context_ids(0) == [102, 103, 104, 105]
    assert vocabulary.context_ids(1) == [106, 107, 108, 109]


def test_every_id_is_embedded_as_its_own_row(people: list[Concept]) -> None:
    table = torch.randn(100, 64)
    vocabulary = vocabulary_of([people[:2], people[2:]], table)
    ids = torch.tensor([[5, 100, 101, *vocabulary.context_ids(1)]] * 2)
    out = vocabulary.embed(ids, table)
    for row, (first, second) in enumerate((people[:2], people[2:])):
        expected = torch.cat([table[5:6], first.tokens.word[None], second.tokens.word[None], second.tokens.context])
        assert torch.equal(out[row], expected)


def test_a_name_that_a_request_does_not_have_cannot_be_said(people: list[Concept]) -> None:
    table = torch.randn(100, 64)
    vocabulary = vocabulary_of([people[:1], people[:3], []], table)
    logits = vocabulary.logits(torch.randn(3, 2, 64), table)
    assert logits.shape == (3, 2, 103)
    assert torch.isinf(logits[0, :, 101:]).all() and torch.isinf(logits[2, :, 100:]).all()
    assert torch.isfinite(logits[1]).all() and torch.isfinite(logits[0, :, :101]).all()


def test_without_concepts_it_is_the_plain_model() -> None:
    table, hidden = torch.randn(100, 64), torch.randn(1, 3, 64)
    vocabulary = vocabulary_of([[]], table)
    assert torch.equal(vocabulary.logits(hidden, table), hidden @ table.T)
    assert torch.equal(vocabulary.embed(torch.tensor([[1, 2]]), table), table[[1, 2]][None])


def test_selected_rows_keep_their_own_concepts(people: list[Concept]) -> None:
    vocabulary = vocabulary_of([people[:2], people[2:], people[1:3]], torch.zeros(10, 64))
    chosen = vocabulary.select(torch.tensor([2, 0]))
    assert torch.equal(chosen.word[0, 0], people[1].tokens.word)
    assert torch.equal(chosen.head[1, 1], people[1].tokens.head)


def test_who_joins_others_has_the_vocabulary_they_would_have_together(people: list[Concept]) -> None:
    first, later = [people[:1], []], [people[1:4], people[:2]]
    for own, others in ((first, later), (later, first)):
        both = vocabulary_of(own, torch.zeros(10, 64)).beside(vocabulary_of(others, torch.zeros(10, 64)))
        together = vocabulary_of([*own, *others], torch.zeros(10, 64))
        for part in ("word", "head", "context", "present"):
            assert torch.equal(getattr(both, part), getattr(together, part)), part


def test_a_prompt_has_the_same_ids_where_only_they_are_wanted(
    prompt: Prompt, backbone: Backbone, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    for own in (people[:3], []):
        request = Request(prefixes[0], QUESTION, tuple(own), history=(("Who?", "Nobody."),))
        whole = vocabulary_of([own], backbone.word_rows)
        assert request.write(prompt, ids_of(own, backbone.vocabulary_size)) == request.write(prompt, whole)


def test_making_a_vocabulary_writes_nothing_into_the_backbone(backbone: Backbone) -> None:
    before = backbone.word_rows.clone(), backbone.head_rows.clone()
    vocabulary = vocabulary_of([[a_concept("x", 9, backbone.width)]], backbone.word_rows)
    vocabulary.word.zero_()
    assert torch.equal(backbone.word_rows, before[0]) and torch.equal(backbone.head_rows, before[1])
    assert vocabulary.context.shape == (1, 1, K, backbone.width)
