"""The engine: scores and answers equal those of the stock model, batched and alone; requests never meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from plvm.engine.decoding import never_chosen
from plvm.engine.gathered import gather
from plvm.engine.generate import complete, generate, stream
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request
from plvm.engine.score import batches, choose, yes_of, yes_probability
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, SamplingParams
from toys import a_concept, extended, picture

SHORT = SamplingParams(max_tokens=24)


def full_ids(backbone: Backbone, prompt: Prompt, request: Request, image: bool = True) -> torch.Tensor:
    """int64[1, T]: the whole sequence of a request as the stock model takes it, image tokens written out."""
    config = backbone.model.config
    before, after = prompt.prefix()
    suffix = gather(backbone, prompt, [request]).ids[0].tolist()
    return torch.tensor([[*before, *([config.image_token_id] * config.image_seq_length * image), *after, *suffix]])


def spoken(prompt: Prompt, names: Sequence[str], base: int, ids: Sequence[int]) -> str:
    """Ids -> text, the plain way."""
    text, run = "", []
    for i in [*ids, None]:
        if i is not None and i < base:
            run.append(i)
            continue
        text += prompt.tokenizer.decode(run)
        run = []
        if i is not None:
            text += ("" if not text.strip() or text[-1].isspace() else " ") + f"<{names[i - base]}>"
    return text.lstrip()


# ---- equal to the stock model


def test_generation_from_a_cached_prefix_equals_generation_from_scratch(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    two, base = people[:2], backbone.vocabulary_size
    model = extended(backbone, two)
    banned = never_chosen(backbone, prompt).nonzero().flatten().tolist()
    said_a_name = False
    for question in ("Who is on the left?", "Is <billie> next to <avril>?", "What is <avril> doing?"):
        request = Request(prefixes[0], question, tuple(two))
        ids = full_ids(backbone, prompt, request)
        whole = model.generate(
            input_ids=ids,
            **backbone.pixels([picture(1)]).inputs,
            max_new_tokens=SHORT.max_tokens,
            do_sample=False,
            suppress_tokens=[*banned, *range(base + 2, base + 10)],
            eos_token_id=prompt.end_id,
            pad_token_id=prompt.end_id,
        )[0, ids.shape[1] :].tolist()
        new = whole[: whole.index(prompt.end_id)] if prompt.end_id in whole else whole
        answer = generate(backbone, prompt, [request], SHORT)[0]
        assert answer.text == spoken(prompt, request.names, base, new)
        assert answer.new_tokens == len(new) and answer.prompt_tokens == ids.shape[1]
        said_a_name |= bool(answer.names)
    assert said_a_name, "the toy must say a name, or names are not tested here"


def test_control_tokens_are_never_said_however_probable_they_are(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    request = Request(prefixes[0], "Who is on the left?", tuple(people[:2]))
    begin, rows = prompt.tokenizer.bos_token_id, backbone.head_rows
    kept = rows[begin].clone()
    try:
        with torch.no_grad():
            g = gather(backbone, prompt, [request])
            rows[begin] = 1000 * g.last(backbone)[0]  # nothing is nearer to what the model is about to say
        done = complete(backbone, prompt, request, SamplingParams(max_tokens=3))
        assert done.first is not None and done.first[begin] == float("-inf")
        assert begin not in done.ids and len(done.ids) == 3
    finally:
        with torch.no_grad():
            rows[begin] = kept


def test_yes_probability_equals_the_stock_model_on_the_whole_sequence(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    ours = yes_probability(backbone, prompt, prefixes[:2], people, batch=3)
    assert ours.shape == (2, 4) and ours.std() > 0.05
    for c, concept in enumerate(people):
        model = extended(backbone, [concept])
        for i in range(2):
            question = f"Is <{concept.name}> in this photo? Answer with Yes or No."
            ids = full_ids(backbone, prompt, Request(prefixes[i], question, (concept,)))
            logits = model(input_ids=ids, **backbone.pixels([picture(i + 1)]).inputs).logits[0, -1]
            both = logits[[prompt.yes_id, prompt.no_id]].softmax(0)
            assert ours[i, c].item() == pytest.approx(both[0].item(), abs=1e-6)


def test_choosing_among_options_equals_the_likelihood_of_whole_sequences(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    request = Request(prefixes[1], "Who is that?", tuple(people[:2]))
    options = ["<billie>", "<avril> reading a book", "Someone I do not know", "No"]
    ours = choose(backbone, prompt, request, options)
    model, ids = extended(backbone, people[:2]), full_ids(backbone, prompt, request)
    columns, scores = backbone.vocabulary_size + 2, []
    for option in options:
        vocabulary = gather(backbone, prompt, [request]).vocabulary
        tail = [*prompt.named_text(" " + option, request.names, vocabulary), prompt.end_id]
        whole = torch.cat([ids, torch.tensor([tail])], 1)
        logits = model(input_ids=whole, **backbone.pixels([picture(2)]).inputs).logits[0, :, :columns]
        scores.append(logits.log_softmax(-1)[ids.shape[1] - 1 : -1].gather(1, torch.tensor(tail)[:, None]).sum())
    torch.testing.assert_close(ours, torch.stack(scores).softmax(0).float(), rtol=1e-4, atol=1e-6)
    assert ours.sum().item() == pytest.approx(1)


def test_a_text_without_picture_equals_the_stock_language_model(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    request = Request(prefixes[2], "Does <my-cat> have red hair?", (people[2],))
    logits = extended(backbone, people[2:3])(input_ids=full_ids(backbone, prompt, request, image=False)).logits[0, -1]
    both = logits[[prompt.yes_id, prompt.no_id]].softmax(0)
    assert yes_of(backbone, prompt, [request]).item() == pytest.approx(both[0].item(), abs=1e-6)


# ---- batches


def mixed(people: list[Concept], prefixes: list[ImagePrefix], backbone: Backbone, prompt: Prompt) -> list[Request]:
    """Requests with different pasts, lengths and concepts."""
    first = Request(prefixes[0], "Where is <billie>?", (people[0],))
    after = complete(backbone, prompt, first, SamplingParams(max_tokens=5)).session
    return [
        first,
        Request(prefixes[1], "Who is on the left, <billie> or <avril> or <my-cat>?", tuple(people[:3])),
        Request(prefixes[2], "What does <zoë> look like?", (people[3],)),
        Request(prefixes[1], "How many people are there?"),
        Request(after, "And <avril>?", (people[1],)),
    ]


@pytest.mark.parametrize("params", [SHORT, SamplingParams(1.0, top_p=0.9, max_tokens=20, seed=7)])
def test_batched_answers_equal_one_by_one_answers(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], params: SamplingParams
) -> None:
    requests = mixed(people, prefixes, backbone, prompt)
    together = generate(backbone, prompt, requests, params)
    alone = [generate(backbone, prompt, [r], params)[0] for r in requests]
    in_twos = generate(backbone, prompt, requests, params, batch=2)
    for a, b, c in zip(together, alone, in_twos, strict=True):
        assert (a.text, a.finish, a.new_tokens) == (b.text, b.finish, b.new_tokens) == (c.text, c.finish, c.new_tokens)
    assert len({a.text for a in together}) == len(requests)


def test_each_request_of_a_batch_has_its_own_parameters(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix]
) -> None:
    requests = [Request(prefixes[0], "Hello?")] * 3
    params = [SamplingParams(max_tokens=3), SamplingParams(max_tokens=9), SamplingParams(2.0, max_tokens=9, seed=1)]
    short, long, hot = generate(backbone, prompt, requests, params)
    assert (short.new_tokens, long.new_tokens) == (3, 9)
    assert long.text.startswith(short.text) and hot.text != long.text


def test_batched_scores_equal_one_by_one_scores(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    requests = mixed(people, prefixes, backbone, prompt)
    together = yes_of(backbone, prompt, requests)
    for score, request in zip(together, requests, strict=True):
        torch.testing.assert_close(score[None], yes_of(backbone, prompt, [request]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ((34, 34), [34, 34]),
        ((100,), [34, 34, 32]),
        ((3,) * 40, [48, 48, 24]),
        ((25, 25, 10), [25, 35]),
        ((50, 10, 2), [25, 37]),
        ((), []),
    ],
)
def test_who_shares_a_picture_is_scored_together_where_that_is_possible(
    counts: tuple[int, ...], found: list[int], prefixes: list[ImagePrefix]
) -> None:
    states = [replace(prefixes[0], past=(*prefixes[0].past,)) for _ in counts]
    requests = [Request(state, str(i)) for state, count in zip(states, counts, strict=True) for i in range(count)]
    parts = [list(part) for part in batches(requests, 48)]
    assert [len(part) for part in parts] == found
    assert [r for part in parts for r in part] == requests, "everybody once, in order"


def test_a_concept_of_another_request_is_never_visible(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    mine = Request(prefixes[0], "Who is <billie> next to, <zoë>?", (people[0],))
    strangers = [a_concept(name, 50 + i, backbone.width) for i, name in enumerate(("billie", "zoë"))]
    others = [(people[1], people[3]), (), tuple(strangers)]
    answers = [
        generate(backbone, prompt, [Request(prefixes[0], "Where is <zoë>?", other), mine], SHORT)[1].text
        for other in others
    ]
    scores = [
        yes_of(backbone, prompt, [mine, Request(prefixes[0], "Is <zoë> here?", other)])[0].item() for other in others
    ]
    assert len(set(answers)) == 1
    assert scores == pytest.approx([scores[0]] * 3, abs=1e-6)


def test_two_interleaved_streams_with_different_concepts_do_not_affect_each_other(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    requests = [Request(prefixes[0], "Who is that?", (c,)) for c in people[:2]]
    alone = [complete(backbone, prompt, r, SHORT).answer.text for r in requests]
    streams = [stream(backbone, prompt, r, SHORT) for r in requests]
    said = ["", ""]
    for _ in range(99):
        for i in (0, 1):
            said[i] += next(streams[i], "")
    assert said == alone and alone[0] != alone[1]
