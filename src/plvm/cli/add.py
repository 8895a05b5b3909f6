"""`plvm add`: enrol somebody, everybody in a folder, or again whoever another Aligner enrolled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace as with_fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say, table
from plvm.cli.context import load_model, open_store, reason
from plvm.cli.people import Group, good_pictures, people_in
from plvm.cli.verbs import add_verb
from plvm.errors import PlvmError, RequestError
from plvm.types import check_name

if TYPE_CHECKING:
    from plvm.personal import Personal
    from plvm.store import ConceptStore
    from plvm.types import Concept

    Load = Callable[[], Personal]

_USAGE = "Say `plvm add NAME PICTURE`, `plvm add --folder FOLDER` or `plvm add --re-enrol`."
_BATCH = 16  # people enrolled and kept at a time


def register(app: Typer) -> None:
    add_verb(app, "add", add, "Concepts", "[NAME IMAGE...]")


def add(
    who: Annotated[
        list[str] | None, Argument(metavar="NAME IMAGE...", help="A name, and one or more pictures of it alone.")
    ] = None,
    folder: Annotated[
        Path | None, Option("--folder", metavar="FOLDER", help="Enrol everyone who has a folder FOLDER/NAME/.")
    ] = None,
    re_enrol: Annotated[
        bool, Option("--re-enrol", help="Enrol again, from the stored pictures, whoever another Aligner enrolled.")
    ] = False,
    replace: o.Replace = False,
    notes: Annotated[str, Option("--notes", metavar="TEXT", help="A remark of yours; the model never sees it.")] = "",
    store: o.Store = None,
    namespace: o.Namespace = "default",
    model: o.Model = "mini",
    device: o.Device = None,
    dtype: o.Dtype = None,
    bits: o.Bits = None,
    json: o.Json = False,
) -> None:
    """Enrol someone from a picture.

    From then on <NAME> is a word that the model reads and says. Nothing is trained: it takes milliseconds.

    \b
    Examples:
      plvm add billie billie.jpg
      plvm add --folder people/
    """
    if sum((bool(who), folder is not None, re_enrol)) != 1:
        raise RequestError("One of NAME IMAGE, --folder and --re-enrol is needed.", _USAGE)
    if notes and not who:
        raise RequestError("--notes belongs to one name.", "Leave it out, or add one name at a time.")
    load = partial(load_model, model, device, dtype, bits)
    with open_store(store, namespace) as opened:
        if who:
            _add_one(opened, who[0], who[1:], notes, replace, load, json)
        elif folder is not None:
            _add_folder(opened, folder, replace, load, json)
        else:
            _re_enrol(opened, load, json)


def _add_one(
    store: ConceptStore, name: str, files: list[str], notes: str, replace: bool, load: Load, json: bool
) -> None:
    from plvm.images import open_image
    from plvm.store.conflicts import duplicate

    name = check_name(name)
    if not files:
        raise RequestError(f"There is no picture of <{name}>.", f"Name one: `plvm add {name} PICTURE`.")
    pictures = [open_image(file) for file in files]
    if not replace and name in store.names():
        raise duplicate([name])
    vlm = load()
    begun = time.perf_counter()
    concept = vlm.enroll(name, *pictures, notes=notes)
    seconds = time.perf_counter() - begun
    store.add(concept, replace=replace)
    if json:
        out_json({"enrolled": [{"name": name, "pictures": len(files), "seconds": round(seconds, 4)}], "skipped": []})
    else:
        out(f"Enrolled <{name}> from {count(len(files), 'picture')} in {1000 * seconds:.0f} ms.")


def _add_folder(store: ConceptStore, folder: Path, replace: bool, load: Load, json: bool) -> None:
    groups, strays = people_in(folder)
    if strays:
        say(f"{count(strays, 'picture')} directly in {folder} left out: put them into {folder / 'NAME'}/.")
    known = set() if replace else set(store.names())
    there = [g for g in groups if not g.problem and g.name in known]
    new = [g for g in groups if not g.problem and g.name not in known]
    enrolled: list[tuple[Group, int]] = []
    if new:
        vlm = load()
        with progress() as advance:
            for first in range(0, len(new), _BATCH):
                enrolled += _enrol_groups(vlm, store, new[first : first + _BATCH], replace)
                advance("people", min(first + _BATCH, len(new)), len(new))
    _summarise(groups, enrolled, there, json)


def _enrol_groups(vlm: Personal, store: ConceptStore, groups: list[Group], replace: bool) -> list[tuple[Group, int]]:
    """Enrol and keep these people, all or none; (who, from how many pictures). Bad pictures are noted in the group."""
    good = {group: good_pictures(group) for group in groups}
    ready = {group: pictures for group, pictures in good.items() if pictures}
    if ready:
        store.add_all(vlm.enroll_many({g.name: pictures for g, pictures in ready.items()}), replace=replace)
    return [(group, len(pictures)) for group, pictures in ready.items()]


def _summarise(groups: list[Group], enrolled: list[tuple[Group, int]], there: list[Group], json: bool) -> None:
    pictures = dict(enrolled)
    failed = [g for g in groups if g not in pictures and g not in there]
    skipped = [{"name": g.folder.name, "file": str(file), "reason": why} for g in groups for file, why in g.bad]
    skipped += [{"name": g.folder.name, "file": str(g.folder), "reason": g.problem} for g in failed if g.problem]
    if json:
        done = [{"name": g.name, "pictures": number} for g, number in enrolled]
        out_json({"enrolled": done, "already_there": [g.name for g in there], "skipped": skipped})
    else:
        for item in skipped:
            say(f"Left out: {item['reason']}")
        rows = []
        for group in groups:
            result = "enrolled" if group in pictures else "already there" if group in there else "not enrolled"
            rows.append((group.name or group.folder.name, pictures.get(group, 0), len(group.bad), result))
        out(table(rows, ("NAME", "PICTURES", "LEFT OUT", "RESULT")))
        if there:
            say("Those already there are unchanged; --replace enrols them again.")
    if failed:
        raise Exit(2)


def _re_enrol(store: ConceptStore, load: Load, json: bool) -> None:
    vlm = load()
    others = [concept for concept in store.list() if concept.aligner != vlm.fingerprint]
    new: list[Concept] = []
    skipped: list[dict[str, Any]] = []
    with progress() as advance:
        for i, old in enumerate(others):
            try:
                if not old.references:
                    raise RequestError(
                        f"<{old.name}> came without pictures.", f"Run `plvm add {old.name} PICTURE --replace`."
                    )
                made = vlm.enroll(old.name, *old.references, notes=old.notes)
                new.append(with_fields(made, references=old.references, created=old.created))
            except PlvmError as error:
                skipped.append({"name": old.name, "reason": reason(error)})
            advance("people", i + 1, len(others))
    still = set(store.names())  # who was forgotten meanwhile stays forgotten
    new = [concept for concept in new if concept.name in still]
    store.add_all(new, replace=True)
    if json:
        out_json({"enrolled": [{"name": c.name, "pictures": len(c.references)} for c in new], "skipped": skipped})
    else:
        for item in skipped:
            say(f"Left out: {item['reason']}")
        out(f"Enrolled {count(len(new), 'concept')} again." if others else "Every concept is of this Aligner already.")
    if skipped:
        raise Exit(2)
