"""The end of a synthesis: the checks that a dataset must pass, its datasheet and, last, its manifest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from plvm.data.files import whole_file
from plvm.data.manifest import DATASHEET, MANIFEST, Manifest, file_digest, versions
from plvm.data.shards import PARTS, PICTURES, QUESTIONS
from plvm.data.spec import SPLITS, Shard, Spec
from plvm.data.tables import read_table
from plvm.errors import PlvmError
from plvm_lab.synth.datasheet import datasheet
from plvm_lab.synth.filters import HASH_SIDE, NEAR


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
    files = {s.name: {p: file_digest(folder / f"{s.name}{p}") for p in PARTS} for s in shards}
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
