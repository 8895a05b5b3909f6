"""`plvm store check`, `plvm store backup`: whether the store is whole, and a copy of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say
from plvm.cli.verbs import add_verb
from plvm.errors import DamagedStoreError, PlvmError, RequestError

if TYPE_CHECKING:
    from plvm.store.health import Health

store_ = Typer(no_args_is_help=True, rich_markup_mode=None, help="Check, repair and back up the store.")


def register(app: Typer) -> None:
    add_verb(store_, "check", check)
    add_verb(store_, "backup", backup, usage="FILE")
    app.add_typer(store_, name="store", rich_help_panel="Concepts")


@store_.callback()
def store() -> None:
    """Check, repair and back up the store."""


def check(
    repair: Annotated[
        bool,
        Option("--repair", help="Save what is whole, mend what can be mended, enrol damaged concepts again from "
               "their kept pictures."),
    ] = False,
    *,
    store: o.StoreOptions,
    model: o.ModelOptions,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Look at everything in the store: every page, row and picture.

    Exit code 0: all is whole, or is so again after --repair. 2: something is damaged, and stderr says what.

    \b
    Examples:
      plvm store check
      plvm store check --repair
    """
    notes: list[str] = []
    health, problem = _examined(store)
    if repair and (health is None or health.needs_salvage):
        notes += _salvaged(store, health)
        health, problem = _examined(store)
    if repair and health is not None and any(entry.can_be_made_again for entry in health.damaged):
        notes += _made_again(store, model)
        health, problem = _examined(store)
    _report(health, problem, notes, json=json)
    if health is None or not health.whole:
        raise Exit(2)


def backup(
    file: Annotated[Path, Argument(metavar="FILE", help="The file to write.")],
    *,
    replace: Annotated[bool, Option("--replace", help="Overwrite FILE.")] = False,
    store: o.StoreOptions,
    json: o.Json = False,
) -> None:
    """Copy the whole store, all namespaces, to one file, also while others use it, and check the copy.

    Exit code 2: no copy was made, or concepts in it are damaged, as they are in the store.
    """
    with store.open() as opened:
        health = opened.back_up(file.expanduser(), replace=replace)
    if json:
        out_json({"file": str(file), **_facts(health, None, [])})
    else:
        out(f"Copied the store to {file}: {_sum(health)}.")
        _complain_of(health)
    if not health.whole:
        raise Exit(2)


def _examined(store: o.StoreOptions) -> tuple[Health | None, str]:
    """The health of the store; None where its file cannot be used as it is, and why."""
    if isinstance(place := store.place(), Path) and not place.exists():
        raise RequestError(f"There is no store {place} yet.", "Enrol someone first: `plvm add NAME PICTURE`.")
    try:
        with store.open(quiet=True) as opened:
            return opened.check(), ""
    except DamagedStoreError as error:
        return None, error.message


def _salvaged(store: o.StoreOptions, before: Health | None) -> list[str]:
    from plvm.store import ConceptStore

    place = store.place()
    if isinstance(place, str):
        raise RequestError("A database of your own cannot be repaired from here.", "Use the tools that came with it.")
    result = ConceptStore.salvage(place)
    with store.open(quiet=True) as opened:
        names = opened.names()
    gone = [] if before is None else [entry.name for entry in before.damaged if entry.name not in names]
    return [
        f"{count(result.concepts, 'concept')} saved into a new file",
        *result.notes,
        *(f"<{name}> could not be saved" for name in gone),
        f"the damaged file is {result.old}: delete it, with those beside it of its name, when you miss nobody",
    ]


def _made_again(store: o.StoreOptions, model: o.ModelOptions) -> list[str]:
    from plvm.people import enroll_damaged

    vlm = model.load()
    with store.open(quiet=True) as opened, progress() as advance:
        made, left_out = enroll_damaged(vlm, opened, report=lambda done, total: advance("people", done, total))
    return [
        *(f"<{concept.name}> was enrolled again from {count(len(concept.references), 'picture')}" for concept in made),
        *(f"<{name}> was not enrolled again: {error.line}" for name, error in left_out),
    ]


def _report(health: Health | None, problem: str, notes: list[str], *, json: bool) -> None:
    if json:
        out_json(_facts(health, problem, notes))
        return
    for note in notes:
        say(f"Repair: {note}.")
    if health is None:
        say(PlvmError(problem, "`plvm store check --repair` saves what is whole; or put a backup in its place.").line)
        return
    out(f"{_sum(health)[:1].upper()}{_sum(health)[1:]}.")
    _complain_of(health)


def _sum(health: Health) -> str:
    found = f"{count(health.concepts, 'concept')} with {count(health.pictures, 'picture')} whole"
    bad = len(health.damaged) + health.missing
    return found + (f", {bad} damaged" if bad else "") + ("" if health.whole else "; see below")


def _complain_of(health: Health) -> None:
    from plvm.store.conflicts import missing, set_aside

    for entry in health.damaged:
        say(set_aside(entry).line)
    if health.missing:
        say(missing(health.missing).line)
    if health.elsewhere:
        say(f"{count(health.elsewhere, 'concept')} of other namespaces damaged. Name one with --namespace.")
    for flaw in health.flaws:
        say(f"The file: {flaw}. Run `plvm store check --repair`.")


def _facts(health: Health | None, problem: str | None, notes: list[str]) -> dict[str, Any]:
    if health is None:
        return {"whole": False, "problem": problem, "repair": notes}
    return {
        "whole": health.whole,
        "concepts": health.concepts,
        "pictures": health.pictures,
        "damaged": [{"name": entry.name, "parts": list(entry.damage)} for entry in health.damaged],
        "missing": health.missing,
        "damaged_elsewhere": health.elsewhere,
        "file": list(health.flaws),
        "repair": notes,
    }
