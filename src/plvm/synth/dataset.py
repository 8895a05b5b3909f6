"""A finished dataset: its manifest, its datasheet, the checks that it must pass, and how it is read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from plvm.errors import PlvmError, RequestError
from plvm.synth.datasheet import datasheet
from plvm.synth.filters import HASH_SIDE, NEAR
from plvm.synth.shard import PARTS, PICTURES, QUESTIONS
from plvm.synth.spec import SPLITS, Shard, Spec, read_spec
from plvm.synth.tables import read_table, whole_file

MANIFEST, DATASHEET = "manifest.json", "DATASHEET.md"
PACKAGES = ("plvm", "numpy", "pillow", "pyarrow", "resvg", "torch", "transformers", "diffusers", "onnxruntime")


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


def finish(
    spec: Spec, folder: Path, shards: Sequence[Shard], generator: Mapping[str, str], started: float,
    made: Sequence[Shard],
) -> Manifest:  # fmt: skip
    """Check a dataset whose shards are all there, write its datasheet and, last, its manifest.

    `made`: the shards made since `started` (the rest was there). Raises PlvmError where one picture is in two splits.
    """
    rows_of = {s.name: read_table(folder / f"{s.name}{PICTURES}") for s in shards}
    rows, new = [row for own in rows_of.values() for row in own], sum(len(rows_of[s.name]) for s in made)
    leaks = check_leaks(rows)
    questions = Counter(r["kind"] for s in shards for r in read_table(folder / f"{s.name}{QUESTIONS}", ["kind"]))
    counts = count_rows(rows) | {"questions": dict(sorted(questions.items())), "agreement": agreement(folder, shards)}
    for part in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            part.unlink()
    files = {s.name: {p: _digest(folder / f"{s.name}{p}") for p in PARTS} for s in shards}
    content = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    seconds = time.time() - started
    times = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "seconds": round(seconds, 1),
        "pictures_per_second": round(new / max(seconds, 1e-9), 1),
    }  # fmt: skip
    manifest = Manifest(json.loads(spec.to_json()), dict(generator), counts, leaks, versions(), files, content, times)
    with whole_file(folder / DATASHEET) as part:
        part.write_text(datasheet(asdict(manifest)), encoding="utf-8")
    with whole_file(folder / MANIFEST) as part:
        part.write_text(json.dumps(asdict(manifest), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished dataset. Raises RequestError where there is none."""
    try:
        return Manifest(**json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        read_spec(folder / "spec.json")
        raise RequestError(f"{folder} is not finished.", "Start the command that makes it again.") from None


def read_rows(folder: Path, part: str = PICTURES, split: str | None = None) -> list[dict[str, Any]]:
    """All rows of one table of a finished dataset, of one split or of all; `part` is PICTURES or QUESTIONS."""
    names = [n for n in read_manifest(folder).shards if split is None or n.rpartition("-")[0] == split]
    return [row for name in sorted(names) for row in read_table(folder / f"{name}{part}")]


def changed_files(folder: Path) -> list[str]:
    """The files of a finished dataset that are missing or not what its manifest says."""
    return [
        f"{name}{part}"
        for name, parts in read_manifest(folder).shards.items()
        for part, digest in parts.items()
        if not (folder / f"{name}{part}").exists() or _digest(folder / f"{name}{part}") != digest
    ]


def count_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """identities, pictures and kept ones per split, and rejections by reason."""
    counts: dict[str, Any] = {}
    for split in SPLITS:
        own = [r for r in rows if r["split"] == split]
        counts[split] = {
            "identities": len({key for r in own for key in r["people"]}), "pictures": len(own),
            "kept": sum(r["kept"] for r in own),
        }  # fmt: skip
    reasons = Counter(by for r in rows for by in r["rejected_by"].split(", ") if by)
    return counts | {"rejections": dict(sorted(reasons.items())), "rejected": sum(not r["kept"] for r in rows)}


def check_leaks(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many pictures of val or test are nearly one of an earlier split ("near"). Raises PlvmError where an identity
    or the very same picture is in two splits."""
    for kind in ("people", "sha256"):
        places: dict[str, dict[str, str]] = {}
        for row in rows:
            for what in (row[kind] if kind == "people" else [row[kind]]) if row["kept"] else ():
                places.setdefault(what, {})[row["split"]] = row["picture"]
        twice = [p for p in places.values() if len(p) > 1]
        if twice:
            found = " and ".join(f"{picture} ({split})" for split, picture in sorted(twice[0].items()))
            raise PlvmError(
                f"{len(twice)} pictures are in two splits: {found} are the same.",
                "Remove doubles from the reference folder, and make the dataset in a new folder.",
            )
    return {"near": sum(1 for _ in _near_pairs(rows))}


def _near_pairs(rows: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """One entry for every kept picture of val or test that is nearly one of an earlier split."""
    hashes = {
        s: np.array(
            [np.frombuffer(bytes.fromhex(r["hash"]), np.uint8) for r in rows if r["kept"] and r["split"] == s], np.uint8
        ).reshape(-1, HASH_SIDE**2)
        for s in SPLITS
    }
    for i, split in enumerate(SPLITS[1:], start=1):
        earlier = np.concatenate([hashes[s] for s in SPLITS[:i]])
        for row in hashes[split] if len(earlier) else ():
            if float(np.abs(earlier.astype(np.int16) - row).mean(1).min()) <= NEAR:
                yield 1


def agreement(folder: Path, shards: Sequence[Shard]) -> dict[str, list[int]]:
    """attribute -> [how often the backbone's answer is the truth, how often both are known]."""
    found: dict[str, list[int]] = {}
    for shard in shards:
        for row in read_table(folder / f"{shard.name}{QUESTIONS}", ["kind", "answer", "truth", "source"]):
            if row["source"] == "backbone" and row["truth"]:
                entry = found.setdefault(row["kind"], [0, 0])
                entry[0] += row["answer"] == row["truth"]
                entry[1] += 1
    return dict(sorted(found.items()))


def versions() -> dict[str, str]:
    """Python and the installed packages that decide bytes."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
