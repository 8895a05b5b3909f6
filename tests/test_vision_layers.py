"""Attention of a small vision transformer from one product is transformers' own, and leaves to it what is its."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from plvm.model import vision_layers
from plvm.model.glance import glance_of
from plvm.model.vision_layers import quicken_vision
from plvm.products import by_torch, quicken

SHAPE: dict[str, Any] = {
    "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 56,
    "patch_size": 8,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("wide")


def models(name: str) -> tuple[nn.Module, nn.Module]:
    """The same model twice: as transformers has it, and with fewer steps."""
    torch.manual_seed(0)
    stock: nn.Module = CLIPVisionModel(CLIPVisionConfig(**SHAPE)) if name == "clip" else Dinov2Model(Dinov2Config(**SHAPE))
    for weight in stock.parameters():
        nn.init.normal_(weight, 0.0, 0.2)
    quick = copy.deepcopy(stock.eval())
    quicken(quick)
    quicken_vision(quick)
    return stock, quick


def stock_calls(quick: nn.Module, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by a name whenever the attention of transformers itself is asked."""
    went: list[str] = []
    (kind,) = {type(m).__mro__[2] for m in quick.modules() if isinstance(m, vision_layers._QuickAttention)}

    def counted(self: nn.Module, *given: Any, real: Any = kind.forward, **named: Any) -> Any:
        went.append(type(self).__name__)
        return real(self, *given, **named)

    monkeypatch.setattr(kind, "forward", counted)
    return went


@pytest.mark.parametrize("name", ["clip", "dinov2"])
@pytest.mark.parametrize("pictures", [1, 5])
def test_what_a_picture_becomes_is_what_transformers_makes_of_it(
    name: str, pictures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock, quick = models(name)
    went = stock_calls(quick, monkeypatch)
    x = torch.randn(pictures, 3, 56, 56)
    with torch.inference_mode():
        found = quick(pixel_values=x).last_hidden_state
        assert not went
        wanted = stock(pixel_values=x).last_hidden_state
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["clip", "dinov2"])
def test_gradients_weights_of_attention_and_other_number_formats_are_left_to_transformers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, quick = models(name)
    went, x = stock_calls(quick, monkeypatch), torch.randn(1, 3, 56, 56)
    quick(pixel_values=x).last_hidden_state.sum().backward()
    assert len(went) == 3
    with torch.inference_mode():
        with by_torch():
            quick(pixel_values=x)
        assert len(went) == 6
        quick.set_attn_implementation("eager")  # type: ignore[operator]
        assert quick(pixel_values=x, output_attentions=True).attentions[2].shape == (1, 4, 50, 50)
        quick.set_attn_implementation("sdpa")  # type: ignore[operator]
        quick.double()(pixel_values=x.double())
    assert len(went) == 12


def test_towers_of_another_kind_stay_as_they_are() -> None:
    other = ViTModel(ViTConfig(**SHAPE))
    before = [type(m) for m in other.modules()]
    quicken_vision(other)
    assert [type(m) for m in other.modules()] == before


def test_a_glance_is_the_mean_and_the_standard_deviation_of_each_feature() -> None:
    tokens: Tensor = 3 + 2 * torch.randn(4, 50, 7)
    wanted = torch.cat([tokens.mean(1), tokens.std(1, correction=0)], 1)
    torch.testing.assert_close(glance_of(tokens), wanted)
    assert glance_of(tokens.half()).dtype == torch.float32
