"""Anyone's own pictures.

    <concept>/reference.*          the picture to learn from
    <concept>/*.jpg                pictures that show the concept
    others/*.jpg                   pictures that show none of the concepts (where there are any)
    questions.json                 [{"concept", "question", "options": {"A": ..}, "answer": "A", "picture": ..}, ..]

`picture` is a path from the folder; without it a question is asked without a picture.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from plvm.evaluate.gallery import Gallery
from plvm.evaluate.suites.builder import Builder
from plvm.portraits.wordings import PROTOCOL

OTHERS = "others"


def load(root: Path, only: Collection[str] = ()) -> Gallery:
    """The gallery of a folder."""
    found = Builder("folder", root, PROTOCOL, only)
    for folder in found.folders(root):
        if folder.name != OTHERS:
            add_concept(found, folder, "reference")
    if (root / OTHERS).is_dir():
        for path in found.in_folder(root / OTHERS):
            found.query(path)
    for where, row in found.rows(found.json("questions.json", required=False), "questions.json"):
        picture = found.find(str(row["picture"]), where) if row.get("picture") else None
        if row.get("picture") and picture is None:
            continue
        found.choice(where, str(row.get("concept")), str(row.get("question", "")), row.get("options") or {},
                     row.get("answer"), picture)  # fmt: skip
    return found.build()


def add_concept(found: Builder, folder: Path, stem: str) -> None:
    """A concept whose folder holds its reference, called `stem` with anything after it, and its pictures."""
    pictures = found.in_folder(folder)
    references = [p for p in pictures if p.name.startswith(stem)]
    if len(references) > 1:
        found.note("several-references", folder, ", ".join(p.name for p in references))
    if found.reference(folder.name, references, folder):
        for path in pictures:
            if path not in references:
                found.query(path, [folder.name])
                found.caption(path, folder.name)
