"""Yo'LLaVA's dataset.

train/<concept>/<n>.png        the first one is the reference; negative_example/ beside them is not read
test/<concept>/<n>.png         query pictures: every concept is asked about in each
yollava-visual-qa.json         {concept: {picture: {"question", "options": {"A", "B"}, "correct_answer"}}}
yollava-text-only-qa.json      {concept: {"0": {"question", "option": {"A", "B"}, "correct_answer"}}}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark
from plvm_lab.evaluate.suites.builder import Builder

WORDING = "Can you see {x} in this photo? Answer with a single word or phrase."
VISUAL, TEXT = "yollava-visual-qa.json", "yollava-text-only-qa.json"
PUBLISHED = {"concepts": 40, "test images": 333, "visual questions": 171}


def load(root: Path, only: Collection[str] = ()) -> PhotoBenchmark:
    """The benchmark of Yo'LLaVA's folder."""
    found = Builder("yollava", root, WORDING, only)
    for part in ("train", "test"):
        if not (root / part).is_dir():
            found.note("missing-file", part, "not in the folder")
    if (root / "train").is_dir():
        for folder in found.folders(root / "train"):
            found.reference(folder.name, found.in_folder(folder), folder)
    if (root / "test").is_dir():
        for folder in found.folders(root / "test"):
            if folder.name not in found.references:
                found.note("no-reference", folder, f"{folder.name} has test pictures, but none to learn from")
                continue
            for path in found.in_folder(folder):
                found.query(path, [folder.name])
                found.caption(path, folder.name)
    images = len(found.shown)
    count = add_visual(found, VISUAL) if found.references else 0
    add_text(found, TEXT, required=False)
    size = {"concepts": len(found.references), "test images": images, "visual questions": count}
    if size != PUBLISHED and not only:
        told = ", ".join(f"{n} {what} (paper: {PUBLISHED[what]})" for what, n in size.items() if n != PUBLISHED[what])
        found.note("not-the-papers-size", ".", told)
    return found.build()


def add_visual(found: Builder, *files: str, required: bool = True) -> int:
    """Add the visual questions of a file; returns how many it has."""
    count = 0
    for where, concept, picture, row in _rows(found, found.json(*files, required=required), files[0]):
        count += 1
        if concept and found.wanted(concept) and (path := found.find(picture, where)):
            _add(found, where, concept, row, path)
    return count


def add_text(found: Builder, *files: str, required: bool = True) -> None:
    """Add the text-only questions of a file."""
    for where, concept, _, row in _rows(found, found.json(*files, required=required), files[0]):
        if concept and found.wanted(concept):
            _add(found, where, concept, row, None)


def _add(found: Builder, where: str, concept: str, row: dict[str, Any], picture: Path | None) -> None:
    options = row.get("options") or row.get("option") or {}
    found.choice(where, concept, str(row.get("question", "")), options, row.get("correct_answer"), picture)


def _rows(found: Builder, data: Any, name: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(where, concept, picture or number, row) of every question, nested by concept or flat."""
    if data is not None and not isinstance(data, dict):
        found.note("unreadable-file", name, f"a {type(data).__name__} instead of a JSON object")
        return
    flat = False
    for key, value in (data or {}).items():
        concept = key.strip("<>")
        if not isinstance(value, dict):
            found.note("unreadable-file", f"{name} {key}", f"a {type(value).__name__} instead of an object")
            continue
        if "question" in value:
            flat = True
            yield f"{name} {key}", PurePosixPath(key).parent.name, key, value
            continue
        for inner, row in value.items():
            if isinstance(row, dict):
                yield f"{name} {concept} {inner}", concept, inner, row
            else:
                found.note("unreadable-file", f"{name} {concept} {inner}", "no object")
    if flat:
        found.note("flat-questions", name, "questions are not nested by concept")
