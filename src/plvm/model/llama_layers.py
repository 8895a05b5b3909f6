"""The layers of a Llama with fewer steps: the same weights, the same sums, less between them.

transformers multiplies for queries, keys and values one after the other, turns them in ten steps and norms in six. In a small
model that is most of the time. Where gradients flow, on a GPU and in other number formats transformers' own layers compute.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.llama import modeling_llama as llama

from plvm.products import Kept, Linear, quick

ROWS = 2  # one row is written on token by token, with weights as they are: others would only fill the caches
FEW = 2**16  # numbers of all tokens: of fewer one product is quicker than two, of more what lies apart


class QuickNorm(llama.LlamaRMSNorm):
    """x [.., D] -> x over its root-mean-square, times the weight, in one step."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[.., D] -> [.., D]."""
        if not _quick(hidden_states):
            return super().forward(hidden_states)
        return F.rms_norm(hidden_states, self.weight.shape, self.weight, self.variance_epsilon)


class QuickMLP(llama.LlamaMLP):
    """The feed-forward, gate and what it lets through as one product where that is quicker."""

    _kept: Kept | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[.., D] -> [.., D]."""
        if not _several(x):
            return super().forward(x)
        if self._kept is None:
            self._kept = Kept()
        both = self._kept.product(x, self.gate_proj, self.up_proj) if len(x) >= ROWS and x.numel() < FEW else None
        gate, up = (self.gate_proj(x), self.up_proj(x)) if both is None else both.chunk(2, -1)
        return self.down_proj(self.act_fn(gate).mul_(up))


class QuickAttention(llama.LlamaAttention):
    """Attention, queries, keys and values from one product where that is quicker, and turned where they lie."""

    _kept: Kept | None = None

    def forward(
        self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor] | None = None,
        attention_mask: Tensor | None = None, past_key_values: Any = None, *, last: bool = False, **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """[B, T, D] -> [B, T, D], of the `last` token alone [B, 1, D], and weights where the attention that is set makes them."""
        if not (last or _several(hidden_states)) or position_embeddings is None:
            return super().forward(hidden_states, position_embeddings, attention_mask, past_key_values, **kwargs)
        query, key, value = self._projected(hidden_states, *position_embeddings)
        if last:
            query, attention_mask = query[:, :, -1:], attention_mask[:, :, -1:] if attention_mask is not None else None
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attention = llama.ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, llama.eager_attention_forward)
        found, weights = attention(self, query, key, value, attention_mask, dropout=0.0, scaling=self.scaling, **kwargs)
        return self.o_proj(found.flatten(2)), weights

    def _projected(self, x: Tensor, cosines: Tensor, sines: Tensor) -> tuple[Tensor, ...]:
        """x [B, T, D] -> turned queries [B, heads, T, width] and keys, and values, of as many heads as there are."""
        if self._kept is None:
            self._kept = Kept()
        shape, turns = (*x.shape[:2], -1, self.head_dim), (cosines.unsqueeze(2), sines.unsqueeze(2))
        together = self._kept.product(x, self.q_proj, self.k_proj, self.v_proj) if len(x) >= ROWS else None
        if together is None:
            query, key, value = (layer(x).view(shape) for layer in (self.q_proj, self.k_proj, self.v_proj))
            query, key = _turned(query, *turns), _turned(key, *turns)
        else:
            queries, keys = (layer.out_features // self.head_dim for layer in (self.q_proj, self.k_proj))
            both, value = together.view(shape).split([queries + keys, keys], 2)
            query, key = _turned(both, *turns).split([queries, keys], 2)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)


class QuickLayer(llama.LlamaDecoderLayer):
    """A layer. Where nothing but every row's `last` token is asked for, the `final` one of a model makes keys and values of all
    tokens, and what it says of that one alone."""

    final = False

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, *, last: bool = False, **kwargs: Any
    ) -> Tensor:
        """[B, T, D] -> [B, T, D], or [B, 1, D]."""
        if not (last and self.final):
            return super().forward(hidden_states, attention_mask, **kwargs)
        normed = self.input_layernorm(hidden_states)
        found, _ = self.self_attn(hidden_states=normed, attention_mask=attention_mask, last=True, **kwargs)
        said = hidden_states[:, -1:] + found
        return said + self.mlp(self.post_attention_layernorm(said))


class Layers(nn.ModuleList):
    """A model's layers. transformers asks for the first so many of them at every pass, which are all: no other list is made."""

    def __getitem__(self, index: Any) -> Any:
        return self if isinstance(index, slice) and index == slice(None, len(self)) else super().__getitem__(index)


def quicken_layers(model: nn.Module) -> None:
    """Have the layers of a Llama compute with fewer steps; nothing else of them changes."""
    quicker: dict[type, type] = {
        llama.LlamaRMSNorm: QuickNorm, llama.LlamaMLP: QuickMLP, llama.LlamaAttention: QuickAttention,
        llama.LlamaDecoderLayer: QuickLayer,
    }  # fmt: skip
    for module in model.modules():
        module.__class__ = quicker.get(type(module), type(module))
        if isinstance(module, llama.LlamaModel):
            module.layers.__class__, module.layers[-1].final = Layers, True
            for layer in module.layers.modules():
                if isinstance(layer, Linear):
                    layer.rows = ROWS


def _quick(x: Tensor) -> bool:
    return not torch.is_grad_enabled() and quick(x)


def _several(x: Tensor) -> bool:
    """Whether these are more tokens than one, for which what is done here takes as long as what it saves."""
    return x.numel() > x.shape[-1] and _quick(x)


def _turned(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Heads [B, T, heads, width] turned to their places: the halves of a head are the coordinates of width / 2 points; `cosines`
    and `sines` [B, T, 1, width] have each angle twice."""
    half = x.shape[-1] // 2
    turned, sines = x * cosines, sines[..., :half]
    turned[..., :half].addcmul_(x[..., half:], sines, value=-1)
    turned[..., half:].addcmul_(x[..., :half], sines)
    return turned
