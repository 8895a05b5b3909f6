"""Sampling: exactly the tokens that the parameters allow, by probability, and the same again for a seed."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from plvm.engine.generate import generate
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request
from plvm.engine.sampler import keep_top_k, keep_top_p, sample, sample_all
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.types import SamplingParams


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


def test_rows_chosen_together_are_those_chosen_one_by_one() -> None:
    logits = torch.randn(6, 30, generator=torch.Generator().manual_seed(2))
    logits[0, [4, 9]] = 7.0  # two that are equal
    params = [SamplingParams(temperature=t) for t in (0, 1, 0, 5, 0, 1)]
    together = sample_all(logits, params, [torch.Generator().manual_seed(i) for i in range(6)])
    alone = [sample(row, p, torch.Generator().manual_seed(i)) for i, (row, p) in enumerate(zip(logits, params, strict=True))]
    assert together == alone and together[0] == 4


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

    def spy(logits: torch.Tensor, *_: object) -> list[int]:
        seen.append(logits[0].clone())
        return [prompt.end_id]

    monkeypatch.setattr("plvm.engine.decoding.sample_all", spy)
    generate(backbone, prompt, [Request(prefixes[0], "Hello?")])
    special = [tokenizer.convert_tokens_to_ids(t) for t in ("<image>", "<pad>", "<s>")]
    assert torch.isinf(seen[0][special]).all() and torch.isfinite(seen[0][prompt.end_id])
    assert int(torch.isinf(seen[0]).sum()) == 3
