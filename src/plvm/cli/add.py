"""`plvm add`: enrol somebody, everybody in a folder or of an app, or again whoever another Aligner enrolled."""

from __future__ import annotations

import time
from dataclasses import dataclass
from dataclasses import replace as with_fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option, Typer

from plvm.cli import options as o
from plvm.cli import remote
from plvm.cli.albums import AlbumOptions, add_from
from plvm.cli.console import count, out, out_json, progress, say, table
from plvm.cli.unlike import farthest, rounded, warn
from plvm.cli.verbs import add_verb
from plvm.cli.which_face import box_of, tell_strangers, with_sheet
from plvm.errors import RequestError, WhichFaceError
from plvm.naming.display import label, typed, word_and_display

if TYPE_CHECKING:
    from plvm.client import Client
    from plvm.people import Group
    from plvm.store import ConceptStore

_USAGE = "Say `plvm add NAME PICTURE`, `plvm add --folder FOLDER`, `plvm add --from-immich URL` or `plvm add --re-enrol`."


def register(app: Typer) -> None:
    add_verb(app, "add", add, "Concepts", "[NAME IMAGE...]")


@dataclass(frozen=True)
class PersonOptions:
    """Of somebody who is named: what is written down, and who in the picture is meant."""

    notes: Annotated[str, Option("--notes", metavar="TEXT", help="A remark of yours; the model never sees it.")] = ""
    consent: Annotated[str, Option("--consent", metavar="TEXT", help="A note of who agreed to this, when and how.")] = ""
    face: Annotated[
        int | None,
        Option("--face", metavar="N", min=1, help="Of a picture with several faces, which is meant; 1 is the leftmost.",
               show_default="the one that is clearly the largest"),
    ] = None  # fmt: skip
    box: Annotated[
        str, Option("--box", metavar="L,T,R,B", help="Only what is inside this box of the picture, in pixels.")
    ] = ""


def add(
    who: Annotated[
        list[str] | None,
        Argument(metavar="NAME IMAGE...", help="A name of up to 60 characters, and one or more pictures of it alone."),
    ] = None,
    folder: Annotated[
        Path | None, Option("--folder", metavar="FOLDER", help="Enrol everyone who has a folder FOLDER/NAME/.")
    ] = None,
    re_enrol: Annotated[
        bool, Option("--re-enrol", help="Enrol again, from the stored pictures, whoever another Aligner enrolled.")
    ] = False,
    replace: o.Replace = False,
    *,
    person: PersonOptions,
    album: AlbumOptions,
    store: o.StoreOptions,
    model: o.ModelOptions,
    server: remote.ServerOptions,
    json: o.Json = False,
) -> None:
    """Enrol someone from a picture.

    From then on <NAME> is a word that the model reads and says. Nothing is trained: it takes milliseconds. Of a name that
    is no single word one is made: "Anna Maria" is <anna-maria>, and both mean her everywhere.

    With --folder the exit code is 0 if at least one was enrolled or all are there already, and 2 if nobody was; the rest
    is listed with the reasons.

    With --from-immich, --from-photoprism or --from-frigate everybody whom that app knows by name is enrolled. Said again,
    it enrols who is new and follows those who were renamed, merged or got another picture.

    \b
    Examples:
      plvm add billie billie.jpg
      plvm add "Anna Maria" anna-1.jpg anna-2.jpg
      plvm add tom party.jpg --face 2
      plvm add --folder people/
      plvm add --from-immich http://192.168.1.5:2283 --key-file immich.key
    """
    if sum((bool(who), folder is not None, re_enrol, album.named)) != 1:
        raise RequestError("One of NAME IMAGE, --folder, --from-... and --re-enrol is needed.", _USAGE)
    album.check()
    if person != PersonOptions() and not who:
        raise RequestError(
            "--notes, --consent, --face and --box belong to one name.", "Leave them out, or add one name at a time."
        )
    if (client := server.client(store, model)) is not None:
        _add_remote(client, who or [], person, replace=replace, json=json)
        return
    if album.named:
        add_from(album, store, model, replace=replace, json=json)
        return
    with store.open() as opened:
        if who:
            _add_one(opened, model, who[0], who[1:], person, replace=replace, json=json)
        elif folder is not None:
            _add_folder(opened, model, folder, replace=replace, json=json)
        else:
            _enrol_again(opened, model, json=json)


def _add_remote(client: Client, who: list[str], person: PersonOptions, *, replace: bool, json: bool) -> None:
    if len(who) < 2:
        raise RequestError("Through a server only NAME IMAGE is added.", "Run it where the store is, without a server.")
    meant = {"face": person.face, "box": box_of(person.box)}
    with client:
        remote.add(client, who[0], who[1:], notes=person.notes, consent=person.consent, replace=replace, json=json, meant=meant)


def _add_one(
    store: ConceptStore, model: o.ModelOptions, name: str, files: list[str], person: PersonOptions, *, replace: bool,
    json: bool,
) -> None:
    from plvm.images import open_image

    word, display = word_and_display(name)
    if not files:
        raise RequestError(
            f"There is no picture of {label(word, display)}.", f"Name one: `plvm add {typed(display or word)} PICTURE`."
        )
    pictures = [open_image(file) for file in files]
    if not replace:
        store.check_free(name)
    vlm = model.load()
    begun = time.perf_counter()
    try:
        made = vlm.enroll(name, *pictures, notes=person.notes, face=person.face, box=box_of(person.box))
    except WhichFaceError as error:
        raise with_sheet(error) from None
    concept = with_fields(made, consent=person.consent)
    seconds = time.perf_counter() - begun
    kept = store.add(concept, replace=replace)
    same = [other for other in store.same_pictures(kept.references) if other != kept.name]
    tell_same(kept.name, same)
    odd = [files[number] for number in concept.strangers]
    tell_strangers(kept.name, odd, len(files))
    warn(vlm, dict(zip(files, concept.unlike, strict=False)))
    if json:
        facts = {"name": kept.name, "display": kept.shown, "pictures": len(files), "seconds": round(seconds, 4)}
        facts |= {"same_picture_as": same, "unlike": rounded(farthest(concept.unlike)), "strangers": odd}
        out_json({"enrolled": [facts], "skipped": []})
    else:
        called = label(kept.name, kept.display)
        out(f"Enrolled {called} from {count(len(files), 'picture')} in {1000 * seconds:.0f} ms.")


def tell_same(word: str, others: list[str]) -> None:
    """Say that a picture of `<word>` is one of others, too."""
    if others:
        who = ", ".join(f"<{other}>" for other in others[:5]) + (", ..." if len(others) > 5 else "")
        say(f"A picture of <{word}> is also one of {who}: are they the same person, or was the wrong file named?")


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
        warn(vlm, {group.name: group.unlike for group in enrolled})
    _summarise(groups, enrolled, there, json=json)


def _summarise(groups: list[Group], enrolled: dict[Group, int], there: list[Group], *, json: bool) -> None:
    for group in enrolled:
        tell_same(group.word, group.same)
        tell_strangers(group.word, group.strangers, len(group.good))
    failed = [g for g in groups if g not in enrolled and g not in there]
    skipped = [{"name": g.folder.name, "file": str(file), "reason": why} for g in groups for file, why in g.bad]
    skipped += [{"name": g.folder.name, "file": str(g.folder), "reason": g.problem} for g in failed if g.problem]
    if json:
        done = [
            {"name": g.word, "display": g.name, "pictures": number, "same_picture_as": g.same,
             "unlike": rounded(g.unlike), "strangers": [str(file) for file in g.strangers]}
            for g, number in enrolled.items()
        ]  # fmt: skip
        out_json({"enrolled": done, "already_there": [g.word for g in there], "skipped": skipped})
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
        if failed and enrolled:
            say(f"Enrolled {len(enrolled)} of {count(len(groups), 'folder')}; {len(failed)} left out, for the reasons above.")
    if failed and not enrolled:
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
