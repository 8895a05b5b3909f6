"""One training step of an Aligner: shared image prefixes, packed suffixes, gradients into the Aligner alone.

Each picture goes through tower and language model once, without gradients; its keys and values are repeated for the M suffixes
that ask about it. The loss is that of M separate sequences, and so is its gradient (a test compares them). Where the template
puts the concepts before the image, only what stands before both is shared, and the suffixes hold the picture's tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from plvm.engine.prefix import Prefixes, prefill
from plvm.model.aligner import Aligner, Rows
from plvm.model.backbone import Backbone, repeat
from plvm.model.families import Pixels
from plvm.prompt import Prompt
from plvm.vocabulary import ConceptVocabulary


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch of suffixes, N = pictures x packs, each with C concepts; right-padded.

    pixels: `Backbone.pixels`, or pixel values [B, 3, H, W] where these are all of them, or None (text alone, B = 1); ids, supervise int64[N, T]; z_ref [N, C, L, E]: encoder features of each
    concept's reference; anchors int64[N, C, A] or None: the words that the anchored context tokens should point at.
    """

    pixels: Pixels | Tensor | None
    packs: int
    ids: Tensor
    supervise: Tensor
    z_ref: Tensor
    anchors: Tensor | None = None


def image_prefix(backbone: Backbone, prompt: Prompt, pixels: Pixels | Tensor | None) -> Prefixes:
    """Keys and values of everything up to and including the image, one row per picture (one row in all without pictures)."""
    if isinstance(pixels, Tensor):
        pixels = Pixels({"pixel_values": pixels}, len(pixels))
    return prefill(backbone, prompt, pixels)


def vocabulary_from(rows: Rows, base: int, batch: int) -> ConceptVocabulary:
    """Aligner outputs of N*C concepts -> the concept vocabulary of N requests with C concepts each."""
    word, head, context = (x.unflatten(0, (batch, -1)) for x in rows)
    present = torch.ones(word.shape[:2], dtype=torch.bool, device=word.device)
    return ConceptVocabulary(base, word, head, context, present)


def suffix_logits(backbone: Backbone, prefix: Prefixes, packed: Packed, rows: Rows) -> Tensor:
    """Logits [N, T, V+C] of the packed suffixes after their pictures' prefixes."""
    vocabulary = vocabulary_from(rows, backbone.vocabulary_size, len(packed.ids))
    images = [image for image in prefix.images for _ in range(packed.packs)]
    embeddings = backbone.place(vocabulary.embed(packed.ids, backbone.word_rows), packed.ids, images)
    times = len(packed.ids) // len(prefix.lengths)
    lengths, starts = (x.repeat_interleave(times) for x in (prefix.lengths, prefix.nexts))
    longest, mask = prefix.past[0][0].shape[2], None
    if int(prefix.lengths.min()) < longest:
        before = torch.arange(longest, device=lengths.device) < lengths[:, None]
        mask = torch.cat([before, torch.ones_like(packed.ids, dtype=torch.bool)], 1)
    positions = backbone.positions(packed.ids.tolist(), starts, images or [None] * len(packed.ids))
    hidden, _ = backbone.hidden(embeddings, repeat(prefix.past, times), positions, mask)
    return vocabulary.logits(hidden, backbone.head_rows)


def rows_of(aligner: Aligner, packed: Packed) -> Rows:
    """Concept tokens of every concept of the batch: N*C rows."""
    return aligner.tokens_from_features(packed.z_ref.flatten(0, 1))
