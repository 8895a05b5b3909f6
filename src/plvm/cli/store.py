"""`plvm store`: whether the store is whole, a copy of it, its encryption."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say
from plvm.cli.verbs import add_verb
from plvm.errors import DamagedStoreError, PlvmError, RequestError

if TYPE_CHECKING:
    from plvm.store.health import Health

store_ = Typer(no_args_is_help=True, rich_markup_mode=None, help="Check, repair, back up and encrypt the store.")


def register(app: Typer) -> None:
    add_verb(store_, "check", check)
    add_verb(store_, "backup", backup, usage="FILE")
    add_verb(store_, "new-key", new_key, usage="FILE")
    add_verb(store_, "rekey", rekey)
    add_verb(store_, "retain", retain)
    app.add_typer(store_, name="store", rich_help_panel="Concepts")


@store_.callback()
def store() -> None:
    """Check, repair, back up and encrypt the store."""


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


def new_key(file: Annotated[Path, Argument(metavar="FILE", help="The file to write; only you may read it.")]) -> None:
    """Make a key to encrypt a store with.

    Whoever has the key and the store reads everything; without the key nobody does, you neither. Keep it where the store is not.

    \b
    Examples:
      plvm store new-key store.key
      plvm store rekey --to store.key
      plvm list --store-key store.key
    """
    from plvm.store.cipher import new_secret

    try:
        with open(os.open(file.expanduser(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(new_secret() + "\n")
    except OSError as error:
        raise RequestError(f"{file} cannot be written: {error.strerror}.", "Name a new file in a folder of yours.") from None
    say(f"Wrote a key to {file}. Keep a copy elsewhere: without it an encrypted store is lost.")


def rekey(
    to: Annotated[Path | None, Option("--to", metavar="FILE", help="The file of the key from now on.")] = None,
    plain: Annotated[bool, Option("--plain", help="Decrypt the store.")] = False,
    *,
    store: o.StoreOptions,
) -> None:
    """Encrypt the store, change its key, or decrypt it: all namespaces, every row.

    --store-key (or PLVM_STORE_KEY) names the key that it has now, if it has one. Stop other programs that use it first.

    \b
    Examples:
      plvm store rekey --to store.key
      plvm store rekey --store-key store.key --to new.key
      plvm store rekey --store-key store.key --plain
    """
    if plain == (to is not None):
        raise RequestError("One of --to FILE and --plain is needed.", "Make a key with `plvm store new-key FILE`.")
    secret = replace(store, store_key=to).secret() if to is not None else None
    with store.open() as opened:
        number = opened.rekey(secret)
    out(f"{count(number, 'concept')} in the store, {'not encrypted' if secret is None else f'encrypted with {to}'} from now on.")


def retain(
    days: Annotated[int, Option("--days", metavar="N", help="Keep whom somebody used in the last N days.")],
    dry_run: Annotated[bool, Option("--dry-run", help="Only say who would be forgotten.")] = False,
    *,
    store: o.StoreOptions,
    json: o.Json = False,
) -> None:
    """Forget those whom nobody used for more than N days, for good, without asking.

    Used: added, replaced, imported, in the prompt of a question, or found for sure in a picture. Days are those of UTC.
    Whoever is damaged and has no readable day stays.
    """
    if days < 1:
        raise RequestError("--days has to be 1 or more.", "To forget somebody by name: `plvm forget NAME`.")
    with store.open() as opened:
        late = opened.stale(days)
        if late and not dry_run:
            opened.forget_all(late)
    if json:
        out_json({"forgotten" if not dry_run else "would_be_forgotten": [{"name": n, "last_used": d} for n, d in late.items()]})
        return
    for name, day in late.items():
        out(f"{'Would forget' if dry_run else 'Forgot'} <{name}>, last used on {day}.")
    if not late:
        say(f"Everybody was used in the last {count(days, 'day')}.")


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
    result = ConceptStore.salvage(place, secret=store.secret())
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
