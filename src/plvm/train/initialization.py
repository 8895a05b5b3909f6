"""How an Aligner is as its training begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from plvm.model.aligner import Aligner, AlignerConfig, FrozenRows, build_aligner
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.train.settings import Shape

NAMES = "names.safetensors"  # beside a backbone that was pretrained with names: how it maps a code to a name's rows
Names = Mapping[str, Tensor]


def read_names(folder: str) -> Names | None:
    """The maps word.* and head.* from a code to rows that the backbone in `folder` was pretrained with; None where it was not."""
    path = Path(folder) / NAMES
    return load_file(path) if path.exists() else None


def write_names(names: Names, folder: Path) -> None:
    """Write the maps word.* and head.* from a code to rows into the folder of a backbone that was pretrained with them."""
    save_file({key: value.detach().cpu().contiguous() for key, value in names.items()}, folder / NAMES)


def untrained(
    shape: Shape, own: AlignerConfig, backbone: Backbone, encoder: Encoder, seed: int, names: Names | None = None
) -> Aligner:
    """An Aligner of that shape as training begins, with the widths of `own`, between these frozen parts; `names` are what the
    backbone was pretrained with (`read_names`)."""
    anchored = 0 if names and "free.bias" in names else 1  # at least: not where the backbone knows what a free token is
    rms = float(backbone.word_rows.float().square().mean().sqrt())
    config = dataclasses.replace(
        own, architecture=shape.architecture, context_tokens=shape.K, blocks=shape.blocks, bounded=shape.bounded,
        encoder_width=encoder.width, global_token=encoder.global_token, row_rms=rms,
        free_tokens=min(own.free_tokens, shape.K - anchored), backbone=backbone.name, encoder=encoder.name,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        aligner = build_aligner(config)
    aligner.use_words(backbone.word_rows)
    means = backbone.word_rows.float().mean(0).cpu(), backbone.head_rows.float().mean(0).cpu()
    aligner.start(FrozenRows(means, names))
    return aligner
