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

from plvm_lab.families.mini.world import patch_figures
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.person import PHRASES, SLOTS
from plvm_lab.portraits.scene import Scene

WORDS_PER_PATCH = 17
LOOK_SHARE = 2.5  # size of a hat's, glasses' or expression's word against a trait's: one against fourteen, it drowns
BARE = ("no hat", "no glasses")  # shown where there is none: what is absent can be seen only if something says so
POSITION_SHARE = 0.7  # size of a patch's position against that of its words; at 0.2 nobody learned to say where


def shown_words() -> list[str]:
    """Every word that a patch can show: the traits first, then looks, clothes, activities, places and lights."""
    garments = [c.split()[0] for c in S.CLOTHES.values()]
    tables = (S.EXPRESSIONS.values(), S.HATS.values(), S.GLASSES.values(), S.COLORS, garments)
    looks = [w for words in (*tables, S.ACTIVITIES.values(), S.PLACES.values(), S.LIGHTS.values(), BARE) for w in words]
    return list(dict.fromkeys(trait_words() + looks))


def look_words() -> list[str]:
    """The words of what changes about a head from picture to picture."""
    return [*S.EXPRESSIONS.values(), *S.HATS.values(), *S.GLASSES.values(), *BARE]


def trait_words() -> list[str]:
    """The words of all traits, slot by slot."""
    return [phrase for slot in SLOTS for phrase in PHRASES[slot].values()]


class WordPictures:
    """Scenes -> word-picture embeddings [B, P, D]: every word and every position has a fixed direction of its own."""

    def __init__(self, side: int, width: int) -> None:
        self.side = side
        self.number = {word: i for i, word in enumerate(shown_words())}
        looks = set(look_words())
        share = torch.tensor([LOOK_SHARE if word in looks else 1.0 for word in self.number])
        self.words = word_codes(side, width) * width**0.5 * share.unsqueeze(1)
        self.positions = position_codes(side, width)

    def ids(self, scene: Scene) -> np.ndarray:
        """int64[P, WORDS_PER_PATCH]: the words of each patch, -1 where there are fewer."""
        head, body = patch_figures(scene, self.side)
        heads, bodies = [], []
        for f in scene.figures:
            look = f.look
            words = [f.person.phrase(s) for s in SLOTS] + [S.EXPRESSIONS[look.expression]]
            words += [S.HATS.get(look.hat, BARE[0]), S.GLASSES.get(look.glasses, BARE[1])]
            heads.append([self.number[w] for w in words])
            garment = S.CLOTHES[look.clothes].split()[0]
            bodies.append([self.number[w] for w in (look.color, garment, S.ACTIVITIES[look.activity])])
        background = [self.number[w] for w in (S.PLACES[scene.place], S.LIGHTS[scene.light])]
        out = np.full((self.side**2, WORDS_PER_PATCH), -1, np.int64)
        for p in range(self.side**2):
            shown = heads[head[p]] if head[p] >= 0 else bodies[body[p]] if body[p] >= 0 else background
            out[p, : len(shown)] = shown
        return out

    def embed(self, scenes: list[Scene], forget: float = 0.0) -> Tensor:
        """Embeddings [B, P, D]: per patch the sum of its words, each forgotten with probability `forget`, plus its position."""
        ids = torch.as_tensor(np.stack([self.ids(s) for s in scenes]))
        keep = (ids >= 0) & (torch.rand(ids.shape) >= forget)
        keep |= (ids >= 0) & ~keep.any(2, keepdim=True)  # a patch that says nothing would be all position
        words = F.embedding(ids.clamp(min=0), self.words) * keep.unsqueeze(-1)
        total = words.sum(2) * torch.rsqrt(keep.sum(2, keepdim=True).clamp(min=1).float())
        return total + POSITION_SHARE * self.positions


def _normal(*shape: int, seed: int) -> Tensor:
    """Normal numbers that are equal on every device, whatever was drawn before."""
    return torch.randn(*shape, generator=torch.Generator("cpu").manual_seed(seed), device="cpu").to(
        torch.get_default_device()
    )


def position_basis(side: int, width: int) -> Tensor:
    """Directions [2 * side, width] of the columns, then of the rows: orthogonal, of size 1.

    The mean over several places then still tells which ones they were; slow waves would blur them.
    """
    return torch.linalg.qr(_normal(width, 2 * side, seed=0))[0].T


def word_codes(side: int, width: int) -> Tensor:
    """Directions [words, width] of what a patch can show, of size 1: orthogonal to each other and to all positions, where the
    width has room for that."""
    places, count = position_basis(side, width), len(shown_words())
    free = _normal(count, width, seed=1)
    free = free - free @ places.T @ places
    if count + len(places) <= width:
        return torch.linalg.qr(free.T)[0].T
    return F.normalize(free, dim=-1)


def position_codes(side: int, width: int) -> Tensor:
    """Positions [side * side, width] with an RMS of 1, row by row."""
    column, row = position_basis(side, width).split(side)
    return (row[:, None] + column[None]).reshape(side * side, width) * (width / 2) ** 0.5


def speaks_of_people(tokenizer: Any) -> bool:
    """Whether every trait is one token of this tokenizer, as it is for the family's own."""
    return all(len(tokenizer(" " + word, add_special_tokens=False)["input_ids"]) == 1 for word in trait_words())


@lru_cache(maxsize=4096)
def single(tokenizer: Any, word: str) -> int:
    """The one token of a word or phrase."""
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ValueError(f"{word!r} is not one token")
    return ids[0]
