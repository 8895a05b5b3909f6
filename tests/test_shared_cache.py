"""What many rows share is held once, and attention to it is that to copies: values, gradients and memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.model import shared_cache
from plvm.model.backbone import Backbone, repeat
from plvm.model.shared_cache import Behind, SharedCache, _flash, _head_by_head, _plain, attend
from plvm.train.memory import peak_bytes

T, WIDTH, HEADS = 5, 8, 4
PARTS = [(1, 1, 7), (1, 3, 2), (2, 6, 9)]  # pasts, the rows that go on from them, their length
ROWS = 10


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("way", [_flash, _plain], ids=["in a CPU's way", "in that of any device"])
@pytest.mark.parametrize("key_heads", [4, 2], ids=["a key for every head", "a key for two heads"])
def test_attention_and_its_gradients_are_those_of_copied_keys_and_values(
    way: Callable[..., Tensor], key_heads: int
) -> None:
    query, keys, values = (drawn(i, ROWS, HEADS, T, WIDTH).requires_grad_() for i in range(3))
    shared = pasts_of(key_heads)
    ours = way(query, keys, values, shared, WIDTH**-0.5)
    naive = with_copies(query, keys, values, shared)
    torch.testing.assert_close(ours, naive, rtol=0, atol=1e-12)
    weights = drawn(30, *ours.shape)
    a, b = (torch.autograd.grad((x * weights).sum(), (query, keys, values)) for x in (ours, naive))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@torch.inference_mode()
@pytest.mark.parametrize("key_heads", [4, 2], ids=["a key for every head", "a key for two heads"])
def test_many_rows_look_at_what_they_share_head_by_head_with_the_same_result(key_heads: int) -> None:
    query, keys, values = (drawn(i, ROWS, HEADS, T, WIDTH) for i in range(3))
    shared = pasts_of(key_heads)
    ours = _head_by_head(query, keys, values, shared, WIDTH**-0.5)
    torch.testing.assert_close(ours, with_copies(query, keys, values, shared), rtol=0, atol=1e-12)


def pasts_of(key_heads: int) -> list[Any]:
    """What the rows share: `PARTS` with numbers."""
    shapes = [(g, key_heads, length, WIDTH) for g, _, length in PARTS]
    return [(drawn(10 + i, *s), drawn(20 + i, *s), PARTS[i][1]) for i, s in enumerate(shapes)]


def with_copies(query: Tensor, keys: Tensor, values: Tensor, shared: list[Any]) -> Tensor:
    """Attention by torch, what is shared copied for every row and every head."""
    theirs, start = [], 0
    for *past, count in shared:
        pictures, key_heads, length, _ = past[0].shape
        k, v = (t.repeat_interleave(count // pictures, 0).repeat_interleave(HEADS // key_heads, 1) for t in past)
        own = slice(start, start + count)
        start += count
        seen = torch.ones(T, length + T, dtype=torch.bool).tril(length)
        both = (torch.cat([a, b[own]], 2) for a, b in ((k, keys), (v, values)))
        theirs.append(F.scaled_dot_product_attention(query[own], *both, attn_mask=seen))
    return torch.cat(theirs)


@pytest.mark.parametrize(("tokens", "keys", "by_head"), [(1, 512, True), (22, 700, True), (22, 511, False), (512, 512, False)])
def test_few_tokens_that_look_at_many_keys_do_so_head_by_head_with_the_same_result(
    tokens: int, keys: int, by_head: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, key, value = (drawn(i, 1, h, n, WIDTH).float() for i, (h, n) in enumerate([(6, tokens), (2, keys), (2, keys)]))
    seen = torch.ones(tokens, keys, dtype=torch.bool).tril(keys - tokens)
    seen[:, 3] = False
    mask = torch.zeros(1, 1, tokens, keys).masked_fill(~seen, torch.finfo(torch.float32).min)
    naive = F.scaled_dot_product_attention(
        query, *(t.repeat_interleave(3, 1) for t in (key, value)), attn_mask=mask, scale=0.3
    )
    went: list[int] = []
    real = shared_cache._by_head
    monkeypatch.setattr(shared_cache, "_by_head", lambda *given: (went.append(1), real(*given))[1])
    layer = nn.Module()
    layer.num_key_value_groups = 3  # type: ignore[assignment]
    ours, _ = attend(layer, query, key, value, mask, scaling=0.3)
    torch.testing.assert_close(ours.transpose(1, 2), naive, rtol=1e-5, atol=1e-6)
    assert bool(went) == by_head
    went.clear()
    attend(layer, query.requires_grad_(), key, value, mask, scaling=0.3)
    assert not went, "gradients have a way of their own"


@pytest.mark.parametrize("way", [_flash, _plain, _head_by_head], ids=["in a CPU's way", "in that of any device", "head by head"])
@pytest.mark.parametrize("padded", [False, True], ids=["all that was written", "what it sees of that"])
def test_a_token_that_is_written_sees_what_is_shared_and_its_own_row(way: Callable[..., Tensor], padded: bool) -> None:
    query, keys, values = (drawn(i, 3, HEADS, n, WIDTH) for i, n in enumerate((1, T, T)))
    past = drawn(3, 1, HEADS, 7, WIDTH), drawn(4, 1, HEADS, 7, WIDTH)
    mask = torch.ones(3, 1, 1, T, dtype=torch.bool)
    mask[0, ..., 2:4], mask[2, ..., 1] = not padded, not padded
    ours = way(query, keys, values, [(*past, 3)], WIDTH**-0.5, mask if padded else None)
    k, v = (torch.cat([shared.expand(3, -1, -1, -1), own], 2) for shared, own in zip(past, (keys, values), strict=True))
    naive = F.scaled_dot_product_attention(query, k, v, attn_mask=F.pad(mask, (7, 0), value=True))
    torch.testing.assert_close(ours, naive, rtol=0, atol=1e-12)


def test_in_mixed_precision_a_layer_may_have_several_number_formats() -> None:
    query, keys, values, past = (drawn(i, n, HEADS, T, WIDTH).float() for i, n in enumerate((3, 3, 3, 1)))
    exact, _ = attend(nn.Identity(), query, Behind(keys, [(past, past, 3)]), values, None, scaling=1.0)
    half = past.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = attend(nn.Identity(), query, Behind(keys, [(past, half, 3)]), values.bfloat16(), None, scaling=1.0)
    torch.testing.assert_close(mixed.float(), exact, rtol=0, atol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_attention_to_what_is_shared_is_that_of_a_cpu() -> None:
    query, keys, values, past = (drawn(i, n, HEADS, T, WIDTH).float() for i, n in enumerate((6, 6, 6, 2)))
    found = []
    for device in ("cpu", "cuda"):
        q, k, v, p = (t.to(device) for t in (query, keys, values, past))
        found.append(attend(nn.Identity(), q, Behind(k, [(p, p, 6)]), v, None, scaling=WIDTH**-0.5)[0].cpu())
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


def test_a_batch_holds_what_it_shares_once_however_many_rows_it_has(backbone: Backbone) -> None:
    config: Any = backbone.model.config.text_config
    shape = (1, config.num_key_value_heads, 1500, config.head_dim)
    past = tuple((drawn(2 * i, *shape), drawn(2 * i + 1, *shape)) for i in range(config.num_hidden_layers))
    held = sum(t.nbytes for pair in past for t in pair)

    def step(rows: int, cache: Any) -> Callable[[], Any]:
        embeddings = drawn(1, rows, 2, backbone.width).to(backbone.dtype)
        positions = torch.arange(1500, 1502).expand(rows, -1)
        return lambda: backbone.hidden(embeddings, cache(rows), positions)

    few, many = (peak_bytes(step(rows, lambda n: SharedCache([(past, n)]))) for rows in (2, 16))
    assert many - few < held, "14 more rows add less than one copy"
    assert peak_bytes(step(16, lambda n: repeat(past, n))) > 16 * held, "copies would have been seen"


def test_a_language_model_that_looks_at_keys_itself_gets_copies(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    config: Any = backbone.model.config.text_config

    def past(seed: int, pictures: int, length: int) -> Any:
        shape = (pictures, config.num_key_value_heads, length, config.head_dim)
        layers = range(config.num_hidden_layers)
        return tuple(tuple(drawn(seed + i + part, *shape).to(backbone.dtype) for part in (0, 50)) for i in layers)

    def parts() -> SharedCache:
        return SharedCache([(past(100, 1, 9), 1), (past(200, 2, 4), 4)])

    embeddings = drawn(1, 5, 3, backbone.width).to(backbone.dtype)
    positions = torch.tensor([9, 4, 4, 4, 4])[:, None] + torch.arange(3)
    shared, _ = backbone.hidden(embeddings, parts(), positions)
    monkeypatch.setattr(type(backbone.family), "shares", False)
    monkeypatch.setattr(SharedCache, "update", None)
    copied, _ = backbone.hidden(embeddings, parts(), positions)
    torch.testing.assert_close(copied, shared, rtol=0, atol=2e-5)
