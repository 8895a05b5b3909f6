"""A finished dataset: its manifest, and its tables read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from plvm.data.shards import PICTURES
from plvm.data.spec import read_spec
from plvm.data.tables import read_table
from plvm.errors import RequestError

MANIFEST, DATASHEET = "manifest.json", "DATASHEET.md"
PACKAGES = ("plvm", "numpy", "pillow", "pyarrow", "resvg", "torch", "transformers", "diffusers", "onnxruntime", "insightface")


@dataclass(frozen=True)
class Manifest:
    """What a dataset consists of. `content` is the SHA-256 of all its files' hashes: the same spec gives the same one,
    wherever and by however many workers it was made. `times` alone differ from run to run."""

    spec: Mapping[str, Any]
    generator: Mapping[str, str]
    counts: Mapping[str, Any]
    leaks: Mapping[str, int]
    versions: Mapping[str, str]
    shards: Mapping[str, Mapping[str, str]]
    content: str
    times: Mapping[str, Any]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished dataset. Raises RequestError where there is none."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        read_spec(folder / "spec.json")
        raise RequestError(f"{folder} is not finished.", "Start the command that makes it again.") from None


def read_rows(folder: Path, part: str = PICTURES, split: str | None = None) -> list[dict[str, Any]]:
    """All rows of one table of a finished dataset, of one split or of all; `part` is PICTURES or QUESTIONS. Raises RequestError
    where the dataset is not finished or a file is damaged."""
    names = [n for n in read_manifest(folder).shards if split is None or n.rpartition("-")[0] == split]
    return [row for name in sorted(names) for row in read_table(folder / f"{name}{part}")]


def changed_files(folder: Path) -> list[str]:
    """The files of a finished dataset that are missing or not what its manifest says."""
    return [
        f"{name}{part}"
        for name, parts in read_manifest(folder).shards.items()
        for part, digest in parts.items()
        if not (folder / f"{name}{part}").exists() or file_digest(folder / f"{name}{part}") != digest
    ]


def versions() -> dict[str, str]:
    """Python and the installed packages that decide bytes."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
