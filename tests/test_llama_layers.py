"""A Llama's layers with fewer steps say what transformers' own say, and leave to them what is theirs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache, LlamaConfig, LlamaModel, MistralConfig, MistralModel
from transformers.models.llama import modeling_llama as llama

from plvm.model.llama_layers import QuickAttention, QuickMLP, QuickNorm, quicken_layers
from plvm.products import by_torch, quicken

SHAPE = {
    "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 6, "head_dim": 24,
    "vocab_size": 9,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("wide")


def models(key_heads: int, **more: object) -> tuple[LlamaModel, LlamaModel]:
    """The same model twice: as transformers has it, and with fewer steps."""
    torch.manual_seed(0)
    stock = LlamaModel(LlamaConfig(**SHAPE, num_key_value_heads=key_heads, **more)).eval()
    for name, weight in stock.named_parameters():
        if "norm" in name:
            nn.init.normal_(weight, 1.0, 0.3)
    quick = copy.deepcopy(stock)
    quicken(quick)
    quicken_layers(quick)
    return stock, quick


@pytest.mark.parametrize("key_heads", [6, 2])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (1, 14), (8, 40)], ids=["one token", "few", "many"])
def test_states_and_cache_are_those_of_transformers(key_heads: int, biased: bool, rows: int, tokens: int) -> None:
    stock, quick = models(key_heads, attention_bias=biased, mlp_bias=biased)
    found: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        x = torch.randn(rows, tokens + 3, 96, generator=torch.Generator().manual_seed(1))
        for model in (stock, quick):
            cache = DynamicCache()
            first = model(inputs_embeds=x[:, :3], past_key_values=cache).last_hidden_state
            rest = model(inputs_embeds=x[:, 3:], past_key_values=cache).last_hidden_state
            found.append((first, rest, cache.layers[1].keys, cache.layers[1].values))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("key_heads", [6, 2])
@pytest.mark.parametrize("rows", [1, 8])
def test_the_last_token_alone_says_what_it_says_beside_the_others(rows: int, key_heads: int, kind: torch.dtype) -> None:
    stock, quick = (m.to(kind) for m in models(key_heads))
    seen = torch.ones(rows, 43, dtype=torch.bool)
    seen[-1, 1:3] = False
    found: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        x = torch.randn(rows, 43, 96, generator=torch.Generator().manual_seed(1), dtype=kind)
        for model, last in ((stock, {}), (quick, {"last": True})):
            cache = DynamicCache()
            first = model(inputs_embeds=x[:, :3], past_key_values=cache, **last).last_hidden_state[:, -1:]
            rest = model(inputs_embeds=x[:, 3:], past_key_values=cache, attention_mask=seen, **last).last_hidden_state[:, -1:]
            found.append((first, rest, cache.layers[1].keys, cache.layers[1].values))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-4)


def test_where_the_last_token_alone_is_asked_for_the_others_end_in_the_final_layer() -> None:
    _, quick = models(2)
    went: list[int] = []
    for layer in quick.layers:
        layer.mlp.register_forward_pre_hook(lambda _, given: went.append(given[0].shape[1]))
    with torch.no_grad():
        assert quick(inputs_embeds=torch.randn(2, 14, 96), last=True).last_hidden_state.shape == (2, 1, 96)
    assert went == [14, 1]


def test_every_step_of_a_layer_is_the_quick_one_and_the_stock_one_where_gradients_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    _, quick = models(2)
    assert {type(m) for m in quick.modules()} >= {QuickNorm, QuickMLP, QuickAttention}
    x, went = torch.randn(1, 14, 96), list[str]()
    for kind in (llama.LlamaMLP, llama.LlamaAttention, llama.LlamaRMSNorm):

        def counted(self: nn.Module, *given: Any, real: Any = kind.forward, **named: Any) -> Any:
            went.append(type(self).__name__)
            return real(self, *given, **named)

        monkeypatch.setattr(kind, "forward", counted)
    with torch.no_grad():
        said = quick(inputs_embeds=x).last_hidden_state
        assert not went
        with by_torch():
            torch.testing.assert_close(quick(inputs_embeds=x).last_hidden_state, said, rtol=1e-4, atol=1e-4)
        assert len(went) == 2 * 4 + 1
        went.clear()
        assert quick.double()(inputs_embeds=x.double()).last_hidden_state.dtype == torch.float64
        assert len(went) == 2 * 4 + 1, "another number format"
    went.clear()
    quick.float()(inputs_embeds=x.requires_grad_()).last_hidden_state.sum().backward()
    assert len(went) == 2 * 4 + 1 and x.grad is not None


def test_one_row_leaves_weights_where_they_are_for_it_is_written_on_token_by_token() -> None:
    _, quick = models(2)

    def laid() -> list[bool]:
        return [kept._laid is not None for m in quick.modules() if (kept := getattr(m, "_kept", None)) is not None]

    with torch.inference_mode():
        quick(inputs_embeds=torch.randn(1, 60, 96))
        assert not any(laid())
        quick(inputs_embeds=torch.randn(2, 60, 96))
        assert sum(laid()) == 2 * 4, "of each layer queries with keys and values, what they make, the gate with its own, the rest"


def test_layers_of_another_kind_stay_as_they_are() -> None:
    other = MistralModel(MistralConfig(**SHAPE, num_key_value_heads=2))
    before = [type(m) for m in other.modules()]
    quicken_layers(other)
    assert [type(m) for m in other.modules()] == before
