"""Groups of questions -> packed batches: features looked up, prompts written, similar lengths side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from plvm.errors import RequestError
from plvm.model.aligner import Rows
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import ANSWER, IGNORED, VERDICT, Tokens
from plvm.train.features import Features
from plvm.train.rows import pad_rows, write_turns
from plvm.train.step import Packed, vocabulary_from
from plvm.train.tasks import Group, Sample


def write_sample(prompt: Prompt, sample: Sample, base: int, k: int, image: int = 0) -> Tokens:
    """The suffix of one dialogue: its people defined where they join, each question and its answer; with `image` tokens of a
    picture in it."""
    count = len(sample.people)
    blank = torch.zeros(count, 1)
    vocabulary = vocabulary_from(Rows(blank, blank, torch.zeros(count, k, 1)), base, 1)  # for its ids alone
    turns = [(t.question, t.answer, t.here is not None) for t in sample.turns]
    return write_turns(prompt, [f"n{i}" for i in range(count)], sample.joins, turns, vocabulary, image=image)


def pack(
    groups: Sequence[Group], features: Features, prompt: Prompt, k: int, augment: str | None = None,
    anchors: Callable[[str], Sequence[int]] | None = None,
) -> Packed:  # fmt: skip
    """Groups that all have a picture, or all have none, and as many questions each, as one batch on the backbone's device.
    `anchors` gives the words of a person that anchored tokens are told."""
    backbone, samples = features.backbone, [s for g in groups for s in g.samples]
    tokens = [features.image_tokens(g.picture) for g in groups] if groups[0].picture else None
    images = None
    if tokens is not None and prompt.definitions_first:  # each question goes through the model with its picture
        own = [backbone.features(t) for t in tokens]
        if len({len(rows) for rows in own}) > 1:
            raise RequestError(
                "Concepts before the picture are trained with pictures of one number of tokens, and this model's vary.",
                "Train with aligner.form=image-first.",
            )
        images, tokens = torch.stack(own).repeat_interleave(len(groups[0].samples), 0), None
    length = images.shape[1] if images is not None else 0
    written = [write_sample(prompt, s, backbone.vocabulary_size, k, length) for s in samples]
    supervise = [verdict_alone(t.supervise) if backbone.family.goes_on else t.supervise for t in written]
    references = {p: features.reference(p, augment) for p in dict.fromkeys(p for s in samples for p in s.people)}
    z_ref = torch.stack([torch.stack([references[p] for p in s.people]) for s in samples])
    device = backbone.device
    return Packed(
        tokens,
        len(groups[0].samples),
        pad_rows([t.ids for t in written], prompt.end_id).to(device),
        pad_rows(supervise, 0).to(device),
        z_ref.to(device),
        torch.tensor([[anchors(p) for p in s.people] for s in samples], device=device) if anchors else None,
        images,
    )


def verdict_alone(supervise: Sequence[int]) -> list[int]:
    """What is supervised without the rest of those answers that begin with a Yes/No word."""
    told: list[int] = []
    rest = False
    for kind in supervise:
        rest = kind == VERDICT or (rest and kind == ANSWER)
        told.append(IGNORED if rest and kind == ANSWER else kind)
    return told


def pieces(
    groups: Sequence[Group], count: int, rank: int = 0, ranks: int = 1, *, even: bool = False
) -> Iterator[tuple[list[Group], bool]]:
    """The share of process `rank` in a step, in up to `count` pieces with and as many without pictures; True with each.

    Groups are ordered by their longest sentences first, so that what is padded to one length is of similar length. `even`:
    all processes get the same number of pieces, which those that share a model's weights must; the ones that go short get a
    group that is another's, with False.
    """
    for seen in (True, False):
        all_ = sorted((g for g in groups if bool(g.picture) == seen), key=_length)
        own, most = all_[rank::ranks], len(all_[::ranks])
        size = -(-most // count) or 1
        for start in range(0, most if even else len(own), size):
            piece = own[start : start + size]
            yield (piece, True) if piece else (all_[:1], False)


def _length(group: Group) -> int:
    return max(sum(len(t.question) + len(t.answer) for t in s.turns) for s in group.samples)
