"""Training with every family of backbones: the gradient is that of the stock model, and nothing frozen moves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.func import functional_call

from backbone_families import SHORT, pictures, stock_inputs
from backbone_families import folder as folder
from backbone_families import vlm as vlm
from plvm.engine.prefix import compute_prefixes
from plvm.model.aligner import Aligner
from plvm.personal import Personal
from plvm.prompt.turns import VERDICT, Tokens
from plvm.prompt.vocabulary import vocabulary_of
from plvm.train.loss import answer_loss
from plvm.train.rows import pad_rows
from plvm.train.step import Packed, image_prefix, rows_of, suffix_logits
from toys import K, a_concept, an_aligner, extended, picture


def a_batch(vlm: Personal, images: Sequence[Image.Image], packs: int) -> tuple[Packed, list[Tokens]]:
    """`packs` dialogues of two turns about each picture, one concept each."""
    backbone, count = vlm.backbone, len(images) * packs
    asked = [
        ("Is <a> here?", "Yes.", True),
        ("Where is <a>?", "<a> is on the left.", False),
        ("Who is it?", "No.", True),
    ]
    blank = a_concept("a", 0, backbone.width)
    vocabulary = vocabulary_of([[blank]] * count, backbone.word_rows)
    samples = []
    for i in range(count):
        tokens = Tokens()
        for turn in (0, 1):
            question, answer, verdict = asked[(i + turn) % 3]
            joining = [0] if turn == 0 else []
            vlm.prompt.turn(
                tokens, question, ["a"], vocabulary, joining=joining, first=turn == 0, answer=answer, verdict=verdict
            )
        samples.append(tokens)
    z_ref = vlm.encoder.features(vlm.encoder.pixels([picture(20 + i) for i in range(count)])).clone()
    ids = pad_rows([t.ids for t in samples], vlm.prompt.end_id)
    supervise = pad_rows([t.supervise for t in samples], 0)
    return Packed(backbone.pixels(images), packs, ids, supervise, z_ref[:, None]), samples


def shared_loss(vlm: Personal, aligner: Aligner, packed: Packed) -> Tensor:
    past = image_prefix(vlm.backbone, vlm.prompt, packed.pixels)
    logits = suffix_logits(vlm.backbone, past, packed, rows_of(aligner, packed))
    return answer_loss(logits, packed.ids, packed.supervise, 20.0)


def naive_loss(
    vlm: Personal, aligner: Aligner, packed: Packed, samples: list[Tokens], images: Sequence[Image.Image]
) -> Tensor:
    """Each sample its own whole sequence through the stock model with physically longer tables, each answer by itself."""
    backbone, losses = vlm.backbone, list[Tensor]()
    model = extended(backbone, [a_concept("a", 0, backbone.width)]).requires_grad_(False)
    names = {id(p): n for n, p in model.named_parameters()}
    table, head = (names[id(f().weight)] for f in (model.get_input_embeddings, model.get_output_embeddings))
    for i, tokens in enumerate(samples):
        word, heads, context = (r[0] if r.ndim == 3 else r for r in aligner.tokens_from_features(packed.z_ref[i]))
        tables = {
            table: torch.cat([backbone.word_rows, word, context]),
            head: torch.cat([backbone.head_rows, heads, torch.zeros_like(context)]),
        }
        inputs = stock_inputs(backbone, vlm.prompt, images[i // packed.packs], tokens.ids)
        if hasattr(model.model, "rope_deltas"):
            model.model.rope_deltas = None
        logits = functional_call(model, tables, kwargs=inputs).logits[0, -len(tokens) - 1 : -1]
        surprise = -logits[:, : backbone.vocabulary_size + 1].log_softmax(-1)
        run: list[tuple[float, Tensor]] = []
        for t, (token, mark) in enumerate(zip(tokens.ids, tokens.supervise, strict=True)):
            if mark:
                run.append((20.0 if mark == VERDICT else 1.0, surprise[t, token]))
            if run and token == vlm.prompt.end_id:
                losses.append(sum(a * s for a, s in run) / sum(a for a, _ in run))  # type: ignore[arg-type]
                run = []
    assert len(losses) == 2 * len(samples)
    return torch.stack(losses).mean()


def test_the_gradient_of_shared_prefixes_is_the_naive_gradient(vlm: Personal) -> None:
    images, aligner = pictures()[:2], an_aligner(vlm.backbone, "paper", encoder_width=32).train()
    packed, samples = a_batch(vlm, images, 3)
    before = vlm.backbone.tokens_computed
    shared = shared_loss(vlm, aligner, packed)
    assert vlm.backbone.tokens_computed - before <= packed.ids.numel() + 2 * max(
        p.length for p in compute_prefixes(vlm.backbone, vlm.prompt, images)
    )
    naive = naive_loss(vlm, aligner, packed, samples, images)
    assert shared.item() == pytest.approx(naive.item(), rel=1e-5)
    parameters = list(aligner.parameters())
    ours, theirs = (torch.cat([g.flatten() for g in torch.autograd.grad(x, parameters)]) for x in (shared, naive))
    assert theirs.norm() > 1e-4 and ((ours - theirs).norm() / theirs.norm()).item() <= 3e-5


# ---- the whole way


def test_from_a_folder_to_a_dialogue_to_training(vlm: Personal) -> None:
    billie, avril = vlm.enroll("billie", picture(11)), vlm.enroll("avril", picture(12), picture(13))
    assert billie.tokens.context.shape == (K, vlm.backbone.width)
    wide = pictures()[1]
    asked = vlm.ask(wide, "Where is <billie>?", [billie], SHORT)
    chat = vlm.chat(wide, [billie])
    first = chat.ask("Where is <billie>?", SHORT)
    assert first.text == asked.text and asked.computed_tokens == asked.prompt_tokens
    assert first.computed_tokens < first.prompt_tokens, "the picture was computed for `ask` already"
    chat.add(avril)
    second = chat.ask("Is <avril> next to <billie>?", SHORT)
    assert second.prompt_tokens > first.prompt_tokens
    assert second.computed_tokens < second.prompt_tokens - first.prompt_tokens + first.new_tokens + 2
    assert [t.joined for t in chat.turns] == [("billie",), ("avril",)]
    assert len(vlm.recognize(pictures(), [billie, avril])) == 3

    aligner = vlm.aligner
    frozen = {n: v.clone() for n, v in vlm.backbone.model.state_dict().items()}
    mine = {n: v.clone() for n, v in aligner.state_dict().items()}
    packed, _ = a_batch(vlm, pictures()[:2], 2)
    optimizer, losses = torch.optim.AdamW(aligner.parameters(), lr=1e-3), list[float]()
    for _ in range(2):
        loss = shared_loss(vlm, aligner, packed)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    changed = [n for n, v in aligner.state_dict().items() if not torch.equal(v, mine[n])]
    aligner.load_state_dict(mine)
    assert shared_loss(vlm, aligner, packed).item() == losses[0] > losses[1] and len(changed) == len(mine)
    assert all(torch.equal(v, frozen[n]) for n, v in vlm.backbone.model.state_dict().items())
