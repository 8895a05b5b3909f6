"""The attention of a small vision transformer with fewer steps: queries, keys and values are one product.

The class of transformers' own modules is exchanged; where gradients flow, in large models, on a GPU and in other number
formats their own forward runs.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from plvm.products import Kept

KINDS = ("CLIPAttention", "Dinov2Attention")  # known by name: importing what a model does not have takes time
_quicker: dict[type, type] = {}


class _QuickAttention(nn.Module):
    """Before transformers' class among the bases of the class that is put in its place."""

    config: Any
    head_dim: int
    q_proj: nn.Module
    k_proj: nn.Module
    v_proj: nn.Module
    _kept: Kept | None = None

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        """[B, T, D] -> [B, T, D], and the weights where the attention that is set makes them."""
        if self._kept is None:
            self._kept = Kept()
        together = None
        if attention_mask is None and self.config._attn_implementation == "sdpa":
            together = self._kept.product(hidden_states, self.q_proj, self.k_proj, self.v_proj)
        if together is None:
            own: tuple[Tensor, Tensor | None] = super().forward(hidden_states, attention_mask, **kwargs)
            return own
        query, key, value = together.unflatten(-1, (3, -1, self.head_dim)).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return getattr(self, "o_proj" if hasattr(self, "o_proj") else "out_proj")(found), None


def quicken_vision(model: nn.Module) -> None:
    """Have the attention of a CLIP or a DINOv2 compute with fewer steps; nothing else of it changes."""
    for module in model.modules():
        if type(module).__name__ in KINDS and type(module).__module__.startswith("transformers."):
            kind = type(module)
            module.__class__ = _quicker.setdefault(kind, type(f"Quick{kind.__name__}", (_QuickAttention, kind), {}))
