"""What a store says when it refuses: short however many concepts it is about."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from plvm.errors import AlignerMismatchError, DuplicateConceptError, StoreError, UnknownConceptError
from plvm.naming.display import People, bare, hint_of, nearest_words, typed
from plvm.naming.lookalikes import lookalike, unknown_lookalike
from plvm.store.entry import Entry
from plvm.types import Concept


def duplicate(names: Sequence[str]) -> DuplicateConceptError:
    """The error for names that are taken, with what to do instead."""
    verb = "is" if len(names) == 1 else "are"
    return DuplicateConceptError(
        f"{joined(names)} {verb} in the store already.",
        "Choose another name, or replace what is there with --replace.",
    )


def check_aligner(found: Sequence[Concept], aligner: str | None) -> None:
    """Raise AlignerMismatchError, with the commands to run, if any of `found` is not of `aligner` (None: all are)."""
    others = [concept for concept in found if aligner is not None and concept.aligner != aligner]
    if not others:
        return
    verb = "was" if len(others) == 1 else "were"
    hint = "Run `plvm add --re-enrol`: it enrols them again from the reference images in the store."
    bare = [concept.name for concept in others if not concept.references]
    if bare:
        hint += f" {joined(bare)} came without: `plvm add {bare[0]} PICTURE --replace`."
    raise AlignerMismatchError(
        f"{joined([concept.name for concept in others])} {verb} made by another Aligner ({others[0].aligner[:12]}) "
        f"than the one in use ({str(aligner)[:12]}).",
        hint,
    )


def joined(names: Collection[str], last: str = ", ") -> str:
    """`<a>, <b>, ... (9 in all)`: short however many there are."""
    shown = [f"<{name}>" for name in list(names)[:5]]
    return last.join(shown) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")


def unknown(name: str, people: People) -> UnknownConceptError:
    """The error for a `name` that none of `people` has, with the nearest of them, or the one whom it looks like."""
    called = bare(name)
    if (word := lookalike(called, people)) is not None:
        return unknown_lookalike(called, word, people[word])
    return UnknownConceptError(
        f"There is no concept called <{called}>.",
        f"{hint_of(nearest_words(called, people))}`plvm list` shows all; `plvm add {typed(called)} PICTURE` adds it.",
    )


def set_aside(entry: Entry) -> StoreError:
    """The error for a damaged concept: what is wrong with it, and how to get it back."""
    hint = "Run `plvm store check --repair`"
    if entry.can_be_made_again:
        hint += ": it is made again from its kept picture."
    else:
        hint += f"; if that does not help: `plvm add {entry.name} PICTURE --replace`, or put a backup in place."
    return StoreError(f"{entry}. It is not used.", hint)


def missing(count: int) -> StoreError:
    """The error for a name that is not there, in a store that has lost `count` concepts."""
    verb = "is" if count == 1 else "are"
    return StoreError(
        f"The store is damaged: {count:,} of its concepts {verb} not to be found.",
        "Run `plvm store check --repair`: it finds those that are whole. Or put a backup in place.",
    )
