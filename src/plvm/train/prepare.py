"""The parts of a training, put together: a dataset, the frozen parts of a model, and an Aligner as training begins."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from plvm.model.aligner import Aligner, AlignerConfig, PaperAligner, build_aligner
from plvm.model.assembly import load_parts
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.model.frozen import load_encoder
from plvm.personal import MINI
from plvm.prompt import Prompt
from plvm.train.album import Album
from plvm.train.settings import Settings, Shape
from plvm.train.team import Team
from plvm.train.trainer import RUN, Trainer, precision_of


def prepare(
    data: Path, out: Path, settings: Settings, *, model: str = "mini", device: str | None = None, bits: int | None = None,
    offline: bool = False, cache: Path | None = None,
) -> Trainer:  # fmt: skip
    """A training between the frozen parts of `model`: "mini", a preset, an Aligner folder or its Hub id.

    The Aligner starts untrained. Prompts are written with the image first, which is what lets questions share a picture.
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
    prompt = parts.prompt if not parts.prompt.definitions_first else Prompt(backbone.tokenizer, backbone.template())
    aligner = untrained(settings.aligner, parts.aligner.config, backbone, encoder, settings.train.seed)
    return Trainer(
        album, out, settings, backbone=backbone, encoder=encoder, prompt=prompt, aligner=aligner, team=team,
        model=model, cache=cache,
    )  # fmt: skip


def untrained(shape: Shape, own: AlignerConfig, backbone: Backbone, encoder: Encoder, seed: int) -> Aligner:
    """An Aligner of that shape as training begins, with the widths of `own`, between these frozen parts."""
    rms = float(backbone.word_rows.float().square().mean().sqrt())
    config = dataclasses.replace(
        own, architecture=shape.architecture, context_tokens=shape.K, blocks=shape.blocks, bounded=shape.bounded,
        encoder_width=encoder.width, global_token=encoder.global_token, row_rms=rms,
        free_tokens=min(own.free_tokens, shape.K - 1), backbone=backbone.name, encoder=encoder.name,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        aligner = build_aligner(config)
    aligner.use_words(backbone.word_rows)
    if isinstance(aligner, PaperAligner) and shape.bounded and config.global_token:
        aligner.start_from(backbone.word_rows.float().mean(0).cpu(), backbone.head_rows.float().mean(0).cpu())
    return aligner
