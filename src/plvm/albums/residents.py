"""Who is in the store while an import goes on: found by name, or by the references that an import kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plvm.albums.ledger import kept_digest
from plvm.naming.display import resolve

if TYPE_CHECKING:
    from plvm.store import ConceptStore
    from plvm.store.entry import Entry
    from plvm.types import Concept


class Residents:
    """The concepts of `store`. It follows what is done through it."""

    def __init__(self, store: ConceptStore) -> None:
        self._store = store
        entries = store.entries()
        self._entries = {entry.name: replace(entry, references=()) for entry in entries}
        self._kept = {entry.name: kept_digest(entry.references) for entry in entries}

    @property
    def people(self) -> dict[str, str]:
        """{word: display name, or ""}."""
        return {word: entry.display for word, entry in self._entries.items()}

    def named(self, name: str) -> str | None:
        """The word of whoever is called `name`."""
        return resolve(name, self.people)

    def keeping(self, kept: str, name: str) -> str | None:
        """The word of whoever has the references `kept`; of several, the one called `name`."""
        words = [word for word, own in self._kept.items() if own == kept]
        called = self.named(name)
        return called if called in words else next(iter(words), None)

    def kept(self, word: str) -> str:
        """The references of the concept `word`, as one digest."""
        return self._kept[word]

    def entry(self, word: str) -> Entry:
        """What is known of the concept `word`, without its references."""
        return self._entries[word]

    def rename(self, word: str, name: str) -> str:
        """Call `word` `name`; returns its word from now on. Raises DuplicateConceptError, ConceptNameError, StoreError."""
        new = self._store.rename(word, name)
        entry, kept = self._entries.pop(word), self._kept.pop(word)
        self._entries[new] = replace(entry, name=new, display=self._store.people()[new])
        self._kept[new] = kept
        return new

    def forget(self, word: str) -> None:
        """Remove the concept `word`. Raises StoreError."""
        self._store.forget(word)
        del self._entries[word], self._kept[word]

    def add(self, concepts: list[Concept], *, replacing: bool) -> list[Concept]:
        """Keep `concepts`, and return them as they are kept. Raises DuplicateConceptError, StoreError."""
        from plvm.store.entry import Entry

        kept = self._store.add_all(concepts, replace=replacing)
        for concept in kept:
            self._entries[concept.name] = Entry(
                concept.name, concept.display, concept.aligner, concept.notes, concept.created, consent=concept.consent
            )
            self._kept[concept.name] = kept_digest(concept.references)
        return kept
