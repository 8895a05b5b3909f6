"""The Aligner: its sizes are the paper's, only it is trained, and shared prefixes give it the naive gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from plvm.engine.gathered import gather
from plvm.engine.request import Request
from plvm.errors import CheckpointError
from plvm.model.aligner import Aligner, AlignerConfig, Rows, build_aligner
from plvm.model.backbone import Backbone, repeat
from plvm.model.encoder import Encoder, key_of
from plvm.model.forms import anchored
from plvm.model.heads import bounded
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.types import Concept, ConceptTokens
from plvm_lab.families.mini.parts import build_vlm, image_processor
from toys import RECIPE, K, an_aligner, awake, extended, picture

ARCHITECTURES = ("paper", "bounded", "released", "anchored")


def make(backbone: Backbone, architecture: str, **changes: Any) -> Aligner:
    if architecture == "bounded":
        return an_aligner(backbone, "paper", bounded=True, **changes)
    return an_aligner(backbone, architecture, **changes)


@pytest.fixture(scope="module")
def single(tokenizer: Any) -> Backbone:
    """The toy backbone in float32, in which training runs."""
    return Backbone(awake(build_vlm(RECIPE, tokenizer), 1), tokenizer, image_processor(RECIPE.image_size))


@pytest.fixture(scope="module")
def z_ref(encoder: Encoder) -> Tensor:
    """Features [6, L, E] of six pictures."""
    return encoder.features(encoder.pixels([picture(i) for i in range(20, 26)])).clone()


# ---- sizes


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (AlignerConfig(), 128_820_224),
        (AlignerConfig("released", mlp_hidden=1024), 41_272_832),
    ],
)
def test_the_presets_have_as_many_trainable_parameters_as_the_originals(config: AlignerConfig, parameters: int) -> None:
    with torch.device("meta"):
        aligner = build_aligner(config)
    assert sum(p.numel() for p in aligner.parameters() if p.requires_grad) == parameters


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_makes_a_word_a_head_and_k_context_tokens(
    backbone: Backbone, z_ref: Tensor, architecture: str
) -> None:
    rows = make(backbone, architecture).tokens_from_features(z_ref)
    assert [tuple(r.shape) for r in rows] == [(6, 64), (6, 64), (6, K, 64)]
    assert all(r.isfinite().all() and r.std(0).mean() > 1e-4 for r in rows), "people must differ"


def test_an_encoder_without_a_global_token_uses_two_more_queries(backbone: Backbone, z_ref: Tensor) -> None:
    aligner = make(backbone, "paper", global_token=False)
    assert aligner.resampler.queries.shape[0] == K + 2  # type: ignore[union-attr]
    assert not hasattr(aligner, "word") and not hasattr(aligner, "head")
    rows = aligner.tokens_from_features(z_ref)
    every = aligner.out(aligner.resampler(z_ref))  # type: ignore[operator]
    assert torch.equal(rows.word, every[:, 0]) and torch.equal(rows.head, every[:, 1])
    assert torch.equal(rows.context, every[:, 2:])


def test_without_a_global_token_one_more_query_of_the_anchored_form_makes_the_name(
    backbone: Backbone, z_ref: Tensor
) -> None:
    aligner = make(backbone, "anchored", global_token=False)
    assert aligner.resampler.queries.shape[0] == K + 1  # type: ignore[union-attr]
    rows = aligner.tokens_from_features(z_ref)
    h = aligner.resampler(z_ref)  # type: ignore[operator]
    code = bounded(aligner.code(h[:, K]), 1.0)  # type: ignore[operator]
    torch.testing.assert_close(rows.word, aligner.word(code))  # type: ignore[operator]
    torch.testing.assert_close(rows.head, aligner.head(code))  # type: ignore[operator]
    free = bounded(aligner.free(h[:, K - 1 : K]), aligner.free_scale)  # type: ignore[operator, arg-type]
    torch.testing.assert_close(rows.context[:, K - 1 :], free + aligner.tag * rows.word[:, None])
    assert rows.context.shape == (6, K, 64) and rows.word.std(0).mean() > 1e-4, "people must differ"


def test_the_released_form_needs_a_global_token_and_says_so(backbone: Backbone, z_ref: Tensor) -> None:
    with pytest.raises(CheckpointError, match="global token"):
        make(backbone, "released", global_token=False).tokens_from_features(z_ref)


def test_an_unknown_architecture_lists_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match="papre") as caught:
        AlignerConfig("papre")
    assert "anchored, paper, released" in caught.value.hint


def test_bounded_rows_keep_the_size_of_the_frozen_rows(backbone: Backbone, z_ref: Tensor) -> None:
    for rows in (make(backbone, "bounded").tokens_from_features(50 * z_ref),):
        for row in rows:
            torch.testing.assert_close(row.square().mean(-1).sqrt(), torch.full(row.shape[:-1], 0.5), rtol=1e-4, atol=0)


@pytest.mark.parametrize("read", [37, 1000], ids=["some at a time", "all at once"])
@pytest.mark.parametrize("sharpness", [1.0, 16.0, 500.0])
def test_words_read_some_at_a_time_are_mixed_as_by_one_softmax(
    single: Backbone, z_ref: Tensor, sharpness: float, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchored, "NUMBERS", read * single.width)
    aligner = make(single, "anchored").requires_grad_(True)
    aligner.sharpness.data.fill_(sharpness)
    words = single.word_rows
    logits, h = aligner.word_logits(z_ref[:, 1:])
    naive = logits.softmax(-1) @ words
    assert len(words) > 100 and torch.allclose(aligner._mixed(aligner._pointers(h)), naive, atol=1e-6)
    (expected,) = torch.autograd.grad(naive.square().sum(), aligner.point.weight, retain_graph=True)
    (found,) = torch.autograd.grad(aligner._mixed(aligner._pointers(h)).square().sum(), aligner.point.weight)
    assert expected.abs().max() > 0 and (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_anchored_context_tokens_are_mixtures_of_frozen_words(backbone: Backbone, z_ref: Tensor) -> None:
    aligner = make(backbone, "anchored")
    logits, _ = aligner.word_logits(z_ref[:, 1:])  # type: ignore[operator]
    rows = aligner.tokens_from_features(z_ref)
    words = logits.softmax(-1) @ backbone.word_rows.float()
    torch.testing.assert_close(rows.context[:, : K - 1], words + aligner.tag * rows.word[:, None], rtol=1e-4, atol=1e-5)


# ---- several references


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_several_references_average_the_global_tokens_and_join_the_patches(
    backbone: Backbone, z_ref: Tensor, architecture: str
) -> None:
    aligner = make(backbone, architecture)
    three = z_ref.view(2, 3, *z_ref.shape[1:])
    rows = aligner.tokens_from_features(three)
    for n in range(2):
        a, b, c = three[n]
        mean, patches = (a[:1] + b[:1] + c[:1]) / 3, torch.cat([a[1:], b[1:], c[1:]])
        naive = aligner.tokens_from_features(torch.cat([mean, patches])[None])
        for ours, theirs in zip(rows, naive, strict=True):
            torch.testing.assert_close(ours[n], theirs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        key_of(three[0]), torch.nn.functional.normalize(three[0, :, 0].mean(0), dim=0), rtol=1e-5, atol=1e-6
    )


def test_one_reference_in_a_set_of_one_is_one_reference(backbone: Backbone, z_ref: Tensor) -> None:
    aligner = make(backbone, "paper")
    for a, b in zip(aligner.tokens_from_features(z_ref), aligner.tokens_from_features(z_ref[:, None]), strict=True):
        torch.testing.assert_close(a, b)


# ---- training

QUESTIONS = (("Is <a> in this photo?", " Yes"), ("Where is <a>?", " on the left of <b>"), ("Who is it?", " <b>"))


def samples(backbone: Backbone, prompt: Prompt, rows: Rows) -> tuple[list[list[int]], list[int], list[list[Concept]]]:
    """Three suffixes with answers on each of two pictures: ids, how many of them are question, the concepts (2
    each)."""
    ids, asked, people = [], [], []
    for i in range(6):
        question, answer = QUESTIONS[i % 3]
        pair = [
            Concept(n, ConceptTokens(rows.word[j], rows.head[j], rows.context[j], rows.word[j]), "")
            for n, j in (("a", i), ("b", (i + 1) % 6))
        ]
        vocabulary = vocabulary_with(backbone, [pair])
        tokens = prompt_tokens(prompt, question, vocabulary)
        end = [*prompt.named_text(answer, ("a", "b"), vocabulary), prompt.end_id]
        ids.append(tokens + end)
        asked.append(len(tokens))
        people.append(pair)
    return ids, asked, people


def prompt_tokens(prompt: Prompt, question: str, vocabulary: ConceptVocabulary) -> list[int]:
    from plvm.prompt.turns import Tokens

    tokens = Tokens()
    prompt.turn(tokens, question, ("a", "b"), vocabulary, joining=(0, 1))
    return tokens.ids


def vocabulary_with(backbone: Backbone, people: Sequence[Sequence[Concept]]) -> ConceptVocabulary:
    """Like `vocabulary_of`, with gradients."""
    parts = [
        torch.stack([torch.stack([getattr(c.tokens, part) for c in own]) for own in people])
        for part in ("word", "head", "context")
    ]
    return ConceptVocabulary(backbone.vocabulary_size, *parts, torch.ones(parts[0].shape[:2], dtype=torch.bool))


def loss_of(logits: Tensor, ids: Sequence[int], asked: int) -> Tensor:
    """Cross-entropy of the answer; logits [T, V+C] predict the next id."""
    return torch.nn.functional.cross_entropy(logits[asked - 1 : len(ids) - 1], torch.tensor(ids[asked:]))


def shared_loss(backbone: Backbone, prompt: Prompt, aligner: Aligner, z_ref: Tensor) -> Tensor:
    """Each picture's prefix once and without gradients, three padded suffixes on it."""
    ids, asked, people = samples(backbone, prompt, aligner.tokens_from_features(z_ref))
    vocabulary = vocabulary_with(backbone, people)
    before, after = (backbone.word_rows[list(i)].expand(2, -1, -1) for i in prompt.prefix())
    with torch.no_grad():
        features = torch.stack([i.rows for i in backbone.image_tokens(backbone.pixels([picture(1), picture(2)]))])
        _, past = backbone.hidden(torch.cat([before, features, after], 1), keep=True)
    assert past is not None
    longest = max(map(len, ids))
    padded = torch.tensor([i + [prompt.end_id] * (longest - len(i)) for i in ids])
    hidden, _ = backbone.hidden(vocabulary.embed(padded, backbone.word_rows), repeat(past, 3))
    logits = vocabulary.logits(hidden, backbone.head_rows)
    return torch.stack([loss_of(logits[i], ids[i], asked[i]) for i in range(6)]).mean()


def naive_loss(backbone: Backbone, prompt: Prompt, aligner: Aligner, z_ref: Tensor) -> Tensor:
    """Each sample its own whole sequence through the stock model, whose tables are extended by the concept rows."""
    ids, asked, people = samples(backbone, prompt, aligner.tokens_from_features(z_ref))
    config, losses = backbone.model.config, []
    before, after = prompt.prefix()
    start = [*before, *[config.image_token_id] * config.image_seq_length, *after]
    for i, pair in enumerate(people):
        model = extended(backbone, pair).requires_grad_(False)
        table = {n: p for n, p in model.named_parameters() if "embed_tokens" in n or n.startswith("lm_head")}
        words, heads = (torch.stack([getattr(c.tokens, part) for c in pair]) for part in ("word", "head"))
        context = torch.cat([c.tokens.context for c in pair])
        rows = {
            n: torch.cat([backbone.head_rows, heads, torch.zeros_like(context)])
            if n.startswith("lm_head")
            else torch.cat([backbone.word_rows, words, context])
            for n in table
        }
        assert len(rows) == 2
        inputs = {
            "input_ids": torch.tensor([start + ids[i]]),
            **backbone.pixels([picture(1 + i // 3)]).inputs,
        }
        logits = functional_call(model, rows, kwargs=inputs).logits[0, len(start) :, : backbone.vocabulary_size + 2]
        losses.append(loss_of(logits, ids[i], asked[i]))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_shared_prefix_gradients_equal_naive_gradients(
    single: Backbone, prompt: Prompt, z_ref: Tensor, architecture: str
) -> None:
    aligner = make(single, architecture).train()
    shared, naive = (f(single, prompt, aligner, z_ref) for f in (shared_loss, naive_loss))
    assert shared.item() == pytest.approx(naive.item(), rel=1e-5)
    parameters = dict(aligner.named_parameters())
    ours, theirs = (torch.autograd.grad(loss, list(parameters.values())) for loss in (shared, naive))
    difference = torch.cat([(a - b).flatten() for a, b in zip(ours, theirs, strict=True)]).norm()
    size = torch.cat([b.flatten() for b in theirs]).norm()
    assert size > 1e-3 and difference / size <= 1e-5


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_training_step_changes_the_aligner_and_nothing_in_the_backbone_or_the_encoder(
    single: Backbone, encoder: Encoder, prompt: Prompt, z_ref: Tensor, architecture: str
) -> None:
    aligner = make(single, architecture).train()
    frozen = {"backbone": single.model, "encoder": encoder.model}
    before = {k: {n: v.clone() for n, v in m.state_dict().items()} for k, m in frozen.items()}
    mine = {n: p.detach().clone() for n, p in aligner.named_parameters()}
    assert all(p.requires_grad for p in aligner.parameters())
    assert not any(p.requires_grad for m in frozen.values() for p in m.parameters())
    optimizer = torch.optim.AdamW(aligner.parameters(), lr=1e-2)
    shared_loss(single, prompt, aligner, z_ref).backward()
    optimizer.step()
    for k, m in frozen.items():
        assert all(torch.equal(v, before[k][n]) for n, v in m.state_dict().items()), k
        assert all(p.grad is None for p in m.parameters()), k
    unchanged = [n for n, p in aligner.named_parameters() if torch.equal(p, mine[n])]
    assert not unchanged


def test_training_and_chat_embed_the_same_rows(single: Backbone, prompt: Prompt, z_ref: Tensor) -> None:
    """`vocabulary_of`, which chat uses, keeps what the Aligner made."""
    rows = make(single, "anchored").tokens_from_features(z_ref)
    _, _, people = samples(single, prompt, rows)
    from plvm.engine.prefix import compute_prefixes

    prefix = compute_prefixes(single, prompt, [None])[0]
    g = gather(single, prompt, [Request(prefix, "Who is it?", tuple(people[2]))])
    expected = vocabulary_with(single, [people[2]])
    assert torch.equal(g.vocabulary.embed(g.ids, single.word_rows), expected.embed(g.ids, single.word_rows))
