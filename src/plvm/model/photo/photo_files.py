"""The folders of a photo family: what was trained, saved and loaded; the frozen parts are named, not copied.

    backbone/
      config.json               PhotoConfig
      preprocessor_config.json  FaceSettings
      heads.safetensors         rows and heads, the low-rank updates of the language model, the space of codes
      names.safetensors         how an Aligner begins (`plvm.train`)
    encoder/
      config.json               FaceReferenceConfig
      preprocessor_config.json
      space.safetensors         the space of codes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from plvm.model.checkpoint import as_json, check_files, check_weights, read_value, read_weights, write_whole
from plvm.model.photo.face_processor import CodeSpace, FaceProcessor, FaceSettings
from plvm.model.photo.face_reference import FaceReference, FaceReferenceConfig
from plvm.model.photo.photo_model import PhotoConfig, PhotoModel, update_shapes, updated
from plvm.model.photo.photo_parts import load_face_code, load_finder, load_language, parts_folder

CONFIG, PROCESSOR, HEADS, NAMES, SPACE = (
    "config.json", "preprocessor_config.json", "heads.safetensors", "names.safetensors", "space.safetensors",
)  # fmt: skip
_WIDE = 128  # numbers of a descriptor


def save_photo_model(
    folder: Path, model: PhotoModel, updates: Mapping[str, Tensor], space: CodeSpace, settings: FaceSettings
) -> None:
    """Write a backbone's folder, in half precision; `updates` are the low-rank ones of its language model, by the names that
    `update_shapes` gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**{f"heads.{k}": v for k, v in model.heads().items()}, **{f"updates.{k}": v for k, v in updates.items()}}
    kept = {k: v.detach().half().contiguous().cpu() for k, v in whole.items()}
    exact = {"heads.rows.basis": model.decoder.rows.basis, "heads.rows.quiet": model.decoder.rows.quiet} | _of(space)
    write_whole(folder / HEADS, save(kept | {k: v.detach().float().contiguous().cpu() for k, v in exact.items()}))
    write_whole(folder / NAMES, save({k: v.contiguous() for k, v in model.decoder.rows.names().items()}))
    write_whole(folder / PROCESSOR, as_json(asdict(settings)))
    write_whole(folder / CONFIG, as_json(model.config.to_dict()))


def load_photo_model(folder: Path, dtype: torch.dtype) -> tuple[PhotoModel, Any, FaceProcessor]:
    """(model, tokenizer, image processor) of a backbone's folder, on the CPU. Raises CheckpointError."""
    check_files(folder, (CONFIG, PROCESSOR, HEADS), "a photo model")
    config, settings = read_value(PhotoConfig, folder / CONFIG), read_value(FaceSettings, folder / PROCESSOR)
    weights, parts = read_weights(folder / HEADS), parts_folder(folder, config.parts)
    language, tokenizer = load_language(parts)
    model = PhotoModel(language, config)
    wanted = {f"heads.{k}": v for k, v in model.heads().items()} | _of(_empty(config.code_width))
    shapes = {k: tuple(v.shape) for k, v in wanted.items()}
    shapes |= {f"updates.{k}": shape for k, shape in update_shapes(language, config).items()}
    check_weights(folder / HEADS, shapes, weights)
    with torch.no_grad():
        updated(language, {k.removeprefix("updates."): v for k, v in weights.items() if k.startswith("updates.")})
    heads = {k.removeprefix("heads."): v.float() for k, v in weights.items() if k.startswith("heads.")}
    model.decoder.load_state_dict(heads, strict=False)
    return model.to(dtype), tokenizer, _processor(parts, _space(weights), settings)


def save_face_encoder(folder: Path, config: FaceReferenceConfig, space: CodeSpace, settings: FaceSettings) -> None:
    """Write the folder of a reference encoder of faces."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SPACE, save({k: v.float().contiguous() for k, v in _of(space).items()}))
    write_whole(folder / PROCESSOR, as_json(asdict(settings)))
    write_whole(folder / CONFIG, as_json(config.to_dict()))


def load_face_encoder(folder: Path, dtype: torch.dtype) -> tuple[FaceReference, FaceProcessor]:
    """(model, image processor) of the folder of a reference encoder, on the CPU. Raises CheckpointError."""
    check_files(folder, (CONFIG, PROCESSOR, SPACE), "an encoder of faces")
    config, settings = read_value(FaceReferenceConfig, folder / CONFIG), read_value(FaceSettings, folder / PROCESSOR)
    weights, parts = read_weights(folder / SPACE), parts_folder(folder, config.parts)
    check_weights(folder / SPACE, {k: tuple(v.shape) for k, v in _of(_empty(config.hidden_size)).items()}, weights)
    processor = _processor(parts, _space(weights), settings)
    return FaceReference(config, load_face_code(parts), processor.space).to(dtype), processor


def _processor(parts: Path, space: CodeSpace, settings: FaceSettings) -> FaceProcessor:
    return FaceProcessor(load_finder(parts), load_face_code(parts), space, settings)


def _of(space: CodeSpace) -> dict[str, Tensor]:
    return {"space.mean": space.mean, "space.directions": space.directions}


def _space(weights: Mapping[str, Tensor]) -> CodeSpace:
    return CodeSpace(weights["space.mean"].float(), weights["space.directions"].float())


def _empty(width: int) -> CodeSpace:
    return CodeSpace(torch.zeros(_WIDE), torch.zeros(_WIDE, width))
