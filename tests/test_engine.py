"""The engine: prefixes, scores and answers equal those of the stock model; requests never meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from PIL import Image

from plvm.engine.generate import complete, generate, never_chosen, stream
from plvm.engine.prefix import ImagePrefix, PrefixCache, compute_prefixes, digest_of
from plvm.engine.sampler import keep_top_k, keep_top_p, sample
from plvm.engine.score import choose, yes_of, yes_probability
from plvm.engine.session import Request, gather
from plvm.errors import RequestError
from plvm.model.backbone import Backbone
from plvm.prompt import Prompt
from plvm.types import Concept, SamplingParams
from toys import a_concept, extended, picture

SHORT = SamplingParams(max_tokens=24)
Script = Callable[[Sequence[int]], None]


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


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, prompt: Prompt) -> Script:
    """`say(ids)`: the next answer consists of these ids, whatever the model wants."""

    def use(ids: Sequence[int]) -> None:
        script = iter([*ids, *[prompt.end_id] * 99])
        monkeypatch.setattr("plvm.engine.generate.sample", lambda *_: next(script))

    return use


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


# ---- prefixes


def test_a_picture_is_computed_once_for_all_concepts(backbone: Backbone, prompt: Prompt, people: list[Concept]) -> None:
    before = backbone.tokens_computed
    prefixes = compute_prefixes(backbone, prompt, [picture(1), picture(2)])
    assert backbone.tokens_computed - before == prefixes[0].length + prefixes[1].length
    suffix = gather(backbone, prompt, [Request(prefixes[0], prompt.template.recognize, (people[0],))]).ids.shape[1]
    before = backbone.tokens_computed
    yes_probability(backbone, prompt, prefixes, people, "Is it here? Answer with Yes or No.")
    assert backbone.tokens_computed - before <= 2 * len(people) * suffix


def test_prefixes_of_a_batch_equal_those_of_single_pictures(backbone: Backbone, prompt: Prompt) -> None:
    images = [picture(1), None, picture(2), picture(3)]
    for image, together in zip(images, compute_prefixes(backbone, prompt, images, batch=2), strict=True):
        alone = compute_prefixes(backbone, prompt, [image])[0]
        assert (alone.digest, alone.length) == (together.digest, together.length)
        for a, b in zip(alone.past, together.past, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_nothing_that_continues_a_prefix_changes_it(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix]
) -> None:
    before = [t.clone() for pair in prefixes[0].past for t in pair]
    request = Request(prefixes[0], "Where is <billie>?", (people[0],))
    generate(backbone, prompt, [request, request], SHORT)
    yes_probability(backbone, prompt, prefixes[:1], people)
    choose(backbone, prompt, request, ["Yes", "on the left"])
    assert all(torch.equal(a, b) for a, b in zip(before, (t for p in prefixes[0].past for t in p), strict=True))


def test_equal_pictures_have_equal_digests() -> None:
    assert digest_of(picture(1)) == digest_of(picture(1).copy()) == digest_of(picture(1).convert("RGBA"))
    assert len({digest_of(picture(1)), digest_of(picture(2)), digest_of(picture(1, 40)), digest_of(None)}) == 4
    assert digest_of(Image.new("RGB", (2, 8))) != digest_of(Image.new("RGB", (4, 4)))


def a_prefix(digest: str, size: int = 10) -> ImagePrefix:
    half = torch.zeros(1, 1, size, 1)
    return ImagePrefix(((half, half),), size, digest)  # 8 * size bytes


def test_the_cache_forgets_the_least_recently_used_beyond_its_bytes() -> None:
    cache = PrefixCache(max_bytes=240)
    for digest in "abc":
        cache.put("x", a_prefix(digest))
    assert cache.get("x", "a") is not None
    cache.put("x", a_prefix("d"))
    assert [cache.get("x", d) is not None for d in "abcd"] == [True, False, True, True]
    cache.put("x", a_prefix("huge", 100))
    assert cache.get("x", "huge") is None and len(cache) == 3
    cache.put("x", a_prefix("d"))
    assert cache.bytes == 240


def test_a_namespace_never_hits_what_another_one_looked_at() -> None:
    cache = PrefixCache()
    cache.put("x", a_prefix("a"))
    assert cache.get("y", "a") is None
    cache.put("y", a_prefix("a"))
    assert cache.forget(namespace="x") == 1
    assert cache.get("x", "a") is None and cache.get("y", "a") is not None


def test_forgetting_a_picture_drops_it_and_its_bytes() -> None:
    cache = PrefixCache()
    for namespace, digest in (("x", "a"), ("x", "b"), ("y", "a")):
        cache.put(namespace, a_prefix(digest))
    assert cache.forget(namespace="x", digest="a") == 1
    assert cache.forget(digest="a") == 1
    assert cache.forget() == 1
    assert cache.bytes == 0 and cache.forget() == 0


# ---- sampling


@pytest.mark.parametrize(
    ("p", "count"), [(0.01, 1), (0.5, 1), (0.51, 2), (0.75, 2), (0.76, 3), (0.9, 3), (0.91, 4), (1.0, 4)]
)
def test_top_p_keeps_exactly_the_smallest_sufficient_set(p: float, count: int) -> None:
    order = torch.tensor([2, 0, 3, 1])  # the most probable does not come first
    logits = torch.empty(4).scatter(0, order, torch.tensor([0.5, 0.25, 0.15, 0.1]).log())
    assert sorted(keep_top_p(logits, p).isfinite().nonzero().flatten().tolist()) == sorted(order[:count].tolist())


def test_a_set_that_sums_to_exactly_p_is_sufficient() -> None:
    assert [int(keep_top_p(torch.zeros(4), p).isfinite().sum()) for p in (0.25, 0.5, 0.75)] == [1, 2, 3]


def test_top_k_keeps_exactly_k() -> None:
    logits = torch.tensor([1.0, 3.0, 3.0, 3.0, 2.0])
    assert [int(keep_top_k(logits, k).isfinite().sum()) for k in (0, 1, 2, 4, 5, 9)] == [5, 1, 2, 4, 5, 5]


def test_temperature_zero_is_greedy_and_so_is_top_k_of_one() -> None:
    logits = torch.randn(50, generator=torch.Generator().manual_seed(0))
    best = int(logits.argmax())
    assert sample(logits, SamplingParams(temperature=0, top_p=0.1, top_k=3)) == best
    assert {sample(logits, SamplingParams(temperature=5, top_k=1)) for _ in range(20)} == {best}
    assert {sample(logits, SamplingParams(temperature=1e-320)) for _ in range(20)} == {best}
    assert len({sample(logits, SamplingParams(temperature=5)) for _ in range(50)}) > 5


def test_sampling_draws_by_probability() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.6, 0.3, 0.1]).log()
    draws = [sample(logits, SamplingParams(temperature=1), generator) for _ in range(3000)]
    assert [draws.count(i) / 3000 for i in range(3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_a_seed_makes_an_answer_repeatable(backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix]) -> None:
    request = Request(prefixes[0], "Hello?")
    texts = [
        generate(backbone, prompt, [request], SamplingParams(1.0, max_tokens=12, seed=s))[0].text for s in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_special_tokens_are_never_said(
    backbone: Backbone, prompt: Prompt, tokenizer: Any, prefixes: list[ImagePrefix], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def spy(logits: torch.Tensor, *_: object) -> int:
        seen.append(logits.clone())
        return prompt.end_id

    monkeypatch.setattr("plvm.engine.generate.sample", spy)
    generate(backbone, prompt, [Request(prefixes[0], "Hello?")])
    special = [tokenizer.convert_tokens_to_ids(t) for t in ("<image>", "<pad>", "<s>")]
    assert torch.isinf(seen[0][special]).all() and torch.isfinite(seen[0][prompt.end_id])
    assert int(torch.isinf(seen[0]).sum()) == 3


# ---- text


def chunks_of(backbone: Backbone, prompt: Prompt, request: Request, params: SamplingParams) -> list[str]:
    return list(stream(backbone, prompt, request, params))


@pytest.mark.parametrize("params", [SHORT, SamplingParams(1.2, seed=3, max_tokens=40), SamplingParams(stop=("a",))])
def test_streamed_chunks_concatenate_to_the_non_streamed_answer(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], params: SamplingParams
) -> None:
    for question in ("Who is on the left?", "Where?", "What is <billie> doing?"):
        request = Request(prefixes[0], question, tuple(people[:2]))
        chunks = chunks_of(backbone, prompt, request, params)
        assert "".join(chunks) == generate(backbone, prompt, [request], params)[0].text
        assert all(chunks)


TEXT = "né 🙂 日本語, e\u0301!"


def test_streaming_never_emits_half_a_character_or_half_a_name(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], say: Script
) -> None:
    base = backbone.vocabulary_size
    ids = [base, *prompt.text(f" is {TEXT}"), base + 1, *prompt.text(" and <billie>.")]
    assert len(ids) > len(TEXT) + 8, "characters must be split into several tokens"
    say(ids)
    chunks = chunks_of(backbone, prompt, Request(prefixes[0], "Hi?", tuple(people[:2])), SamplingParams())
    assert "".join(chunks) == f"<billie> is {TEXT} <avril> and <billie>."
    assert len(chunks) > 12 and not any("\ufffd" in c for c in chunks)
    assert all(c.count("<") == c.count(">") for c in chunks), chunks


def test_bytes_that_never_become_a_character_come_out_at_the_end(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], say: Script
) -> None:
    ids = prompt.text("ok 🙂")[:-1]
    say(ids)
    answer = complete(backbone, prompt, Request(prefixes[0], "Hi?"))
    assert answer.answer.text == "ok \ufffd"
    say(ids)
    assert "".join(chunks_of(backbone, prompt, Request(prefixes[0], "Hi?"), SamplingParams())) == "ok \ufffd"


@pytest.mark.parametrize(
    ("text", "stop", "expected"),
    [
        ("one two three four", ("o three",), "one tw"),
        ("one two three four", ("four", "two"), "one "),
        ("one twx two", ("two ",), "one twx two"),
        ("aaab", ("aab",), "a"),
        ("one\n\ntwo", ("\n\n",), "one"),
        ("one two", ("one",), ""),
        ("né 🙂!", ("🙂",), "né "),
    ],
)
def test_stop_strings_are_found_across_tokens_and_never_shown(
    backbone: Backbone,
    prompt: Prompt,
    prefixes: list[ImagePrefix],
    say: Script,
    text: str,
    stop: tuple[str, ...],
    expected: str,
) -> None:
    request, params = Request(prefixes[0], "Hi?"), SamplingParams(stop=stop)
    ids = [i for c in " " + text for i in prompt.text(c)]
    say(ids)
    answer = generate(backbone, prompt, [request], params)[0]
    assert (answer.text, answer.finish) == (expected, "end" if expected == text else "stop")
    say(ids)
    shown = ""
    for chunk in stream(backbone, prompt, request, params):
        shown += chunk
        assert expected.startswith(shown), "a chunk must never have to be taken back"


def test_a_stop_string_inside_a_name_takes_the_whole_name(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], say: Script
) -> None:
    ids = [*prompt.text(" It is"), backbone.vocabulary_size, *prompt.text(".")]
    for stop, expected in ((("lie",), "It is "), (("lie>!",), "It is <billie>."), (("lie>.",), "It is ")):
        say(ids)
        request = Request(prefixes[0], "Hi?", tuple(people[:1]))
        chunks = chunks_of(backbone, prompt, request, SamplingParams(stop=stop))
        assert "".join(chunks) == expected
        assert all(c.count("<") == c.count(">") for c in chunks)


def test_max_tokens_ends_an_answer(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], say: Script
) -> None:
    say(prompt.text(" on the left, reading a book"))
    answer = generate(backbone, prompt, [Request(prefixes[0], "Hi?")], SamplingParams(max_tokens=1))[0]
    assert (answer.text, answer.finish, answer.new_tokens) == ("on the left", "length", 1)


def test_an_answer_reports_what_it_cost_and_whom_it_names(
    backbone: Backbone, prompt: Prompt, people: list[Concept], prefixes: list[ImagePrefix], say: Script
) -> None:
    base = backbone.vocabulary_size
    say([*prompt.text(" I see"), base + 1, *prompt.text(" and"), base, *prompt.text(" and"), base + 1])
    request = Request(prefixes[0], "Hi?", tuple(people[:2]))
    suffix = gather(backbone, prompt, [request]).ids.shape[1]
    answer = generate(backbone, prompt, [request])[0]
    assert answer.text == "I see <avril> and <billie> and <avril>"
    assert answer.names == ("avril", "billie") and answer.finish == "end"
    assert (answer.computed_tokens, answer.prompt_tokens) == (suffix, prefixes[0].length + suffix)


def test_a_prompt_longer_than_the_model_reads_is_refused(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix]
) -> None:
    with pytest.raises(RequestError, match=r"tokens; the model reads fewer than 2,048"):
        generate(backbone, prompt, [Request(prefixes[0], "word " * 3000)])


def test_an_answer_ends_where_the_model_can_read_no_further(
    backbone: Backbone, prompt: Prompt, prefixes: list[ImagePrefix], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(prefixes[0], "Hello?")
    prompted = prefixes[0].length + gather(backbone, prompt, [request]).ids.shape[1]
    monkeypatch.setattr(backbone, "max_tokens", prompted + 5)
    answer = generate(backbone, prompt, [request], SHORT)[0]
    assert (answer.new_tokens, answer.finish) == (5, "length")
