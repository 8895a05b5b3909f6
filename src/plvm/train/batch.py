"""Groups of questions -> packed batches: features looked up, prompts written, similar lengths side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import torch

from plvm.errors import RequestError
from plvm.model.aligner import Rows
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import ANSWER, IGNORED, VERDICT, Tokens
from plvm.train.features import Features
from plvm.train.rows import pad_rows, write_turns
from plvm.train.step import Packed, vocabulary_from
from plvm.train.tasks import Group, Sample, Turn


def write_sample(prompt: Prompt, sample: Sample, base: int, k: int, image: int = 0, goes_on: str = "") -> Tokens:
    """The suffix of one dialogue: its people defined where they join, each question and its answer; with `image` tokens of a
    picture in it. Yes and No are answered as the family does that `goes_on` after them (`Family.goes_on`)."""
    count = len(sample.people)
    blank = torch.zeros(count, 1)
    vocabulary = vocabulary_from(Rows(blank, blank, torch.zeros(count, k, 1)), base, 1)  # for its ids alone
    turns = [(t.question, _begun(t, goes_on, prompt), t.here is not None) for t in sample.turns]
    tokens = write_turns(prompt, [f"n{i}" for i in range(count)], sample.joins, turns, vocabulary, image=image)
    if goes_on:
        _without_end(tokens, prompt.end_id)
    return tokens


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
    goes_on = backbone.family.goes_on
    written = [write_sample(prompt, s, backbone.vocabulary_size, k, length, goes_on) for s in samples]
    references = {p: features.reference(p, augment) for p in dict.fromkeys(p for s in samples for p in s.people)}
    z_ref = torch.stack([torch.stack([references[p] for p in s.people]) for s in samples])
    device = backbone.device
    return Packed(
        tokens,
        len(groups[0].samples),
        pad_rows([t.ids for t in written], prompt.end_id).to(device),
        pad_rows([t.supervise for t in written], 0).to(device),
        z_ref.to(device),
        torch.tensor([[anchors(p) for p in s.people] for s in samples], device=device) if anchors else None,
        images,
    )


def _begun(turn: Turn, goes_on: str, prompt: Prompt) -> str:
    """A turn's answer; where it is Yes or No, as a family begins it that `goes_on` in words of its own."""
    if turn.here is None or not goes_on:
        return turn.answer
    (name,) = set(re.findall(r"<n\d+>", turn.question))
    return (prompt.template.yes if turn.here else prompt.template.no) + goes_on.replace("{name}", name)


def _without_end(tokens: Tokens, end: int) -> None:
    """Supervise no end of answers that begin with Yes or No: the family goes on."""
    verdict = False
    for i, (token, kind) in enumerate(zip(tokens.ids, tokens.supervise, strict=True)):
        verdict = kind == VERDICT or (verdict and kind == ANSWER)
        if verdict and token == end:
            tokens.supervise[i] = IGNORED


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
