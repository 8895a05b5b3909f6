"""The folder layout that home-camera and photo tools use: `people/<name>/*.jpg`, everyone in a folder of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from plvm.errors import PlvmError, RequestError
from plvm.types import check_name

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")


@dataclass(eq=False)
class Group:
    """One person's folder. `problem`: why nobody can be enrolled from it; `bad`: (picture, why it was left out)."""

    folder: Path
    name: str = ""
    files: list[Path] = field(default_factory=list)
    problem: str = ""
    bad: list[tuple[Path, str]] = field(default_factory=list)


def people_in(folder: Path) -> tuple[list[Group], int]:
    """Everyone in `folder`, and how many pictures lie directly in it. Raises RequestError where there is nobody."""
    layout = "Lay them out as FOLDER/NAME/picture.jpg, everyone in a folder of their own."
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise RequestError(f"{folder} {what}.", layout)
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        groups = [_group(entry) for entry in entries if entry.is_dir()]
    except OSError as error:
        raise RequestError(f"{folder} cannot be read: {error.strerror}.", "Check its permissions.") from None
    if not groups:
        raise RequestError(f"There is nobody in {folder}: it has no folders.", layout)
    _refuse_twins(groups)
    return groups, sum(_is_picture(entry) for entry in entries)


def good_pictures(group: Group) -> list[Image.Image]:
    """Its readable pictures, no larger than they will be kept; the others are noted in `group.bad`."""
    from PIL import Image

    from plvm.images import REFERENCE_SIDE, open_image

    pictures = []
    for file in group.files:
        try:
            picture = open_image(file)
        except PlvmError as error:
            group.bad.append((file, f"{error.message} {error.hint}".strip()))
            continue
        picture.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE), Image.Resampling.LANCZOS)
        pictures.append(picture)
    return pictures


def _group(folder: Path) -> Group:
    group = Group(folder, files=sorted(entry for entry in folder.iterdir() if _is_picture(entry)))
    try:
        group.name = check_name(folder.name)
    except PlvmError as error:
        group.problem = f"{error.message} {error.hint}"
    if not group.problem and not group.files:
        group.problem = f"{folder} holds no picture."
    return group


def _is_picture(entry: Path) -> bool:
    return entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()


def _refuse_twins(groups: list[Group]) -> None:
    """Two folders may spell one name differently (é in one character or two); the second one is left out."""
    seen: dict[str, Path] = {}
    for group in groups:
        if group.name and not group.problem:
            first = seen.setdefault(group.name, group.folder)
            if first != group.folder:
                group.problem = f"{group.folder} and {first} are the same name."
