"""`plvm list`, `show`, `rename`, `forget`: who is in the store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from plvm.cli import options as o
from plvm.cli import remote
from plvm.cli.console import count, out, out_json, say, table
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError
from plvm.naming.display import label

if TYPE_CHECKING:
    from plvm.store.entry import Entry
    from plvm.types import Concept

Name = Annotated[str, Argument(metavar="NAME", help='A concept\'s name: billie, <billie> or "Anna Maria".')]


def register(app: Typer) -> None:
    add_verb(app, "list", list_, "Concepts")
    add_verb(app, "show", show, "Concepts", "NAME")
    add_verb(app, "rename", rename, "Concepts", "OLD NEW")
    add_verb(app, "forget", forget, "Concepts", "NAME...")


def list_(
    search: Annotated[str, Option("--search", metavar="TEXT", help="Those whose name contains TEXT.")] = "",
    limit: Annotated[
        int, Option("--limit", metavar="N", help="At most N.", show_default="everybody")
    ] = sys.maxsize,
    after: Annotated[
        str | None, Option("--after", metavar="NAME", help="Those behind NAME in the list.", show_default=False)
    ] = None,
    *,
    store: o.StoreOptions,
    server: remote.ServerOptions,
    json: o.Json = False,
) -> None:
    """List everyone who is enrolled, or some of them."""
    if limit < 1:
        raise RequestError("--limit has to be 1 or more.", "Leave it out to list everybody.")
    if (client := server.client(store)) is not None:
        with client:
            remote.list_(client, search=search, limit=limit, after=after, json=json)
        return
    with store.open() as opened:
        if json and limit == sys.maxsize and not search and after is None:
            found = [_facts(concept) for concept in opened.list()] + [_damaged(entry) for entry in opened.damaged]
            out_json(sorted(found, key=lambda facts: str(facts["name"])))
            return
        page = opened.page(limit, after=after, search=search)
        entries = page.entries
        if json:
            out_json([_damaged(entry) if entry.damage else _facts(opened.get(entry.name)) for entry in entries])
            return
    if not entries:
        say("Nobody matches." if search or after is not None else "Nobody is enrolled yet: `plvm add NAME PICTURE`.")
        return
    out(table([_line(entry) for entry in entries], ("NAME", "PICTURES", "ADDED", "NOTES")))
    if page.more:
        say(f"There are {page.total:,}; go on with --after {entries[-1].name}.")
    makers = {entry.aligner for entry in entries if not entry.damage}
    if len(makers) > 1:
        say(f"They were made by {len(makers)} Aligners; `plvm add --re-enrol` makes them anew with the one in use.")


def show(
    name: Name,
    save_reference: Annotated[
        Path | None,
        Option("--save-reference", metavar="FILE", help="Write the picture to FILE (further ones to FILE-2, FILE-3)."),
    ] = None,
    *,
    store: o.StoreOptions,
    json: o.Json = False,
) -> None:
    """Show what is kept of someone."""
    with store.open() as opened:
        concept = opened.get(name)
    facts = _facts(concept)
    if json:
        out_json(facts)
    else:
        tokens, shown = facts["tokens"], [f"{r['width']} x {r['height']} {r['format']}" for r in facts["references"]]
        rows = [
            ("name", label(concept.name, concept.display)),
            ("added", concept.created),
            ("pictures", ", ".join(shown) if shown else "none"),
            ("tokens", f"word {tokens['word']}, head {tokens['head']}, context {tokens['context']}"),
            ("aligner", concept.aligner),
            ("notes", concept.notes),
            ("consent", concept.consent),
        ]
        out(table(rows))
    if save_reference is not None:
        _save_references(concept, save_reference)


def rename(
    old: Annotated[str, Argument(metavar="OLD", help="The name now.")],
    new: Annotated[str, Argument(metavar="NEW", help="The name from now on.")],
    store: o.StoreOptions,
) -> None:
    """Give someone another name."""
    with store.open() as opened:
        (before,) = opened.check_known(old)
        called = label(before, opened.people()[before])
        word = opened.rename(before, new)
        now = label(word, opened.people()[word])
    out(f"{called} is now {now}.")


def forget(
    names: Annotated[list[str], Argument(metavar="NAME...", help="Who shall be forgotten.")],
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask first.")] = False,
    *,
    store: o.StoreOptions,
) -> None:
    """Forget people for good.

    Their tokens and pictures are removed from the store, and overwritten in its file.
    """
    with store.open() as opened:
        gone, people = opened.check_known(*names), opened.people()
        if not yes and not _confirmed([label(word, people[word]) for word in gone]):
            say("Nobody was forgotten.")
            raise Exit(2)
        for name in gone:
            opened.forget(name)
            out(f"Forgot {label(name, people[name])}.")


def _line(entry: Entry) -> tuple[Any, ...]:
    """One line of the list."""
    name = label(entry.name, entry.display) if entry.display else entry.name
    mark = " (damaged)" if entry.damage else ""
    return name + mark, len(entry.references), entry.created[:10], entry.notes


def _confirmed(names: list[str]) -> bool:
    who = ", ".join(names)
    print(f"Forget {who} and every stored picture of them for good? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        say("")
        raise RequestError("Nobody is there to confirm.", "Add --yes to forget without being asked.")
    return answer.strip().lower() in ("y", "yes")


def _facts(concept: Concept) -> dict[str, Any]:
    """A concept for machines: everything but the numbers and the pixels."""
    import io

    from PIL import Image

    references = []
    for picture in concept.references:
        with Image.open(io.BytesIO(picture)) as image:
            size = {"format": image.format, "width": image.width, "height": image.height, "bytes": len(picture)}
        references.append(size)
    shapes = {part: list(getattr(concept.tokens, part).shape) for part in ("word", "head", "context", "key")}
    return {
        "name": concept.name,
        "display": concept.shown,
        "created": concept.created,
        "aligner": concept.aligner,
        "notes": concept.notes,
        "consent": concept.consent,
        "references": references,
        "tokens": shapes,
        "damaged": [],
    }


def _damaged(entry: Entry) -> dict[str, Any]:
    """The same of a damaged concept, of which nothing but the name is to be used."""
    texts = dict.fromkeys(("display", "created", "aligner", "notes", "consent"), "")
    nothing: dict[str, Any] = {**texts, "references": [], "tokens": {}}
    return {"name": entry.name, **nothing, "damaged": list(entry.damage)}


def _save_references(concept: Concept, file: Path) -> None:
    from plvm.images import open_image, sniff_format

    if not concept.references:
        raise RequestError(f"No picture of <{concept.name}> is kept.", "There is nothing to save.")
    files = [file, *(file.with_stem(f"{file.stem}-{i}") for i in range(2, len(concept.references) + 1))]
    for place in files:
        if place.exists():
            raise RequestError(f"{place} exists already.", "Name a new file.")
    kinds = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
    if file.suffix.lower() not in kinds:
        raise RequestError(f"{file} does not end in .png or .jpg.", "Name a file that does.")
    for place, picture in zip(files, concept.references, strict=True):
        wanted = kinds[place.suffix.lower()]
        try:
            if sniff_format(picture) == wanted:
                place.write_bytes(picture)
            else:
                open_image(picture).save(place, wanted, quality=95)
        except OSError as error:
            raise RequestError(f"{place} cannot be written: {error.strerror}.", "Name a file of yours.") from None
    say(f"Wrote {count(len(files), 'picture')}: {', '.join(map(str, files))}.")
