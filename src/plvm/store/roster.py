"""Who is called what in a store: {word: display name, or ""}, and what that means for who comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace as with_fields

from plvm.naming.display import People, check_display, key, resolve, unused, word_and_display, words_for
from plvm.naming.lookalikes import refuse_lookalike
from plvm.store.conflicts import duplicate, unknown
from plvm.store.record import BETWEEN
from plvm.types import Concept, check_name, check_text


def checked(concept: Concept) -> Concept:
    """The concept with word and display name in their usual form. Raises ConceptNameError, and RequestError for what is no
    text."""
    check_text(concept.notes + concept.consent + concept.aligner + concept.created, f"What is noted of <{concept.name}>")
    notes, consent = (text.replace(BETWEEN, " ") for text in (concept.notes, concept.consent))
    concept = with_fields(concept, notes=notes, consent=consent)
    if concept.display:
        name, display = check_name(concept.name), check_display(concept.display)
        return with_fields(concept, name=name, display="" if display == name else display)
    word, display = word_and_display(concept.name)
    return with_fields(concept, name=word, display=display)


def placed(new: Sequence[Concept], people: People) -> list[Concept]:
    """The `new` concepts with the words that they get among `people`; whoever comes by a known word keeps its display name."""
    words = words_for([(concept.name, concept.display) for concept in new], people)
    return [
        with_fields(concept, name=word, display=concept.display or people.get(word, ""))
        for concept, word in zip(new, words, strict=True)
    ]


def word_of(name: str, people: People) -> str:
    """The word of whoever is called `name`. Raises UnknownConceptError; ConceptNameError if nobody can be."""
    word = resolve(name, people)
    if word is None:
        word_and_display(name)
        raise unknown(name, people)
    return word


def refuse_taken(names: Iterable[str], people: People) -> None:
    """Raise DuplicateConceptError if one of `people` has any of the new `names`, ConceptNameError if one cannot be a name or
    looks like another's."""
    called = {name: word_and_display(name) for name in names}
    known = {name: resolve(display or word, people) for name, (word, display) in called.items()}
    taken = sorted({word for word in known.values() if word is not None})
    if taken:
        raise duplicate(taken)
    for word, display in called.values():
        refuse_lookalike(display or word, people)


def renamed(old: str, new: str, people: People) -> tuple[str, str]:
    """(word, display name) of whoever is called by the word `old` and shall be called `new`. Raises DuplicateConceptError,
    ConceptNameError."""
    others = {word: display for word, display in people.items() if word != old}
    refuse_taken([new], others)
    word, display = word_and_display(new)
    if not display:
        return word, ""
    return (old if display and key(people[old]) == key(display) else unused(word, {*others, "image"})), display
