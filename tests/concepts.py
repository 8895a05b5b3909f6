"""Concepts without a model: tokens from a seed, and references that a test can find again byte by byte."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from pictures import encoded
from plvm.types import Concept, ConceptTokens

D, K, E = 8, 4, 6


def tokens(seed: int = 0) -> ConceptTokens:
    """Tokens of D=8, K=4, E=6."""
    generator = torch.Generator().manual_seed(seed)
    word, head, key = (torch.randn(size, generator=generator) for size in (D, D, E))
    return ConceptTokens(word, head, torch.randn(K, D, generator=generator), key / key.norm())


def reference(seed: int, side: int = 64) -> bytes:
    """A PNG of noise: incompressible, so every stretch of its bytes belongs to no other picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise))


def concept(name: str, seed: int = 0, *, aligner: str = "aligner-a", references: int = 1, side: int = 64) -> Concept:
    """A concept with its own tokens and references."""
    pictures = tuple(reference(1000 * seed + i, side) for i in range(references))
    notes, created = f"notes on {name}: seed {seed}", "2026-01-02T03:04:05+00:00"
    return Concept(name, tokens(seed), aligner, pictures, notes, created)


def same(a: Concept, b: Concept, but: tuple[str, ...] = ()) -> bool:
    """Whether two concepts are equal in everything, `but` some fields; tensors bit by bit."""
    fields = ("name", "display", "aligner", "references", "notes", "consent", "created")
    tensors = ("word", "head", "context", "key")
    return all(getattr(a, f) == getattr(b, f) for f in fields if f not in but) and all(
        torch.equal(getattr(a.tokens, t), getattr(b.tokens, t)) for t in tensors
    )
