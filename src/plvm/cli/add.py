"""`plvm add`: enrol somebody, everybody in a folder, or again whoever another Aligner enrolled."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say, table
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError
from plvm.types import check_name

if TYPE_CHECKING:
    from plvm.people import Group
    from plvm.store import ConceptStore

_USAGE = "Say `plvm add NAME PICTURE`, `plvm add --folder FOLDER` or `plvm add --re-enrol`."


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
    *,
    store: o.StoreOptions,
    model: o.ModelOptions,
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
    with store.open() as opened:
        if who:
            _add_one(opened, model, who[0], who[1:], notes=notes, replace=replace, json=json)
        elif folder is not None:
            _add_folder(opened, model, folder, replace=replace, json=json)
        else:
            _enrol_again(opened, model, json=json)


def _add_one(
    store: ConceptStore, model: o.ModelOptions, name: str, files: list[str], *, notes: str, replace: bool, json: bool
) -> None:
    from plvm.images import open_image

    name = check_name(name)
    if not files:
        raise RequestError(f"There is no picture of <{name}>.", f"Name one: `plvm add {name} PICTURE`.")
    pictures = [open_image(file) for file in files]
    if not replace:
        store.check_free(name)
    vlm = model.load()
    begun = time.perf_counter()
    concept = vlm.enroll(name, *pictures, notes=notes)
    seconds = time.perf_counter() - begun
    store.add(concept, replace=replace)
    if json:
        out_json({"enrolled": [{"name": name, "pictures": len(files), "seconds": round(seconds, 4)}], "skipped": []})
    else:
        out(f"Enrolled <{name}> from {count(len(files), 'picture')} in {1000 * seconds:.0f} ms.")


def _add_folder(store: ConceptStore, model: o.ModelOptions, folder: Path, *, replace: bool, json: bool) -> None:
    from plvm.people import divide, enroll_people, people_in

    groups, strays = people_in(folder)
    if strays:
        say(f"{count(strays, 'picture')} directly in {folder} left out: put them into {folder / 'NAME'}/.")
    new, there = divide(store, groups, replace=replace)
    enrolled: dict[Group, int] = {}
    if new:
        vlm = model.load()
        with progress() as advance:
            enrolled = enroll_people(
                vlm, store, new, replace=replace, report=lambda done, total: advance("people", done, total)
            )
    _summarise(groups, enrolled, there, json=json)


def _summarise(groups: list[Group], enrolled: dict[Group, int], there: list[Group], *, json: bool) -> None:
    failed = [g for g in groups if g not in enrolled and g not in there]
    skipped = [{"name": g.folder.name, "file": str(file), "reason": why} for g in groups for file, why in g.bad]
    skipped += [{"name": g.folder.name, "file": str(g.folder), "reason": g.problem} for g in failed if g.problem]
    if json:
        done = [{"name": g.name, "pictures": number} for g, number in enrolled.items()]
        out_json({"enrolled": done, "already_there": [g.name for g in there], "skipped": skipped})
    else:
        for item in skipped:
            say(f"Left out: {item['reason']}")
        rows = []
        for group in groups:
            result = "enrolled" if group in enrolled else "already there" if group in there else "not enrolled"
            rows.append((group.name or group.folder.name, enrolled.get(group, 0), len(group.bad), result))
        out(table(rows, ("NAME", "PICTURES", "LEFT OUT", "RESULT")))
        if there:
            say("Those already there are unchanged; --replace enrols them again.")
    if failed:
        raise Exit(2)


def _enrol_again(store: ConceptStore, model: o.ModelOptions, *, json: bool) -> None:
    from plvm.people import enroll_again

    vlm = model.load()
    with progress() as advance:
        made, left_out = enroll_again(vlm, store, report=lambda done, total: advance("people", done, total))
    if json:
        enrolled = [{"name": concept.name, "pictures": len(concept.references)} for concept in made]
        out_json({"enrolled": enrolled, "skipped": [{"name": n, "reason": error.line} for n, error in left_out]})
    else:
        for _, error in left_out:
            say(f"Left out: {error.line}")
        anybody = made or left_out
        out(f"Enrolled {count(len(made), 'concept')} again." if anybody else "Every concept is of this Aligner already.")
    if left_out:
        raise Exit(2)
