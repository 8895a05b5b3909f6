"""Which concepts go into a prompt: those that somebody names, or else those likeliest to be in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plvm.errors import ConceptNameError, RequestError
from plvm.prompt.names import mentioned
from plvm.types import Concept, check_name

if TYPE_CHECKING:
    from PIL import Image

    from plvm.personal import Personal
    from plvm.store import ConceptStore

CROWD = 4  # so many concepts go into a prompt when nobody says which


@dataclass(frozen=True, eq=False)
class Choice:
    """The concepts of a prompt; `left_out`: how many stored ones were less likely to be in the picture."""

    concepts: Sequence[Concept] = ()
    left_out: int = 0


def names_in(text: str) -> list[str]:
    """Every name that stands as `<name>` in `text` and can be a concept's, in order, once, as the store keeps it.

    `<image>` and `</s>` can be nobody's.
    """
    found: dict[str, None] = {}
    for name in mentioned(text):
        with suppress(ConceptNameError):
            found[check_name(name)] = None
    return list(found)


def choose(
    vlm: Personal,
    store: ConceptStore,
    names: Sequence[str] = (),
    image: Image.Image | None = None,
    *,
    need_somebody: bool = True,
) -> Choice:
    """The concepts called `names`, words or display names; without any all that are stored, and of more than four those
    likeliest in `image`. The store notes that they were used.

    With more than four and no picture nobody can be chosen: then nobody is, or RequestError with `need_somebody`. Raises
    also UnknownConceptError, ConceptNameError and AlignerMismatchError, as the store does.
    """
    choice = _chosen(vlm, store, names, image, need_somebody=need_somebody)
    store.used([concept.name for concept in choice.concepts])
    return choice


def _chosen(
    vlm: Personal, store: ConceptStore, names: Sequence[str], image: Image.Image | None, *, need_somebody: bool
) -> Choice:
    if names:
        return Choice([store.get(word, aligner=vlm.fingerprint) for word in store.check_known(*names)])
    if image is None:
        stored_names = store.names()
        if len(stored_names) > CROWD:
            if need_somebody:
                raise _nobody_named(stored_names)
            return Choice()
    stored = store.list(aligner=vlm.fingerprint)
    if image is None or len(stored) <= CROWD:
        return Choice(stored)
    chances = vlm.recognize([image], stored, namespace=store.namespace)[0]
    best = sorted(range(len(stored)), key=lambda i: -chances[i])[:CROWD]
    return Choice([stored[i] for i in sorted(best)], len(stored) - CROWD)


def _nobody_named(stored: Sequence[str]) -> RequestError:
    return RequestError(
        f"The question names nobody, and {len(stored)} concepts are stored.",
        f"Name someone as <{stored[0]}>, or choose with --with {stored[0]}.",
    )
