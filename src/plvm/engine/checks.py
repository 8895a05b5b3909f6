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
from plvm.naming.display import APOSTROPHES, People, hint_of, nearest_words, typed, word_and_display
from plvm.naming.lookalikes import is_invisible, lookalike, refuse_disguised, unknown_lookalike
from plvm.naming.mentions import BRACKETS, marked
from plvm.types import Concept, check_text, is_mark


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


def checked_question(question: str, people: People, *, strict_names: bool = True, exact_names: bool = False) -> str:
    """The question in composed Unicode, without blanks around it, in which whoever it names stands as `<word>`.

    `people` are those who may be named, {word: display name or ""}. With `exact_names` a name counts only between `<` and
    `>`. Raises RequestError where the question is empty or no text, or a name is that of two; with `strict_names`,
    UnknownConceptError where it has a `<name>` that could be a concept's and is not, or what only looks like the name of one.
    What cannot be a name (`</s>`, `<image>`, `a < b > c`) is plain text.
    """
    text = unicodedata.normalize("NFC", check_text(question, "The question")).strip()
    if not text:
        raise RequestError("The question is empty.", 'Ask something, for example "What is in this photo?"')
    text = marked(text, people, exact=exact_names)
    if strict_names:
        _refuse_unknown(text, people)
        if not exact_names:
            refuse_disguised(text, people)
    return text


def _refuse_unknown(text: str, people: People) -> None:
    for name in BRACKETS.findall(text):
        if name in people or not _could_be(name):
            continue
        if (word := lookalike(name, people)) is not None:
            raise unknown_lookalike(name, word, people[word])
        raise UnknownConceptError(
            f"Nobody here is called <{name}>.",
            f"{hint_of(nearest_words(name, people))}Enrol it with `plvm add {typed(name)} PICTURE`, "
            "or write the word without < >.",
        )


def _could_be(name: str) -> bool:
    """Whether someone may have meant a name by `<name>`: whatever is a word, and several words of letters alone."""
    seen = "".join(c for c in name if not is_invisible(c))
    try:
        word, display = word_and_display(name if name == seen else seen)
    except ConceptNameError:
        return False
    if not display:
        return word == seen
    return seen == display and all(c.isalnum() or is_mark(c) or c in f" .-{APOSTROPHES}" for c in seen)
