"""Many people at once: everyone in a folder, or everyone whom another Aligner enrolled.

The folder layout is that of home-camera and photo tools: `people/<name>/*.jpg`, everyone in a folder of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from plvm.errors import ImageError, PlvmError, RequestError
from plvm.naming.display import People, key, resolve, word_and_display
from plvm.naming.lookalikes import refuse_lookalike
from plvm.types import Concept

if TYPE_CHECKING:
    from PIL import Image

    from plvm.personal import Personal
    from plvm.store import ConceptStore
    from plvm.store.entry import Entry

    Report = Callable[[int, int], None]  # (people done, people in all)

BATCH = 16  # people enrolled and kept at a time
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")


@dataclass(eq=False)
class Group:
    """One person's folder. `name` is what its folder says, in the form that counts, `word` what it is called in the store;
    `problem`: why nobody can be enrolled from it; `bad`: (picture, why it was left out); `strangers`: pictures that seem to show
    somebody else than the others; `same`: the names of others who have
    one of its pictures; `unlike` the training its pictures are at most, where that is known."""

    folder: Path
    name: str = ""
    word: str = ""
    same: list[str] = field(default_factory=list)
    unlike: float | None = None
    files: list[Path] = field(default_factory=list)
    problem: str = ""
    bad: list[tuple[Path, str]] = field(default_factory=list)
    strangers: list[Path] = field(default_factory=list)

    @property
    def good(self) -> list[Path]:
        """Its pictures that nothing is wrong with."""
        wrong = {file for file, _ in self.bad}
        return [file for file in self.files if file not in wrong]


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
            group.bad.append((file, error.line))
            continue
        picture.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE), Image.Resampling.LANCZOS)
        pictures.append(picture)
    return pictures


def _usable(vlm: Personal, group: Group, pictures: Sequence[Image.Image]) -> list[Image.Image]:
    """Those of a group's good pictures that can be references; the others are noted in `group.bad`."""
    why = vlm.unusable(pictures)
    group.bad += [(file, f"{file}: {error.line}") for file, error in zip(group.good, why, strict=True) if error is not None]
    return [picture for picture, error in zip(pictures, why, strict=True) if error is None]


def divide(store: ConceptStore, groups: Sequence[Group], *, replace: bool = False) -> tuple[list[Group], list[Group]]:
    """(who is to be enrolled, who is in `store` already and stays; nobody does with `replace`), without the unusable."""
    people = store.people()
    new: list[Group] = []
    there: list[Group] = []
    for group in groups:
        if not group.problem:
            known = resolve(group.name, people)
            group.word = known if known is not None else ""
            (there if group.word and not replace else new).append(group)
    return [group for group in new if group.word or not _is_lookalike(group, people)], there


def enroll_people(
    vlm: Personal, store: ConceptStore, groups: Sequence[Group], *, replace: bool = False, report: Report | None = None
) -> dict[Group, int]:
    """Enrol `groups` and keep them in `store`, 16 at a time: {group: from how many pictures}.

    Of the 16 all are kept, or none. A group without a readable picture is left out; what could not be read is noted in
    its `bad`. Raises DuplicateConceptError if a name is taken and not `replace`.
    """
    enrolled: dict[Group, int] = {}
    groups = sorted(groups, key=lambda group: bool(word_and_display(group.name)[1]))  # what is a word already keeps it
    for first in range(0, len(groups), BATCH):
        good = {group: good_pictures(group) for group in groups[first : first + BATCH]}
        ready = {group: pictures for group, pictures in good.items() if pictures}
        if ready:
            try:
                made = vlm.enroll_many({g.name: own for g, own in ready.items()})
            except ImageError:
                ready = {group: own for group, pictures in ready.items() if (own := _usable(vlm, group, pictures))}
                made = vlm.enroll_many({g.name: own for g, own in ready.items()})
            kept = store.add_all(made, replace=replace)
            for group, concept in zip(ready, made, strict=True):
                group.unlike = max(concept.unlike, default=None)
                group.strangers = [group.good[number] for number in concept.strangers]
            for group, concept in zip(ready, kept, strict=True):
                group.word = concept.name
            for group, concept in zip(ready, kept, strict=True):
                group.same = [name for name in store.same_pictures(concept.references) if name != concept.name]
        enrolled |= {group: len(pictures) for group, pictures in ready.items()}
        if report is not None:
            report(min(first + BATCH, len(groups)), len(groups))
    return enrolled


def enroll_again(
    vlm: Personal, store: ConceptStore, *, report: Report | None = None
) -> tuple[list[Concept], list[tuple[str, PlvmError]]]:
    """Enrol whoever another Aligner enrolled, or whose tokens are damaged, from the stored pictures: (those made and kept, those
    left out and why).

    Notes, pictures and times of creation stay. Whoever is forgotten meanwhile stays forgotten.
    """
    entries = store.entries()
    others = [entry for entry in entries if not entry.damage and entry.aligner != vlm.fingerprint]
    return _made_and_kept(vlm, store, [*others, *(entry for entry in entries if entry.can_be_made_again)], report)


def enroll_damaged(
    vlm: Personal, store: ConceptStore, *, report: Report | None = None
) -> tuple[list[Concept], list[tuple[str, PlvmError]]]:
    """Enrol whoever has damaged tokens, by the Aligner that made them, from the stored pictures that are whole: (those made and
    kept, those left out and why)."""
    damaged = [entry for entry in store.entries() if entry.can_be_made_again]
    own = [entry for entry in damaged if entry.aligner == vlm.fingerprint]
    made, left_out = _made_and_kept(vlm, store, own, report)
    hint = "Name the folder of that Aligner with --model, or make it with this one: `plvm add --re-enrol`."
    error = RequestError("Another Aligner made its tokens.", hint)
    return made, [*left_out, *((entry.name, error) for entry in damaged if entry not in own)]


def _made_and_kept(
    vlm: Personal, store: ConceptStore, old_ones: Sequence[Entry], report: Report | None
) -> tuple[list[Concept], list[tuple[str, PlvmError]]]:
    made: list[Concept] = []
    left_out: list[tuple[str, PlvmError]] = []
    for i, old in enumerate(old_ones):
        try:
            made.append(_enrolled_again(vlm, old))
        except PlvmError as error:
            left_out.append((old.name, error))
        if report is not None:
            report(i + 1, len(old_ones))
    still = set(store.names())
    made = [concept for concept in made if concept.name in still]
    store.add_all(made, replace=True)
    return made, left_out


def _enrolled_again(vlm: Personal, old: Entry) -> Concept:
    if not old.references:
        raise RequestError(f"<{old.name}> came without pictures.", f"Run `plvm add {old.name} PICTURE --replace`.")
    made = vlm.enroll(old.name, *old.references, notes=old.notes)
    return replace(made, references=old.references, created=old.created, display=old.display, consent=old.consent)


def _group(folder: Path) -> Group:
    group = Group(folder, files=sorted(entry for entry in folder.iterdir() if _is_picture(entry)))
    try:
        word, display = word_and_display(folder.name)
        group.name = display or word
    except PlvmError as error:
        group.problem = error.line
    if not group.problem and not group.files:
        group.problem = f"{folder} holds no picture."
    return group


def _is_lookalike(group: Group, people: People) -> bool:
    """Whether its name looks like that of one of `people`: then that is its problem."""
    try:
        refuse_lookalike(group.name, people)
    except PlvmError as error:
        group.problem = error.line
    return bool(group.problem)


def _is_picture(entry: Path) -> bool:
    return entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".") and not entry.is_dir()


def _refuse_twins(groups: list[Group]) -> None:
    """Two folders may spell one name differently (é in one character or two, Anna Maria and anna maria); the second one is
    left out."""
    seen: dict[str, Path] = {}
    for group in groups:
        if group.name and not group.problem:
            word, display = word_and_display(group.name)
            first = seen.setdefault(key(display) if display else word, group.folder)
            if first != group.folder:
                group.problem = f"{group.folder} and {first} are the same name."
