"""What this machine can do at most: the rate of a large matrix product, and the bandwidth of a copy. And what a language model
asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from plvm import products
from plvm.model.backbone import Backbone
from plvm_lab.measure.timing import milliseconds

Work = tuple[Callable[[], Any], int]  # a call, and how many floating-point operations or bytes it is
PRODUCTS = 3  # at a time: a single one is over before the clock has settled


def bandwidth(device: str) -> float:
    """Bytes a second that a copy of a large tensor reads and writes."""
    step, moved = copy(device)
    return moved / milliseconds(step, device, 10) * 1000


def product(device: str, dtype: torch.dtype) -> Work:
    """Large matrix products by the quickest library here, in floating-point operations."""
    side = 8192 if device.startswith("cuda") else 1536
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    @torch.inference_mode()
    def step() -> None:
        for _ in range(PRODUCTS):
            products.product(a, b)

    return step, PRODUCTS * 2 * side**3


def copy(device: str) -> Work:
    """A copy of a large tensor, in bytes read and written."""
    source = torch.zeros(2**30 if device.startswith("cuda") else 2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return (lambda: target.copy_(source)), 2 * source.numel()


def language_bytes(backbone: Backbone) -> int:
    """Bytes of the weights that every token is multiplied with: the language model's layers and the LM head."""
    layers = backbone.language_model.layers.parameters()
    return sum(p.numel() * p.element_size() for p in layers) + backbone.head_rows.numel() * backbone.head_rows.element_size()


def layer_flops(backbone: Backbone, tokens: int, seen: float) -> float:
    """Operations of the language model's layers on `tokens` that see `seen` tokens each, the mean, of which nothing is asked but
    their keys and values and the state of the last one."""
    config = backbone.model.config.text_config
    width = config.num_attention_heads * (getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    weights = sum(p.numel() for p in backbone.language_model.layers.parameters())
    all_layers = tokens * (2.0 * weights + 4.0 * width * config.num_hidden_layers * seen)
    if not backbone.ends_early:
        return all_layers
    final = backbone.language_model.layers[-1]
    spared = sum(p.numel() for part in (final.mlp, final.self_attn.o_proj) for p in part.parameters())
    return all_layers - (tokens - 1) * (2.0 * spared + 4.0 * width * seen)
