"""A build that goes on from an exported family: its frozen parts stand for the stages that made them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch

from plvm.errors import CheckpointError
from plvm.families import shipped
from plvm.train.initialization import read_names
from plvm.train.loop import save_atomically

ADOPTED = "adopted.json"  # in a build folder: which family its first stages are of
FILES = ("tokenizer.json", "tokenizer_config.json")


def adopted(folder: Path) -> dict[str, str]:
    """Which family the first stages of the build in `folder` are of; empty where all are its own."""
    path = folder / ADOPTED
    return json.loads(path.read_text()) if path.exists() else {}


def adopt_family(family: str | Path, folder: Path) -> None:
    """Let the frozen parts of an exported family ("mini" or the folder that holds `backbone/` and `encoder/`) stand in the build
    `folder` for the stages tokenizer, tower, encoder and vision. Raises CheckpointError where they are not there."""
    from transformers import AutoModel, LlavaForConditionalGeneration

    place = shipped(family)
    source = place.parent if place is not None else Path(family)
    backbone, names = source / "backbone", read_names(str(source / "backbone"))
    if names is None or not (source / "encoder").is_dir():
        raise CheckpointError(f"{source} holds no family of a mini build.", "Give its `weights` folder, or mini.")
    if (folder / ADOPTED).exists():
        return
    vlm: Any = LlavaForConditionalGeneration.from_pretrained(backbone, dtype=torch.float32)
    encoder: Any = AutoModel.from_pretrained(source / "encoder", dtype=torch.float32)
    parts = {
        "tower": {"tower": vlm.model.vision_tower, "projector": vlm.model.multi_modal_projector},
        "encoder": {"encoder": encoder},
        "vision": {
            "projector": vlm.model.multi_modal_projector, "language_model": vlm.model.language_model, "lm_head": vlm.lm_head,
        },
    }  # fmt: skip
    for stage, own in parts.items():
        kept: dict[str, Any] = {name: part.state_dict() for name, part in own.items()}
        if stage == "vision":
            kept["names"] = dict(names)
        save_atomically({"parts": kept}, folder / f"{stage}.pt")
    (folder / "tokenizer").mkdir(exist_ok=True)
    for name in FILES:
        shutil.copyfile(backbone / name, folder / "tokenizer" / name)
    with open(backbone / "model.safetensors", "rb") as file:
        about = {"family": str(family), "backbone_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    (folder / ADOPTED).write_text(json.dumps(about, indent=1))
