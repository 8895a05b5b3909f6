"""Aligner folders: a trained Aligner and the names of its frozen parts, saved and loaded; nothing is ever unpickled.

    aligner/
      aligner.safetensors   the trained weights
      config.json           AlignerConfig: shapes, and which backbone and encoder it was trained on
      template.json         how prompts are written: chat cannot use another template than training did
      training.json         the record of how it was made
      familiarity.safetensors  where there is one: how unlike the training a picture is

The frozen parts are loaded in `pretrained.py`.

Every file is checked when it is read; whatever is missing, damaged, unknown or of another version becomes a
CheckpointError.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from plvm.errors import CheckpointError
from plvm.model.aligner import Aligner, AlignerConfig, build_aligner
from plvm.model.familiarity import Familiarity, read, written
from plvm.model.unfilled import unfilled
from plvm.prompt.template import Template
from plvm.types import nearest_names

VERSION = 1
WEIGHTS, CONFIG, TEMPLATE, TRAINING = "aligner.safetensors", "config.json", "template.json", "training.json"
FILES = (WEIGHTS, CONFIG, TEMPLATE, TRAINING)
FAMILIARITY = "familiarity.safetensors"
AGAIN = "Copy or download the folder again, or train it again."
_NON_NEGATIVE = ("free_tokens", "turns")

T = TypeVar("T")


def save_aligner(
    folder: str | Path,
    aligner: Aligner,
    template: Template,
    record: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float32,
    familiarity: Familiarity | None = None,
) -> None:
    """Write the Aligner's folder, its weights as `dtype`; `record` (JSON values) says how it was trained. A
    `familiarity` that the folder has of another Aligner goes.

    Each file appears whole or not at all, the config last: a folder that has one is complete.
    """
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().to("cpu", dtype).contiguous() for k, v in aligner.state_dict().items()}
    write_whole(folder / WEIGHTS, save(weights))
    write_whole(folder / TEMPLATE, as_json(dataclasses.asdict(template)))
    write_whole(folder / TRAINING, as_json(record))
    if familiarity is not None:
        save_familiarity(folder, familiarity)
    else:
        (folder / FAMILIARITY).unlink(missing_ok=True)
    write_whole(folder / CONFIG, as_json(dataclasses.asdict(aligner.config)))


def load_aligner(folder: str | Path) -> tuple[Aligner, Template, dict[str, Any]]:
    """(Aligner in float32 on the CPU and eval mode, template, training record) of a folder.

    It still has to be given the backbone's words, `use_words(backbone.word_rows)`. Raises CheckpointError.
    """
    folder = Path(folder)
    check_files(folder, FILES, "an Aligner")
    config = read_value(AlignerConfig, folder / CONFIG)
    template = read_value(Template, folder / TEMPLATE)
    record = read_json(folder / TRAINING)
    weights = read_weights(folder / WEIGHTS)
    with unfilled(), torch.device("meta"):  # shapes first: what the file does not fill never gets memory
        aligner = build_aligner(config)
    check_weights(folder / WEIGHTS, {k: tuple(v.shape) for k, v in aligner.state_dict().items()}, weights)
    aligner.load_state_dict({k: v.float() for k, v in weights.items()}, assign=True)
    for parameter in aligner.parameters():
        parameter.requires_grad_(True)
    for name, buffer in list(aligner.named_buffers()):
        if buffer.is_meta:
            setattr(aligner, name, torch.zeros(buffer.shape))
    return aligner.eval(), template, record


def save_familiarity(folder: str | Path, familiarity: Familiarity) -> None:
    """Write a familiarity into an Aligner's folder; the Aligner's fingerprint stays."""
    write_whole(Path(folder) / FAMILIARITY, written(familiarity))


def load_familiarity(folder: str | Path) -> Familiarity | None:
    """The familiarity of an Aligner's folder, None where it has none. Raises CheckpointError where it is damaged."""
    path = Path(folder) / FAMILIARITY
    return read(path) if path.is_file() else None


def fingerprint(aligner: Aligner, template: Template) -> str:
    """16 hex digits that name this Aligner: a SHA-256 of its config, its template and its weights in float32.

    A field that templates did not have at first counts only where it is set, so that older Aligners keep their names; how much
    of a dialogue is read does not count.
    """
    digest = hashlib.sha256()
    for part in (aligner.config, template):
        unset = {
            f.name
            for f in dataclasses.fields(part)
            if f.metadata.get("unnamed") or (f.metadata.get("later") and getattr(part, f.name) == f.default)
        }
        values = {k: v for k, v in dataclasses.asdict(part).items() if k not in unset}
        digest.update(json.dumps(values, sort_keys=True).encode() + b"\n")
    for name, tensor in sorted(aligner.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def check_files(folder: Path, names: tuple[str, ...], what: str) -> None:
    """Raise CheckpointError where `folder` lacks any of `names`; the hint lists what is missing."""
    if not folder.is_dir():
        near = nearest_names(folder.name, [p.name for p in folder.parent.glob("*/")]) if folder.parent.is_dir() else []
        also = f" There is {' and '.join(str(folder.parent / n) for n in near)}." if near else ""
        raise CheckpointError(f"There is no folder {folder}.", f"Give the folder of {what}: {', '.join(names)}.{also}")
    missing = [n for n in names if not (folder / n).is_file()]
    if missing:
        raise CheckpointError(f"{folder} is not {what}, or not a whole one.", f"Missing: {', '.join(missing)}. {AGAIN}")


def read_value(kind: type[T], path: Path) -> T:
    """The dataclass `kind`, whose fields all have defaults, from its JSON file. Raises CheckpointError for unknown keys, other
    types and other versions."""
    data = read_json(path)
    fields = {f.name: f.default for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if "version" in fields and data.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {data.get('version')!r}; this plvm reads version {VERSION}.",
            "Use the plvm that made it, or train it again.",
        )
    for key, value in data.items():
        if key not in fields:
            near = nearest_names(key, fields)
            meant = f'Did you mean "{near[0]}"?' if near else f"Known keys: {', '.join(fields)}."
            raise CheckpointError(f'{path} has an unknown key "{key[:80]}".', meant)
        _check_field(path, key, value, fields[key])
    return kind(**data)


def _check_field(path: Path, key: str, value: object, default: object) -> None:
    kind = type(default)
    fits = type(value) is kind or (kind is float and type(value) is int)
    if fits and kind in (int, float):
        least = 0 if kind is float or key in _NON_NEGATIVE else 1
        fits = least <= value < 2**31  # type: ignore[operator]
    if not fits:
        raise CheckpointError(f'{path}: "{key}" cannot be {json.dumps(value)[:80]}.', f"Its default is {default!r}.")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {error}.", AGAIN) from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is damaged: it holds no JSON object.", AGAIN)
    return data


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}.", AGAIN) from None


def check_weights(path: Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError where the tensors `found` in a file are not finite or not those of the `wanted` shapes."""
    shapes = {k: tuple(v.shape) for k, v in found.items()}
    if shapes != wanted:
        different = sorted(k for k in {*wanted, *shapes} if wanted.get(k) != shapes.get(k))
        raise CheckpointError(
            f"{path} does not fit its {CONFIG}: {len(different)} tensors differ, the first is {different[0]} "
            f"(wanted {wanted.get(different[0])}, found {shapes.get(different[0])}).",
            AGAIN,
        )
    broken = [k for k, v in found.items() if not v.isfinite().all()]
    if broken:
        raise CheckpointError(f"{path} is damaged: {broken[0]} is not finite.", AGAIN)


def as_json(value: object) -> bytes:
    """JSON as the files of a model folder have it."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)
