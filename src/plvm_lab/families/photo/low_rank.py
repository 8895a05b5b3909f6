"""A frozen language model that learns by low-rank updates of its linear layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from plvm.model.photo.photo_model import PhotoConfig, update_shapes


class LowRank(nn.Module):
    """A frozen linear layer and a low-rank update of it, zero at birth."""

    def __init__(self, frozen: nn.Linear, rank: int) -> None:
        super().__init__()
        self.frozen = frozen
        self.down = nn.Parameter(torch.randn(rank, frozen.in_features) / math.sqrt(frozen.in_features))
        self.up = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """What the layer with its update makes of `x`."""
        return self.frozen(x) + functional.linear(functional.linear(x, self.down), self.up)


def graft(language: Any, config: PhotoConfig) -> dict[str, nn.Parameter]:
    """Give a LlamaForCausalLM its updates; returns them by the names that a saved family has."""
    shapes = update_shapes(language, config)
    for name in sorted({key.rpartition(".")[0] for key in shapes}):
        parent, _, last = name.rpartition(".")
        layer = LowRank(language.get_submodule(name), shapes[f"{name}.down"][0])
        setattr(language.get_submodule(parent), last, layer)
    return updates_of(language)


def updates_of(language: Any) -> dict[str, nn.Parameter]:
    """The updates of a grafted language model, by the names that a saved family has."""
    layers = {name: m for name, m in language.named_modules() if isinstance(m, LowRank)}
    return {f"{name}.{part}": getattr(layer, part) for name, layer in layers.items() for part in ("down", "up")}


def load_updates(language: Any, updates: Mapping[str, Tensor]) -> None:
    """Put saved updates into a grafted language model."""
    with torch.no_grad():
        for name, parameter in updates_of(language).items():
            parameter.copy_(updates[name])
