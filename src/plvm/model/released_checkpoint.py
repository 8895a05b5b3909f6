"""The Aligner that the authors of PLVM released, as an Aligner folder of the form `released`.

Their file is a PyTorch state dict. Only tensors are taken from it: nothing in it can run. Its names become ours, its
numbers stay; with them goes the prompt it was trained with, in which concepts are defined before the picture.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from plvm.errors import CheckpointError
from plvm.model.aligner import Aligner, AlignerConfig, build_aligner
from plvm.model.checkpoint import CONFIG, save_aligner
from plvm.model.untrained import aligner_config
from plvm.presets import PRESETS
from plvm.prompt.template import Template

PRESET = PRESETS["released-7b"]
TEMPLATE = Template(**PRESET.template)
_NAMES = (  # how our names begin, and how theirs do: what follows is the same
    (r"resampler\.blocks\.(\d+)\.norm_tokens\.", r"layers.\1.0.norm1."),
    (r"resampler\.blocks\.(\d+)\.norm_latents\.", r"layers.\1.0.norm2."),
    (r"resampler\.blocks\.(\d+)\.feed_forward\.", r"layers.\1.1."),
    (r"resampler\.blocks\.(\d+)\.", r"layers.\1.0."),
    (r"resampler\.", ""),
    (r"head\.", "linear_weight_mapping."),
)
_SHOWN = 8  # so many differences are written out


def import_official(
    checkpoint: str | Path,
    folder: str | Path,
    *,
    backbone: str = "",
    encoder: str = "",
    config: AlignerConfig | None = None,
    overwrite: bool = False,
) -> Aligner:
    """Write the authors' checkpoint file as an Aligner folder; returns the Aligner, in float32 and eval mode.

    `backbone` and `encoder` name the frozen parts (default: their Hub ids); `config` the shapes (default: those of the
    release: LLaVA-1.5-7B and DINOv2-base). Raises CheckpointError where the file cannot be read, holds other tensors
    than these, or where the folder has an Aligner already and `overwrite` is off.
    """
    folder, checkpoint = Path(folder), Path(checkpoint)
    if (folder / CONFIG).exists() and not overwrite:
        raise CheckpointError(f"There is a model in {folder} already.", "Name another folder, or replace it.")
    shapes = config if config is not None else aligner_config(PRESET)
    shapes = replace(shapes, backbone=backbone or shapes.backbone, encoder=encoder or shapes.encoder)
    with torch.device("meta"):
        aligner = build_aligner(shapes)
    weights = _checked(checkpoint, _read(checkpoint), aligner)
    aligner.load_state_dict(weights, assign=True)
    save_aligner(folder, aligner.eval(), TEMPLATE, _record(checkpoint))
    return aligner


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict file. What is no plain file of tensors is refused, and nothing of it is run."""
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}.", "Give the .ckpt file that the authors of PLVM released.")
    if not zipfile.is_zipfile(path):  # all that torch.save has written since 1.6; older formats are harder to trust
        raise CheckpointError(f"{path} is no PyTorch checkpoint, or only a part of one.", "Download it again.")
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader has many errors; anything but tensors is one of them
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CheckpointError(
            f"{path} cannot be read as plain tensors: {reason[:200]}",
            "Only a state dict is read, nothing that holds code. Check where the file is from and download it again.",
        ) from None
    if not isinstance(found, dict) or not all(isinstance(k, str) for k in found):
        raise CheckpointError(f"{path} holds no state dict.", "Give the .ckpt file that the authors of PLVM released.")
    return found


def _checked(path: Path, found: dict[str, Any], aligner: Aligner) -> dict[str, Tensor]:
    """The tensors under our names, in float32. Raises CheckpointError, listing what differs."""
    wanted = {_their_name(name): name for name in aligner.state_dict()}
    shapes = {theirs: tuple(aligner.state_dict()[ours].shape) for theirs, ours in wanted.items()}
    lines = [f"unknown {name[:80]}" for name in sorted(found.keys() - shapes.keys())]
    for name in sorted(shapes.keys() & found.keys()):
        value = found[name]
        if not isinstance(value, Tensor) or not value.is_floating_point():
            lines.append(f"{name} is no tensor of real numbers")
        elif tuple(value.shape) != shapes[name]:
            lines.append(f"{name} is {list(value.shape)}, not {list(shapes[name])}")
        elif not value.isfinite().all():
            lines.append(f"{name} is not finite")
    lines += [f"missing {name} {list(shapes[name])}" for name in sorted(shapes.keys() - found.keys())]
    if lines:
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise CheckpointError(
            f"{path} is not the released Aligner, {len(lines)} differences: {'; '.join(lines[:_SHOWN])}{more}.",
            "Give the .ckpt file that the authors of PLVM released, for LLaVA-1.5-7B and DINOv2-base.",
        )
    return {ours: found[theirs].float().contiguous() for theirs, ours in wanted.items()}


def _their_name(ours: str) -> str:
    """The name that a tensor of a ReleasedAligner has in their file."""
    return next(re.sub(f"^{begin}", theirs, ours) for begin, theirs in _NAMES if re.match(begin, ours))


def _record(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "source": "The Aligner that the authors of PLVM (arXiv 2412.17610) released; imported, not trained here.",
        "file": path.name,
        "sha256": digest,
    }
