"""The parts of a training, put together: a dataset, the frozen parts of a model, and an Aligner as training begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from plvm.data.dataset import Dataset
from plvm.families import shipped
from plvm.model.aligner import Aligner
from plvm.model.assembly import load_parts
from plvm.model.backbone import Backbone
from plvm.model.pretrained import load_encoder
from plvm.prompt.image_first import Prompt
from plvm.prompt.orders import prompt_of
from plvm.train.features import Cache, Features
from plvm.train.initialization import read_names, untrained
from plvm.train.processes import Team
from plvm.train.settings import Settings
from plvm.train.trainer import RUN, Trainer, precision_of

SHOWN = 1000  # references at most


def prepare(
    data: Path, out: Path, settings: Settings, *, model: str = "mini", device: str | None = None, bits: int | None = None,
    offline: bool = False, cache: Path | None = None,
) -> Trainer:  # fmt: skip
    """A training of a new Aligner on the dataset folder `data`, between the frozen parts of `model`: "mini", a preset, an
    Aligner folder or its Hub id.

    The run and the Aligner go to `out`; a run that began there goes on. `bits` quantises the backbone, `cache` is a folder
    for features of frozen parts (None: none are kept), `offline` downloads nothing. Raises RequestError where dataset,
    settings or folder do not fit, CheckpointError for a model that cannot be had.
    """
    dataset = Dataset(data)
    team = Team(device, settings.train.trackers, out / RUN)
    dtype = precision_of(settings, team.device) if team.device != "cpu" else torch.float32
    loaded = team.device if not settings.train.shard else "cpu"  # what is spread is not to be on one device first
    parts = load_parts(
        shipped(model) or model, loaded, str(dtype).removeprefix("torch."), bits=bits, offline=offline
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
    features = Features(backbone, encoder, dataset, kept)
    names = read_names(backbone.name)
    aligner = untrained(settings.aligner, parts.aligner.config, backbone, encoder, settings.train.seed, names)
    trainer = Trainer(features, out, settings, prompt=prompt, aligner=aligner, team=team, model=model)
    show_references(aligner, features, trainer.splits["train"].people)
    return trainer


def prompt_in(form: str, own: Prompt, backbone: Backbone) -> Prompt:
    """The writer of prompts in the order `form`: the model's `own` where it has this order; else with its words, or those of the
    backbone, in the other order."""
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


def show_references(aligner: Aligner, features: Features, people: Sequence[str]) -> None:
    """Let a form that wants to see some references of `people` before training see them."""
    if aligner.reads_references:
        aligner.see_references(torch.stack([features.reference(p)[0].cpu() for p in people[:SHOWN]]))
