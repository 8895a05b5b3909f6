"""How an Aligner is as its training begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from plvm.model.aligner import Aligner, AlignerConfig, AnchoredAligner, PaperAligner, build_aligner
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.train.settings import Shape

NAMES = "names.safetensors"  # beside a backbone that was pretrained with names: how it maps a code to a name's rows
Names = Mapping[str, Tensor]


def read_names(folder: str) -> Names | None:
    """The maps word.* and head.* from a code to rows that a backbone was pretrained with; None where it was not."""
    path = Path(folder) / NAMES
    return load_file(path) if path.exists() else None


def write_names(names: Names, folder: Path) -> None:
    """Write what `read_names` reads."""
    save_file({key: value.detach().cpu().contiguous() for key, value in names.items()}, folder / NAMES)


def untrained(
    shape: Shape, own: AlignerConfig, backbone: Backbone, encoder: Encoder, seed: int, names: Names | None = None
) -> Aligner:
    """An Aligner of that shape as training begins, with the widths of `own`, between these frozen parts. Where the form has
    rows of a mean name, they start at the names' of pretraining, or at the mean of all words."""
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
        if names is None:
            aligner.start_from(backbone.word_rows.float().mean(0).cpu(), backbone.head_rows.float().mean(0).cpu())
        else:
            aligner.start_from(names["word.linear.bias"], names["head.linear.bias"])
            with torch.no_grad():
                aligner.scales[:2] = torch.stack([names["word.scale"], names["head.scale"]])
    if isinstance(aligner, AnchoredAligner) and names is not None:
        for part, module in (("word", aligner.word), ("head", aligner.head)):
            module.load_state_dict({k.removeprefix(f"{part}."): v for k, v in names.items() if k.startswith(part)})
    return aligner


@torch.no_grad()
def whiten(linear: nn.Linear, z: Tensor) -> None:
    """Set `linear` so that global tokens like z [N, E] give codes with independent coordinates of variance 1."""
    mean = z.mean(0)
    _, scale, basis = torch.linalg.svd(z - mean, full_matrices=False)
    rows = basis[: linear.out_features] / scale[: linear.out_features, None].clamp(min=1e-6) * len(z) ** 0.5
    linear.weight[: len(rows)] = rows
    linear.bias[: len(rows)] = -rows @ mean
