"""RAP-MLLM's evaluation files, beside the pictures that they name.

    database.json                  {"concept_dict": {"<bo>": {"name", "image", "info", "category"}},
                                    "path_to_concept": {picture: "<bo>"}}
    recognition_test.json          [{"image", "question", "concept", "type", "correct_answer": bool}, ..]
    yollava-visual-qa.json  yollava-text-only-qa.json

The JSON files may also lie in eval/, as in the repository. Recognition asks what the rows ask, each pair once; the
reference is the database's picture of the concept in the question.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark
from plvm_lab.evaluate.suites.builder import Builder
from plvm_lab.evaluate.suites.yollava_dataset import TEXT, VISUAL, add_text, add_visual

WORDING = "Is {x} in this image? Answer with a single word or phrase."
DATABASES = ("database.json", "eval/database.json", "example_database/database.json")
RECOGNITION = "recognition_test.json"


def load(root: Path, only: Collection[str] = ()) -> PhotoBenchmark:
    """The benchmark of RAP-MLLM's files."""
    found = Builder("rap", root, WORDING, only)
    database = found.json(*DATABASES)
    _database(found, database if isinstance(database, dict) else {})
    _recognition(found, found.json(RECOGNITION, f"eval/{RECOGNITION}"))
    add_visual(found, VISUAL, f"eval/{VISUAL}")
    _compare(found, found.json(VISUAL, required=False), found.json(f"eval/{VISUAL}", required=False))
    add_text(found, TEXT, f"eval/{TEXT}")
    return found.build()


def _database(found: Builder, data: dict[str, Any]) -> None:
    concepts, back = data.get("concept_dict", {}), data.get("path_to_concept", {})
    for tag, entry in concepts.items():
        name = tag.strip("<>")
        if not found.wanted(name):
            continue
        image = str(entry.get("image", ""))
        picture = found.find(image, f"database {tag}")
        found.reference(name, [] if picture is None else [picture], f"database {tag}")
        if back and back.get(image) != tag:
            found.note("mislabelled-row", f"database {tag}", f"path_to_concept gives {back.get(image)} for {image}")


def _recognition(found: Builder, data: Any) -> None:
    """Each (concept, picture) once; truth is `correct_answer`, not `type`."""
    said: dict[tuple[str, Path], bool] = {}
    against: set[tuple[str, Path]] = set()
    flaws: dict[str, list[str]] = {}
    paths: dict[str, Path | None] = {}
    for item, row in found.rows(data, RECOGNITION):
        name, image = str(row.get("concept", "")).strip("<>"), str(row.get("image", ""))
        if not found.wanted(name):
            continue
        where = f"{item} ({name}, {image})"
        if image not in paths:
            paths[image] = found.find(image, item)
        path, truth = paths[image], bool(row.get("correct_answer"))
        if name not in found.references:
            flaws.setdefault("unknown-concept", []).append(where)
        elif path is not None:
            if (row.get("type") == "positive") != truth:
                flaws.setdefault("mislabelled-row", []).append(where)
            if (name, path) in said:
                flaws.setdefault("repeated-rows", []).append(where)
            if said.setdefault((name, path), truth) != truth:
                against.add((name, path))
    for name, path in sorted(against):
        flaws.setdefault("contradictory-rows", []).append(f"{name}, {path.name}")
    found.asked = set(said) - against
    for (name, path), truth in said.items():
        found.query(path, [name] if truth else [])
    missing = len(found.references) * len({path for _, path in said}) - len(said)
    if missing:
        found.note("missing-pairs", RECOGNITION, f"{missing} pairs are in no row")
    for kind, places in flaws.items():
        found.note(kind, RECOGNITION, f"{len(places)} times, first in {places[0]}")


def _compare(found: Builder, first: Any, second: Any) -> None:
    """Two versions of the visual questions: where their keys are not the same."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return
    for concept, rows in first.items():
        for picture, row in rows.items():
            other = second.get(concept, {}).get(picture)
            if other and other.get("correct_answer") != row.get("correct_answer"):
                keys = f"{row.get('correct_answer')} here, {other.get('correct_answer')} in eval/"
                found.note("conflicting-answer", f"{VISUAL} {concept} {picture}", keys)
