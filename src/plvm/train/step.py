"""One training step of an Aligner: shared image prefixes, packed suffixes, gradients into the Aligner alone.

Each picture goes through tower and language model once, without gradients; its keys and values are shared by the M suffixes
that ask about it. The loss is that of M separate sequences, and so is its gradient (a test compares them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from plvm.engine.prefix import Prefixes, prefill
from plvm.errors import RequestError
from plvm.model.aligner import Aligner, Rows
from plvm.model.backbone import Backbone
from plvm.model.backbone_family import ImageTokens, Pixels
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.train.loss import answer_logits

Pictures = Pixels | Tensor | Sequence[ImageTokens]


@dataclass(frozen=True, eq=False)
class Packed:
    """A batch of suffixes, N = pictures x packs, each with C concepts; right-padded.

    pixels: `Backbone.pixels`, or pixel values [B, 3, H, W] where these are all of them, or image tokens computed before, or
    None (text alone, B = 1); ids, supervise int64[N, T]; z_ref [N, C, L, E]: encoder features of each concept's reference;
    anchors int64[N, C, A] or None: the words that the anchored context tokens should point at; images [N, P, D] or None: the
    pictures' tokens where the prompts write them themselves, after the definitions: then `pixels` is None and nothing is shared.
    """

    pixels: Pictures | None
    packs: int
    ids: Tensor
    supervise: Tensor
    z_ref: Tensor
    anchors: Tensor | None = None
    images: Tensor | None = None


def image_prefix(backbone: Backbone, prompt: Prompt, pixels: Pictures | None) -> Prefixes:
    """Keys and values of everything up to and including the image, one row per picture (one row in all without pictures).

    Raises RequestError where the template defines concepts before the picture: then there is nothing to share.
    """
    if prompt.definitions_first and pixels is not None:
        raise RequestError(
            "With this template concepts stand before the picture, so pictures cannot be shared in training.",
            'Give them as `images`, or use a template whose form is "image-first".',
        )
    if isinstance(pixels, Tensor):
        pixels = Pixels({"pixel_values": pixels})
    with torch.no_grad():
        images = backbone.image_tokens(pixels) if isinstance(pixels, Pixels) else pixels or ()
    return prefill(backbone, prompt, images)


def vocabulary_from(rows: Rows, base: int, batch: int, images: Tensor | None = None) -> ConceptVocabulary:
    """Aligner outputs of N*C concepts -> the concept vocabulary of N requests with C concepts each, and their `images`."""
    word, head, context = (x.unflatten(0, (batch, -1)) for x in rows)
    present = torch.ones(word.shape[:2], dtype=torch.bool, device=word.device)
    return ConceptVocabulary(base, word, head, context, present, images)


def suffix_logits(backbone: Backbone, prefix: Prefixes, packed: Packed, rows: Rows) -> Tensor:
    """Logits [A, V+C] of the answers in the packed suffixes, after their pictures' prefixes."""
    vocabulary = vocabulary_from(rows, backbone.vocabulary_size, len(packed.ids), packed.images)
    embeddings = vocabulary.embed(packed.ids, backbone.word_rows)
    times = packed.packs if packed.pixels is not None else len(packed.ids)
    first = torch.tensor(prefix.nexts, device=packed.ids.device).repeat_interleave(times)
    positions = first[:, None] + torch.arange(packed.ids.shape[1], device=packed.ids.device)
    hidden, _ = backbone.hidden(embeddings, prefix.shared(times), positions)
    return answer_logits(vocabulary, hidden, packed.supervise, backbone.head_rows)


def rows_of(aligner: Aligner, packed: Packed) -> Rows:
    """Concept tokens of every concept of the batch: N*C rows."""
    return aligner.tokens_from_features(packed.z_ref.flatten(0, 1))
