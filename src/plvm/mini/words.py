"""Pictures in words: what each patch of a scene would say if patches could speak.

They serve twice. The language model first learns to match, bind and answer on them, without waiting for a vision tower; then
the projector learns to turn the tower's features into them, which aligns the two.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.mini.world import patch_figures
from plvm.portraits import scene as S
from plvm.portraits.person import SLOTS
from plvm.portraits.scene import Scene

WORDS_PER_PATCH = 17
POSITION_SHARE = 0.7  # size of a patch's position against that of its words; at 0.2 nobody learned to say where


class WordPictures:
    """Scenes -> word-picture embeddings [B, P, D] on an embedding table [V, D] that may still be learning."""

    def __init__(self, tokenizer: Any, side: int, width: int) -> None:
        self.tokenizer = tokenizer
        self.side = side
        self.positions = position_codes(side, width)

    def _id(self, word: str) -> int:
        return _single(self.tokenizer, word)

    def ids(self, scene: Scene) -> np.ndarray:
        """int64[P, WORDS_PER_PATCH]: the words of each patch, -1 where there are fewer."""
        head, body = patch_figures(scene, self.side)
        heads, bodies = [], []
        for f in scene.figures:
            look = f.look
            words = [f.person.phrase(s) for s in SLOTS] + [S.EXPRESSIONS[look.expression]]
            words += [S.HATS[look.hat]] if look.hat in S.HATS else []
            words += [S.GLASSES[look.glasses]] if look.glasses in S.GLASSES else []
            heads.append([self._id(" " + w) for w in words])
            garment = S.CLOTHES[look.clothes].split()[0]
            bodies.append([self._id(" " + w) for w in (look.color, garment, S.ACTIVITIES[look.activity])])
        background = [self._id(" " + w) for w in (S.PLACES[scene.place], S.LIGHTS[scene.light])]
        out = np.full((self.side**2, WORDS_PER_PATCH), -1, np.int64)
        for p in range(self.side**2):
            shown = heads[head[p]] if head[p] >= 0 else bodies[body[p]] if body[p] >= 0 else background
            out[p, : len(shown)] = shown
        return out

    def embed(self, scenes: list[Scene], table: Tensor, forget: float = 0.0) -> Tensor:
        """Embeddings [B, P, D]: per patch the sum of its words, each forgotten with probability `forget`, plus its position."""
        ids = torch.from_numpy(np.stack([self.ids(s) for s in scenes]))
        keep = (ids >= 0) & (torch.rand(ids.shape) >= forget)
        words = F.embedding(ids.clamp(min=0), table) * keep.unsqueeze(-1)
        total = words.sum(2) * torch.rsqrt(keep.sum(2, keepdim=True).clamp(min=1).float())
        rms = total.detach().square().mean().sqrt()
        return total + POSITION_SHARE * rms * self.positions


def position_codes(side: int, width: int) -> Tensor:
    """Positions [side * side, width] of size 1, row by row: each row and each column has a direction of its own.

    Orthogonal, so that the mean over several places still tells which ones they were; slow waves would blur them.
    """
    basis = torch.linalg.qr(torch.randn(width, 2 * side, generator=torch.Generator().manual_seed(0)))[0].T
    column, row = basis[:side], basis[side:]
    return (row[:, None] + column[None]).reshape(side * side, width) * (width / 2) ** 0.5


@lru_cache(maxsize=4096)
def _single(tokenizer: Any, word: str) -> int:
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"{word!r} is not one token")
    return ids[0]
