"""Keys and values that many rows of a batch go on from: held once, copied for nobody.

    part 0   x x x x x x   row 0  y y y y      x what the rows of a part share; all of them see all of it
                           row 1  y y y -      y a row's own tokens, which see those before them
    part 1   x x x x       row 2  y y - -      - padding, which nobody sees

What is shared and a row's own tokens are looked at apart and put together by one softmax or, where gradients flow, by the
logarithms of the sums under two: the result is exactly that of attention over both, and so are its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product as pairs
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.model.static_cache import KeyValues
from plvm.products import product, quick

MANY = 512  # keys; few tokens that look at so many do so head by head
FEW = 512  # tokens of all rows; so many look at what they share head by head
ATTENTION = "plvm"  # by this name transformers finds `attend`
Shared = tuple[Tensor, Tensor, int]  # keys and values [G, heads, P, width], and the number of rows that go on from them


class SharedCache:
    """`parts` are, in the order of the batch's rows, what rows go on from and how many do: keys and values of G pasts, of one
    length, and N rows, the first N / G of them on the first past. A language model takes it as its cache and changes nothing."""

    def __init__(self, parts: Sequence[tuple[KeyValues, int]]) -> None:
        self._parts = parts

    def repeated(self, own: int) -> tuple[KeyValues, Tensor]:
        """What is shared, for a language model that looks at keys itself: copies for every row, right-padded to P columns, and
        what a row sees of them and of `own` tokens of its own, bool[N, P + own]."""
        lengths = [(past[0][0].shape[2], rows) for past, rows in self._parts]
        most = max(length for length, _ in lengths)

        def all_rows(layer: int, which: int) -> Tensor:
            copies = []
            for past, rows in self._parts:
                part = past[layer][which]
                copies.append(F.pad(part.repeat_interleave(rows // len(part), 0), (0, 0, 0, most - part.shape[2])))
            return torch.cat(copies)

        device = self._parts[0][0][0][0].device
        of_rows = torch.tensor([length for length, rows in lengths for _ in range(rows)], device=device)
        columns = torch.arange(most + own, device=device)
        seen = (columns < of_rows[:, None]) | (columns >= most)
        return tuple((all_rows(i, 0), all_rows(i, 1)) for i in range(len(self._parts[0][0]))), seen

    # ---- called by transformers

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Behind, Tensor]:
        """The rows' own keys and values of a layer, with what they share there."""
        return Behind(keys, [(*past[layer], rows) for past, rows in self._parts]), values

    def get_seq_length(self, *_: Any) -> int:
        """0: among its own tokens a row sees what came before, no mask is needed."""
        return 0

    get_query_offset = get_seq_length

    def get_mask_sizes(self, length: int, *_: Any) -> tuple[int, int]:
        """How many columns `length` new tokens see besides what is shared, and from which on."""
        return length, 0


@dataclass(frozen=True, eq=False)
class Behind:
    """Rows' own keys [B, heads, columns, width], the last of which are those of the tokens that ask, and what they share."""

    keys: Tensor
    shared: Sequence[Shared]


def attend(
    module: torch.nn.Module, query: Tensor, key: Tensor | Behind, value: Tensor, attention_mask: Tensor | None, *,
    scaling: float, **options: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """The attention of a layer [B, T, heads, width], as transformers calls it; without a `SharedCache`, that of PyTorch."""
    if not isinstance(key, Behind):
        if attention_mask is not None and _few_look_at_many(query, key, attention_mask):
            return _by_head(query, key, value, attention_mask, scaling).transpose(1, 2).contiguous(), None
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    times = query.shape[1] // key.keys.shape[1]
    keys, values = key.keys, value
    if times > 1:  # these are short: a question, never a picture
        keys, values = keys.repeat_interleave(times, 1), values.repeat_interleave(times, 1)
    found = _way(query, key, value)(query, keys, values, key.shared, scaling, attention_mask)
    return found.transpose(1, 2).contiguous(), None


def _way(query: Tensor, key: Behind, value: Tensor) -> Callable[..., Tensor]:
    """How attention over both is computed: the quickest way that there is for what is asked."""
    formats = {t.dtype for t in (query, key.keys, value, *(t for k, v, _ in key.shared for t in (k, v)))}
    if query.device.type != "cpu" or len(formats) > 1:  # mixed precision leaves several
        return _plain
    if torch.is_grad_enabled() or not quick(query):
        return _flash
    return _plain if len(query) * query.shape[2] < FEW else _head_by_head


def _few_look_at_many(query: Tensor, keys: Tensor, mask: Tensor) -> bool:
    """Whether this is a turn of one long dialogue, on a CPU, with heads that share keys."""
    return (
        mask.is_floating_point()
        and len(query) == len(mask) == mask.shape[1] == 1
        and query.is_cpu
        and query.dtype == torch.float32
        and not query.requires_grad
        and query.shape[1] > keys.shape[1]
        and query.shape[2] < MANY <= keys.shape[2]
    )


def _by_head(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scaling: float) -> Tensor:
    """Attention [1, heads, T, width] with keys [1, key heads, S, width] and what is added to their scores [1, 1, T, S]: the heads
    that share keys as one product, and no key is repeated for them."""
    heads = (query[0].contiguous() * scaling).unflatten(0, (keys.shape[1], -1))
    found = torch.empty_like(heads)
    for head, (q, k, v) in enumerate(zip(heads, keys[0], values[0], strict=True)):
        found[head] = product(product(q, k).add_(mask[0]).softmax(-1), v.T)
    return found.flatten(0, 1)[None]


def register() -> None:
    """Tell transformers of `attend`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, attend)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def _hide(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Scores [B, heads, T, S] of rows' own keys, those that a token must not see without weight: `mask` bool[B, 1, T, S], None: a
    token sees those up to its own. In place where no gradient flows."""
    tokens, columns = scores.shape[2:]
    if mask is None and tokens == 1:
        return scores
    seen = torch.ones(tokens, columns, dtype=torch.bool, device=scores.device).tril(columns - tokens) if mask is None else mask
    return (scores.masked_fill if scores.requires_grad else scores.masked_fill_)(~seen, float("-inf"))


def _each(shared: Sequence[Shared]) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Which rows of the batch share what."""
    start = 0
    for keys, values, count in shared:
        yield slice(start, start + count), keys, values
        start += count


def _folded(rows: Tensor, keys: Tensor) -> Tensor:
    """Queries of rows [N, heads, T, width] that share keys [G, key heads, P, width] -> [G, key heads, all of theirs, width]."""
    parted = rows.unflatten(1, (keys.shape[1], -1)).unflatten(0, (len(keys), -1))
    return parted.transpose(1, 2).flatten(2, 4)


def _unfolded(folded: Tensor, like: Tensor) -> Tensor:
    """The other way: [G, key heads, all of theirs, ..] -> [N, heads, T, ..], shaped as the rows `like`."""
    groups, heads = folded.shape[:2]
    shape = (len(like) // groups, like.shape[1] // heads, like.shape[2])
    return folded.unflatten(2, shape).transpose(1, 2).flatten(2, 3).flatten(0, 1)


def _plain(
    query: Tensor, keys: Tensor, values: Tensor, shared: Sequence[Shared], scaling: float, mask: Tensor | None = None
) -> Tensor:
    """Attention [B, heads, T, width] by matrix products and one softmax over both, on any device."""
    query = query * scaling
    own = _hide(query @ keys.transpose(2, 3), mask)
    precise = torch.float32 if query.dtype.itemsize < 4 else query.dtype
    found = []
    for rows, k, v in _each(shared):
        scores = _unfolded(_folded(query[rows], k) @ k.transpose(2, 3), query[rows])
        weights = torch.cat([scores, own[rows]], -1).softmax(-1, precise).to(query.dtype)
        past, new = weights.split([k.shape[2], keys.shape[2]], -1)
        found.append(_unfolded(_folded(past, k) @ v, query[rows]) + new @ values[rows])
    return torch.cat(found)


def _head_by_head(
    query: Tensor, keys: Tensor, values: Tensor, shared: Sequence[Shared], scaling: float, mask: Tensor | None = None
) -> Tensor:
    """The same on a CPU, for many rows: what is shared is a matrix that all are multiplied with, and one head's scores fit into
    the processor's caches."""
    query, found, own = query * scaling, torch.empty_like(query), keys.shape[2]
    hidden = _hide(query.new_zeros((1, 1, query.shape[2], own) if mask is None else mask.shape), mask).squeeze(1)
    hidden = hidden.expand(len(query), -1, -1)
    for rows, ks, vs in _each(shared):
        count, times = query[rows].shape[0] // len(ks), query.shape[1] // ks.shape[1]
        ks, vs = (F.pad(t, (0, 0, 0, own)) for t in (ks, vs))  # the scores of both stand in one matrix, a row's own behind
        for group, head in pairs(range(len(ks)), range(query.shape[1])):
            at = slice(rows.start + group * count, rows.start + (group + 1) * count)
            q, k, v = (t[at, head] for t in (query, keys, values))
            scores = product(q.flatten(0, 1), ks[group, head // times]).unflatten(0, (count, -1))
            scores[..., -own:] = torch.baddbmm(hidden[at], q, k.mT)
            weights = scores.softmax(-1)
            found[at, head] = torch.baddbmm(product(weights, vs[group, head // times].T), weights[..., -own:], v)
    return found


def _flash(
    query: Tensor, keys: Tensor, values: Tensor, shared: Sequence[Shared], scaling: float, mask: Tensor | None = None
) -> Tensor:
    """The same on a CPU, with gradients and without scores in memory. What is shared gets no gradients."""
    hidden = None
    if mask is not None or query.shape[2] < keys.shape[2]:
        hidden = _hide(query.new_zeros((1, 1, query.shape[2], keys.shape[2]) if mask is None else mask.shape), mask)
    found: Tensor = _Flash.apply(query, keys, values, shared, scaling, hidden)
    return found


class _Flash(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, keys: Tensor, values: Tensor, shared: Sequence[Shared], scaling: float, seen: Tensor | None
    ) -> Tensor:
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, sums = flash(query, keys, values, 0.0, seen is None, attn_mask=seen, scale=scaling)
        for rows, k, v in _each(shared):
            past, past_sums = (_unfolded(t, query[rows]) for t in flash(_folded(query[rows], k), k, v, scale=scaling))
            share = (past_sums - sums[rows]).sigmoid().unsqueeze(-1)
            out[rows] = out[rows].lerp(past, share.to(out))
            sums[rows] = torch.logaddexp(sums[rows], past_sums)
        if any(t.requires_grad for t in (query, keys, values)):
            ctx.save_for_backward(query, keys, values, out, sums)
            ctx.shared, ctx.scaling, ctx.seen = shared, scaling, seen
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """With the sums over both, each part's weights are those of the whole: its share of the gradients is its own."""
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        query, keys, values, out, sums = ctx.saved_tensors
        own = flash(gradient, query, keys, values, out, sums, 0.0, ctx.seen is None, attn_mask=ctx.seen, scale=ctx.scaling)
        for rows, k, v in _each(ctx.shared):
            g, q, o, s = (_folded(t[rows], k) for t in (gradient, query, out, sums.unsqueeze(-1)))
            past = flash(g, q, k, v, o, s.squeeze(-1), 0.0, False, scale=ctx.scaling)
            own[0][rows] += _unfolded(past[0], query[rows])
        return *own, None, None, None
