"""What a request may not ask, and what to do instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from plvm.errors import (
    AlignerMismatchError,
    ConceptNameError,
    DuplicateConceptError,
    RequestError,
    UnknownConceptError,
)
from plvm.prompt.names import mentioned
from plvm.types import Concept, check_name, nearest_names


def refuse_other_aligners(concepts: Sequence[Concept], fingerprint: str) -> None:
    """Raise AlignerMismatchError for a concept that the Aligner of this fingerprint did not make."""
    for concept in concepts:
        if concept.aligner != fingerprint:
            raise AlignerMismatchError(
                f"<{concept.name}> was made by another Aligner ({concept.aligner[:16]}) than this one ({fingerprint}).",
                "Run `plvm add --re-enrol`: it enrols stored concepts again from their reference images.",
            )


def refuse_twins(names: Sequence[str]) -> None:
    """Raise DuplicateConceptError for a name that stands twice."""
    twins = [n for n in dict.fromkeys(names) if names.count(n) > 1]
    if twins:
        raise DuplicateConceptError(f"<{twins[0]}> is given twice.", "Give each concept once.")


def checked_question(question: str, names: Sequence[str], *, strict_names: bool = True) -> str:
    """The question in composed Unicode, as names are, without blanks around it.

    Raises RequestError where it is empty and, with `strict_names`, UnknownConceptError where it has a `<name>` that
    could be a concept's and is not among `names`. What cannot be a name (`</s>`, `<image>`, `a < b > c`) is plain text.
    """
    text = unicodedata.normalize("NFC", question).strip()
    if not text:
        raise RequestError("The question is empty.", 'Ask something, for example "What is in this photo?"')
    unknown = [n for n in mentioned(text) if n not in names and _could_be(n)] if strict_names else []
    if unknown:
        near = nearest_names(unknown[0], names)
        hint = f"Did you mean {' or '.join(f'<{n}>' for n in near)}? " if near else ""
        raise UnknownConceptError(
            f"Nobody here is called <{unknown[0]}>.",
            hint + f"Enrol it with `plvm add {unknown[0]} PICTURE`, or write the word without < >.",
        )
    return text


def _could_be(name: str) -> bool:
    try:
        return check_name(name) == name
    except ConceptNameError:
        return False
