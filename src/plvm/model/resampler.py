"""The resampler T: encoder tokens -> a fixed number of context embeddings (paper, section 3.1).

`Resampler` is the paper's: tokens projected to the resampler's width, learned queries Q, pre-norm cross-attention blocks with
a feed-forward of four times the width. `PerceiverResampler` is the one of the authors' checkpoint: keys and values are the
tokens followed by the latents, and a LayerNorm closes it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.products import Kept


def _feed_forward(width: int, bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width, bias=bias), nn.GELU(), nn.Linear(4 * width, width, bias=bias)
    )


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Multi-head attention of q [N, Q, W] over k, v [N, L, W]."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class CrossAttentionBlock(nn.Module):
    """x [N, Q, W], tokens [N, L, W] -> [N, Q, W]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query, self.norm_tokens = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.feed_forward = _feed_forward(width, bias=True)
        self._kept = Kept()

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Latents x [N, Q, W] after reading the encoder tokens [N, L, W]: [N, Q, W]."""
        tokens = self.norm_tokens(tokens)
        both = self._kept.product(tokens, self.k, self.v)
        k, v = (self.k(tokens), self.v(tokens)) if both is None else both.chunk(2, -1)
        x = x + self.o(_attend(self.q(self.norm_query(x)), k, v, self.heads))
        return x + self.feed_forward(x)


class Resampler(nn.Module):
    """tokens [N, L, E] -> [N, queries, W]; the caller maps W to D."""

    def __init__(self, encoder_width: int, width: int, queries: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(encoder_width, width)
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.blocks = nn.ModuleList(CrossAttentionBlock(width, heads) for _ in range(blocks))

    def forward(self, tokens: Tensor) -> Tensor:
        """Encoder tokens [N, L, E] -> [N, queries, W]."""
        tokens = self.project(tokens)
        x = self.queries.expand(len(tokens), -1, -1)
        for block in self.blocks:
            x = block(x, tokens)
        return x


class PerceiverBlock(nn.Module):
    """Attention of the latents over tokens and latents together, then the feed-forward; no biases (released checkpoint)."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        inner = heads * head_width
        self.heads = heads
        self.norm_tokens, self.norm_latents = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.feed_forward = _feed_forward(width, bias=False)

    def forward(self, latents: Tensor, tokens: Tensor) -> Tensor:
        """Latents [N, Q, E] after reading the encoder tokens [N, L, E]: [N, Q, E]."""
        normed = self.norm_latents(latents)
        k, v = self.to_kv(torch.cat([self.norm_tokens(tokens), normed], 1)).chunk(2, -1)
        latents = latents + self.to_out(_attend(self.to_q(normed), k, v, self.heads))
        return latents + self.feed_forward(latents)


class PerceiverResampler(nn.Module):
    """tokens [N, L, E] (global token included) -> [N, queries, D]; its own width is the encoder's."""

    def __init__(self, width: int, width_out: int, queries: int, blocks: int, heads: int, head_width: int = 64) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, queries, width) * width**-0.5)
        self.proj_in = nn.Linear(width, width)
        self.blocks = nn.ModuleList(PerceiverBlock(width, heads, head_width) for _ in range(blocks))
        self.proj_out = nn.Linear(width, width_out)
        self.norm_out = nn.LayerNorm(width_out)

    def forward(self, tokens: Tensor) -> Tensor:
        """Encoder tokens [N, L, E], the global one first -> [N, queries, D]."""
        tokens = self.proj_in(tokens)
        x = self.latents.expand(len(tokens), -1, -1)
        for block in self.blocks:
            x = block(x, tokens)
        return self.norm_out(self.proj_out(x))
