"""Anyone's own pictures.

    <concept>/reference.*          the picture to learn from
    <concept>/*.jpg                pictures that show the concept
    others/*.jpg                   pictures that show none of the concepts (where there are any)
    questions.json                 [{"concept", "question", "options": {"A": ..}, "answer": "A", "picture": ..}, ..]
    <concept>/questions.json       such questions about one concept, which need not be named again

`picture` is a path from the folder that the file lies in; without it a question is asked without a picture.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from plvm.data.wordings import PROTOCOL
from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark
from plvm_lab.evaluate.suites.builder import Builder

OTHERS = "others"


def load(root: Path, only: Collection[str] = ()) -> PhotoBenchmark:
    """The benchmark of a folder."""
    found = Builder("folder", root, PROTOCOL, only)
    for folder in found.folders(root):
        if folder.name != OTHERS:
            add_concept(found, folder, "reference")
    if (root / OTHERS).is_dir():
        for path in found.in_folder(root / OTHERS):
            found.query(path)
    add_questions(found, "")
    for concept in found.references:
        add_questions(found, concept)
    return found.build()


def add_questions(found: Builder, concept: str) -> None:
    """Add the questions of the whole folder (concept ""), or those in a concept's own folder."""
    name = str(Path(concept) / "questions.json")
    for where, row in found.rows(found.json(name, required=False), name):
        text = str(row.get("picture") or "")
        beside = Path(concept) / text
        picture = found.find(str(beside) if (found.root / beside).is_file() else text, where) if text else None
        if text and picture is None:
            continue
        found.choice(where, str(row.get("concept", concept)), str(row.get("question", "")), row.get("options") or {},
                     row.get("answer"), picture)  # fmt: skip


def add_concept(found: Builder, folder: Path, stem: str) -> None:
    """Add a concept whose folder holds its reference, called `stem` with anything after it, and its pictures."""
    pictures = found.in_folder(folder)
    references = [p for p in pictures if p.name.startswith(stem)]
    if len(references) > 1:
        found.note("several-references", folder, ", ".join(p.name for p in references))
    if found.reference(folder.name, references, folder):
        for path in pictures:
            if path not in references:
                found.query(path, [folder.name])
                found.caption(path, folder.name)
