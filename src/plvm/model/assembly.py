"""A name -> the parts of a personal model: backbone, encoder, Aligner and the prompt between them, which fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from plvm.errors import CheckpointError, RequestError
from plvm.model.aligner import Aligner, build_aligner
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import FAMILIARITY, fingerprint, load_aligner, load_familiarity
from plvm.model.encoder import Encoder
from plvm.model.familiarity import Familiarity
from plvm.model.fetch import fetch, is_hub_id
from plvm.model.pretrained import load_backbone, load_encoder, load_words
from plvm.model.untrained import aligner_config
from plvm.presets import PRESETS, Preset
from plvm.prompt.image_first import Prompt
from plvm.prompt.orders import prompt_of
from plvm.prompt.template import Template
from plvm.runtime import check_device_map, choose_bits, choose_device, choose_dtype
from plvm.types import nearest_names


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a personal model that fit each other. `fingerprint` names the Aligner; `folder` is where it lies (of a preset:
    its name); `familiarity` says how unlike the training a picture is, where that is known; `notes` are what a user has to
    know."""

    backbone: Backbone
    encoder: Encoder
    aligner: Aligner
    prompt: Prompt
    fingerprint: str
    folder: Path
    notes: tuple[str, ...] = ()
    familiarity: Familiarity | None = None


def load_parts(
    name: str | Path,
    device: str | None = None,
    dtype: str | None = None,
    *,
    bits: int | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    offline: bool = False,
    words_only: bool = False,
) -> Parts:
    """The parts of a preset, of an Aligner folder or of an Aligner on the Hub; with `words_only` of the backbone only what
    `load_words` loads. Raises CheckpointError, RequestError.

    What is cheap to check comes first: requests, then the Aligner's files, then the frozen parts.
    """
    if device_map is not None:
        if device is not None:
            raise RequestError("A device and a device map were given.", "Give one of them.")
        check_device_map()
    where = choose_device(device).value
    number = choose_dtype(dtype, device=where).value
    quantised = choose_bits(bits, device=where).value
    preset = PRESETS.get(str(name)) if not Path(name).is_dir() else None
    template: Template | None
    if preset is not None:
        aligner, template, folder, familiarity = _untrained(preset), _template(preset), Path(preset.name), None
    else:
        _refuse_misspelt(name)
        folder = fetch(str(name), offline=offline) if is_hub_id(name) else Path(name)
        aligner, template, _ = load_aligner(folder)
        familiarity = load_familiarity(folder)
    frozen = _part(folder, aligner.config.backbone, "backbone")
    backbone = (
        load_words(frozen, dtype=None if dtype is None else number, offline=offline)
        if words_only
        else load_backbone(frozen, device=where, dtype=number, bits=quantised, device_map=device_map, offline=offline)
    )
    encoder = load_encoder(
        _part(folder, aligner.config.encoder, "encoder"), device=where, dtype=number, offline=offline
    )
    _check_fit(folder, aligner, backbone, encoder, familiarity)
    template = template if template is not None else backbone.template()
    digest = fingerprint(aligner, template)
    aligner = aligner.to(where)
    aligner.use_words(backbone.word_rows.float())
    try:
        prompt = prompt_of(backbone.tokenizer, template)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{folder}: its template does not fit its backbone: {error}.", "Copy it again.") from None
    notes = () if preset is None else (f"The Aligner of {preset.name} is untrained: it has to be trained before use.",)
    return Parts(backbone, encoder, aligner, prompt, digest, folder, notes, familiarity)


def _refuse_misspelt(name: str | Path) -> None:
    """Raise CheckpointError for a bare word that is neither a folder here nor a preset."""
    if Path(name).parts == (str(name),) and not Path(name).exists():
        near = nearest_names(str(name), ["mini", *PRESETS], 1)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise CheckpointError(
            f"There is no folder {str(name)[:60]}, and no preset of that name.",
            f"{meant}The presets are: mini, {', '.join(PRESETS)}.",
        )


def _untrained(preset: Preset) -> Aligner:
    """The preset's Aligner as training begins, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_aligner(aligner_config(preset)).eval()


def _template(preset: Preset) -> Template | None:
    """The preset's own template; None: the backbone's."""
    return Template(**preset.template) if preset.template else None


def _part(folder: Path, name: str, what: str) -> str:
    """Where the frozen part `name` of an Aligner folder is: a folder relative to it, or a Hub id."""
    if not name:
        raise CheckpointError(f"{folder}/config.json names no {what}.", f'Set "{what}" to its folder or Hub id.')
    beside = folder / name
    return str(beside.resolve()) if beside.exists() or name.startswith(".") else name


def _check_fit(
    folder: Path, aligner: Aligner, backbone: Backbone, encoder: Encoder, familiarity: Familiarity | None
) -> None:
    config = aligner.config
    if (config.width, config.encoder_width) != (backbone.width, encoder.width):
        raise CheckpointError(
            f"{folder} was made for a backbone of width {config.width} and an encoder of width {config.encoder_width}; "
            f"those it names have {backbone.width} and {encoder.width}.",
            "Name the ones it was trained on in its config.json.",
        )
    if config.global_token != encoder.global_token:
        raise CheckpointError(
            f"{folder} was made for an encoder {'with' if config.global_token else 'without'} a global token; {encoder.name} has "
            f"{'one' if encoder.global_token else 'none'}.",
            "Name the one it was trained on in its config.json.",
        )
    widths = backbone.family.glance_width, encoder.glance_width
    if familiarity is not None and familiarity.widths != widths:
        raise CheckpointError(
            f"{folder / FAMILIARITY} was made for features of widths {familiarity.widths}, not {widths}.",
            "Remove it, or copy the one of this Aligner: it judges how unlike the training a picture is.",
        )
