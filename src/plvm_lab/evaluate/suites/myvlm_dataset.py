"""MyVLM's dataset.

    <concept>/*.jpg                the first picture is the reference, the others are recognised and captioned
    <concept>/captions.json        {picture: [captions]}: each names the concept, or the class it belongs to
    <concept>/additional_llava_vqa_data.json   training data of that method; not read

Negatives are the other concepts' pictures: the release has no others.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from plvm.data.wordings import PROTOCOL
from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark
from plvm_lab.evaluate.suites.builder import Builder

PUBLISHED = 29  # objects; the paper's people were not released


def load(root: Path, only: Collection[str] = ()) -> PhotoBenchmark:
    """The benchmark of MyVLM's folder."""
    found = Builder("myvlm", root, PROTOCOL, only)
    for folder in found.folders(root):
        pictures = found.in_folder(folder)
        if found.reference(folder.name, pictures[:1], folder):
            for path in pictures[1:]:
                found.query(path, [folder.name])
                found.caption(path, folder.name)
            _check_captions(found, folder, pictures)
    if len(found.references) != PUBLISHED and not only:
        found.note("not-the-papers-size", ".", f"{len(found.references)} concepts, not {PUBLISHED}")
    return found.build()


def _check_captions(found: Builder, folder: Path, pictures: list[Path]) -> None:
    """Captions are no questions; but one that is missing or without the name tells that the data is not whole."""
    path = folder / "captions.json"
    captions = found.json(path)
    if not isinstance(captions, dict):
        return
    listed = {Path(p).name: texts for p, texts in captions.items()}
    names = {p.name for p in pictures}
    for name in sorted(set(listed) - names):
        found.note("missing-picture", path, f"{name} has captions, but is not there")
    for name in sorted(names - set(listed)):
        found.note("unlisted-picture", path, f"{name} has no captions")
    word = folder.name.replace("_", " ").lower()
    silent = [
        n for n, texts in listed.items() if not any(t in str(c).lower() for c in texts for t in (word, "<", "sks"))
    ]
    if silent:
        found.note("captions-without-name", path, f"{len(silent)} pictures, the first is {silent[0]}")
