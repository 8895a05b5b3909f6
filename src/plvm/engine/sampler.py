"""How the next token is chosen: pure functions on logits [V'] of one row, in double precision, or of many rows [B, V']."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from plvm.types import SamplingParams

_ROUNDING = 1e-6  # a set this little short of `p` is sufficient: float32 logits carry no more


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """All but the `k` largest logits at minus infinity; 0 keeps every one."""
    if k == 0 or k >= len(logits):
        return logits
    values, index = logits.topk(k)
    return torch.full_like(logits, float("-inf")).scatter(0, index, values)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """All at minus infinity but the smallest set of most probable tokens whose probabilities sum to at least `p`."""
    if p >= 1:
        return logits
    order = logits.sort(descending=True, stable=True).indices
    ordered = logits[order].double().softmax(0)
    before = ordered.cumsum(0) - ordered
    kept = order[before < p - _ROUNDING]
    kept = kept if len(kept) else order[:1]
    return torch.full_like(logits, float("-inf")).scatter(0, kept, logits[kept])


def sample(logits: Tensor, params: SamplingParams, generator: torch.Generator | None = None) -> int:
    """The id of the next token. Temperature 0 is greedy (the first of equal maxima) and draws no random number.

    The order is that of transformers: temperature, then top-k, then top-p of what is left.
    """
    if params.temperature == 0:
        return int(logits.argmax())
    scaled = logits.cpu().double()
    scaled = (scaled - scaled.max()) / params.temperature
    kept = keep_top_p(keep_top_k(scaled, params.top_k), params.top_p)
    reached = kept.softmax(0).cumsum(0)
    drawn = torch.rand(1, dtype=torch.float64, generator=generator)  # one number, however many columns the batch has
    return int(torch.searchsorted(reached, drawn * reached[-1], right=True))


def sample_all(
    logits: Tensor, params: Sequence[SamplingParams], generators: Sequence[torch.Generator | None]
) -> list[int]:
    """The ids of the next tokens of B rows [B, V'], as `sample` chooses each of them; greedy ones are looked for together."""
    best: list[int] = logits.argmax(1).tolist()
    if all(p.temperature == 0 for p in params):
        return best
    rows = zip(logits, params, generators, best, strict=True)
    return [greedy if p.temperature == 0 else sample(row, p, generator) for row, p, generator, greedy in rows]


def generator_of(params: SamplingParams) -> torch.Generator | None:
    """The source of randomness of one answer: of its own, so that batching changes nothing; None where none is
    needed."""
    if params.temperature == 0:
        return None
    generator = torch.Generator()
    if params.seed is None:
        generator.seed()
    else:
        generator.manual_seed(params.seed)
    return generator
