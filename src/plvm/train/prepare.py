"""The parts of a training, put together: a dataset, the frozen parts of a model, and an Aligner as training begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from plvm.definitions_first import prompt_of
from plvm.model.aligner import Aligner, AnchoredAligner
from plvm.model.assembly import load_parts
from plvm.model.backbone import Backbone
from plvm.model.frozen import load_encoder
from plvm.personal import MINI
from plvm.prompt import Prompt
from plvm.train.album import Album
from plvm.train.features import Cache, Features
from plvm.train.settings import Settings
from plvm.train.start import read_names, untrained, whiten
from plvm.train.team import Team
from plvm.train.trainer import RUN, Trainer, precision_of

WHITENED = 1000  # references that an anchored Aligner's codes are measured on


def prepare(
    data: Path, out: Path, settings: Settings, *, model: str = "mini", device: str | None = None, bits: int | None = None,
    offline: bool = False, cache: Path | None = None,
) -> Trainer:  # fmt: skip
    """A training between the frozen parts of `model`: "mini", a preset, an Aligner folder or its Hub id.

    The Aligner starts untrained.
    Raises RequestError, CheckpointError.
    """
    album = Album(data)
    team = Team(device, settings.train.trackers, out / RUN)
    dtype = precision_of(settings, team.device) if team.device != "cpu" else torch.float32
    loaded = team.device if not settings.train.shard else "cpu"  # what is spread is not to be on one device first
    parts = load_parts(
        MINI if model == "mini" else model, loaded, str(dtype).removeprefix("torch."), bits=bits, offline=offline
    )
    encoder = parts.encoder
    if settings.train.shard:
        team.shard(parts.backbone)
        encoder.model.to(team.device)
    if settings.aligner.encoder:
        encoder = load_encoder(settings.aligner.encoder, device=team.device, dtype=dtype, offline=offline)
    backbone = parts.backbone
    prompt = prompt_in(settings.aligner.form, parts.prompt, backbone)
    kept = Cache(cache, settings.train.cache * 1e9) if cache is not None and settings.train.cache else None
    features = Features(backbone, encoder, album, kept)
    names = read_names(backbone.name)
    aligner = untrained(settings.aligner, parts.aligner.config, backbone, encoder, settings.train.seed, names)
    trainer = Trainer(features, out, settings, prompt=prompt, aligner=aligner, team=team, model=model)
    whitened(aligner, features, trainer.splits["train"].people)
    return trainer


def prompt_in(form: str, own: Prompt, backbone: Backbone) -> Prompt:
    """The model's own prompts where they have this form; else the same words, or the backbone's, in the other order."""
    if own.template.form == form:
        return own
    if own.definitions_first:
        return Prompt(backbone.tokenizer, backbone.template())
    template, begin = own.template, backbone.tokenizer.bos_token or ""
    released = dataclasses.replace(
        template, form=form, begin="", user=template.begin.removeprefix(begin),
        after_image=template.after_image + template.first_gap,
    )  # fmt: skip
    return prompt_of(backbone.tokenizer, released)


def whitened(aligner: Aligner, features: Features, people: Sequence[str]) -> None:
    """Let an anchored Aligner's codes start with independent coordinates over the references of `people`."""
    if isinstance(aligner, AnchoredAligner) and aligner.config.global_token:
        whiten(aligner.code, torch.stack([features.reference(p)[0].cpu() for p in people[:WHITENED]]))
