"""The PLVM authors' evaluation folder (`validation_recognition`; also the persons of `yollava_dataset`).

<Identity>/ref_img.*  query_img1.* ..      or 0.png .. 9.png
query_ques.json  non_query_ques.json       items as {"ref_img", "query_img", "question", "multiple_choice",
                                           "correct_answer"}
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from plvm.data.wordings import PROTOCOL
from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark
from plvm_lab.evaluate.suites.builder import Builder
from plvm_lab.evaluate.suites.folder import add_concept

PUBLISHED = (34, 246)  # identities and query images of section 4.1


def load(root: Path, only: Collection[str] = ()) -> PhotoBenchmark:
    """The benchmark of the authors' folder."""
    found = Builder("plvm", root, PROTOCOL, only)
    for folder in found.folders(root):
        add_concept(found, folder, "ref_img")
    size = len(found.references), sum(bool(names) for names in found.shown.values())
    if size != PUBLISHED and not only:
        found.note("not-the-papers-size", ".", f"{size[0]} identities and {size[1]} query images, not {PUBLISHED}")
    for name, visual in (("non_query_ques.json", False), ("query_ques.json", True)):
        for where, row in found.rows(found.json(name), name):
            _add(found, where, row, visual)
    return found.build()


def _add(found: Builder, where: str, row: dict[str, Any], visual: bool) -> None:
    about = PurePosixPath(str(row.get("ref_img", ""))).parent.name
    if not found.wanted(about):
        return
    picture = found.find(str(row.get("query_img", "")), where) if visual else None
    if visual and picture is None:
        return
    found.choice(where, about, str(row.get("question", "")), row.get("multiple_choice") or {},
                 row.get("correct_answer"), picture)  # fmt: skip
