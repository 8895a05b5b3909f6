"""`ConceptStore`: the concepts of one namespace, kept in a database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace as with_fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from plvm.errors import DuplicateConceptError, RequestError, StoreError
from plvm.store.archive import read_archive, write_archive
from plvm.store.conflicts import check_aligner, duplicate, joined
from plvm.store.database import Database
from plvm.store.entry import Entry, read_entries
from plvm.store.roster import checked, placed, refuse_taken, renamed, word_of
from plvm.store.schema import concepts, damaged, mark_unscrubbed, references
from plvm.store.tokens import tokens_from_bytes, tokens_to_bytes
from plvm.types import Concept

_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,128}")


Names = list[str]  # spelled out here because the class has a method called `list`
Concepts = list[Concept]


class ConceptStore:
    """The concepts of one namespace; nothing of another namespace can be read, changed or noticed through it.

    Every method is one transaction: it happens whole or not at all, also beside other processes. All raise StoreError
    where the database cannot be used. Also a context manager.
    """

    def __init__(self, database: Database, *, namespace: str = "default") -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise RequestError(
                f"The namespace {namespace[:40]!r} cannot be used.",
                'Use 1 to 128 letters a-z, digits, ".", "-" and "_".',
            )
        self._database = database
        self.namespace = namespace

    @classmethod
    def open(cls, path_or_url: str | Path, *, namespace: str = "default") -> ConceptStore:
        """The store in an SQLite file (made if there is none) or at a SQLAlchemy URL. Raises StoreError for what is no store."""
        return cls(Database.open(path_or_url), namespace=namespace)

    def close(self) -> None:
        """Let go of the database. May be called twice."""
        self._database.close()

    def __enter__(self) -> ConceptStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, concept: Concept, *, replace: bool = False) -> Concept:
        """Keep `concept` (its time of creation is set if it has none) and return it as it is kept: its word gets "-2", "-3"
        ... where somebody of another display name has it.

        Raises DuplicateConceptError if its name is taken and not `replace`, ConceptNameError, RequestError for tokens
        whose shapes do not fit together.
        """
        return self.add_all([concept], replace=replace)[0]

    def add_all(self, new: Sequence[Concept], *, replace: bool = False) -> Concepts:
        """Keep many concepts at once, all or none, and return them as they are kept. Much quicker than one by one where
        concepts are replaced.

        Raises DuplicateConceptError if a name is taken and not `replace`, or comes twice; ConceptNameError; RequestError for
        tokens whose shapes do not fit together.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept = [with_fields(checked(c), created=c.created if c.created else now) for c in new]
        try:
            blobs = [tokens_to_bytes(concept.tokens) for concept in kept]
        except ValueError as error:
            raise RequestError(f"A concept cannot be kept: {error}.", "Enrol it again.") from None
        replaced: set[str] = set()
        with self._database.transaction(write=True) as connection:
            people = self._people(connection)
            kept = placed(kept, people)
            names = [concept.name for concept in kept]
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise DuplicateConceptError(f"{joined(twice)} came twice.", "Give every concept a name of its own.")
            taken = set(names) & set(people)
            if taken and not replace:
                raise duplicate(sorted(taken))
            if replace:
                replaced = taken
                self._delete(connection, replaced)
            for concept, blob in zip(kept, blobs, strict=True):
                self._insert(connection, concept, blob)
        self._finish(replaced)
        return kept

    def get(self, name: str, *, aligner: str | None = None) -> Concept:
        """The concept called `name`: its word or its display name. Raises UnknownConceptError; AlignerMismatchError if an
        Aligner made it that is not the one with the fingerprint `aligner`."""
        with self._database.transaction(write=False) as connection:
            found = self._load(connection, [self._known(connection, name)])
        check_aligner(found, aligner)
        return found[0]

    def names(self) -> Names:
        """The names of all concepts, sorted."""
        return list(self.people())

    def people(self) -> dict[str, str]:
        """{name: display name, or "" where that is the name} of all concepts, sorted by name."""
        with self._database.transaction(write=False) as connection:
            return dict(sorted(self._people(connection).items()))

    def entries(self) -> Sequence[Entry]:
        """What is known of all concepts but their tokens and pictures, sorted by name: quick, and it needs no torch."""
        with self._database.transaction(write=False) as connection:
            return read_entries(connection, concepts.c.namespace == self.namespace)

    def check_free(self, *names: str) -> None:
        """Raise DuplicateConceptError if any of `names` is taken, ConceptNameError if one cannot be a name or can only by
        its letters be told from a name that is taken."""
        refuse_taken(names, self.people())

    def check_known(self, *names: str) -> Names:
        """The words of those who are called `names`, each once. Raises UnknownConceptError for the first that no concept
        has, ConceptNameError if one cannot be a name."""
        people = self.people()
        return list(dict.fromkeys(word_of(name, people) for name in names))

    def check_not_empty(self) -> None:
        """Raise RequestError if nobody is enrolled."""
        if not self.names():
            raise RequestError("Nobody is enrolled yet.", "Enrol someone first: `plvm add NAME PICTURE`.")

    def list(self, *, aligner: str | None = None) -> Concepts:
        """All concepts, sorted by name. Raises AlignerMismatchError, naming all that another Aligner made than the one with the
        fingerprint `aligner` (None: any may have)."""
        with self._database.transaction(write=False) as connection:
            found = self._load(connection)
        check_aligner(found, aligner)
        return found

    def rename(self, old: str, new: str) -> str:
        """Call the concept `old` `new`; returns its word from now on. Raises UnknownConceptError, DuplicateConceptError,
        ConceptNameError."""
        with self._database.transaction(write=True) as connection:
            people = self._people(connection)
            known = word_of(old, people)
            word, display = renamed(known, new, people)
            if (word, display) == (known, people[known]):
                return word
            mark_unscrubbed(connection)
            connection.execute(update(concepts).where(self._named([known])).values(name=word, display=display or None))
        self._finish([known])
        return word

    def forget(self, name: str) -> None:
        """Remove the concept with its references; afterwards their bytes are in no file of the (SQLite) store.

        Raises UnknownConceptError, and StoreError if another process kept the log from being emptied in time.
        """
        with self._database.transaction(write=True) as connection:
            known = self._known(connection, name)
            self._delete(connection, [known])
        self._finish([known])

    def export(self, path: str | Path, names: Iterable[str] | None = None, *, replace: bool = False) -> Names:
        """Write the concepts called `names` (default: all) to one portable file, and return their names.

        Raises UnknownConceptError, and StoreError if there is nothing to write or `path` exists and not `replace`.
        """
        with self._database.transaction(write=False) as connection:
            wanted = None if names is None else [self._known(connection, name) for name in names]
            found = self._load(connection, wanted)
        if not found:
            raise StoreError("There is no concept to export.", "Add one first: `plvm add NAME PICTURE`.")
        write_archive(Path(path), found, replace=replace)
        return [concept.name for concept in found]

    def import_(self, path: str | Path, *, replace: bool = False) -> Names:
        """Add all concepts of an exported file, or none: nothing changes on any failure. Returns their names.

        Raises StoreError for a file that is not a whole export; DuplicateConceptError if names are taken and not
        `replace`.
        """
        return [concept.name for concept in self.add_all(read_archive(Path(path)), replace=replace)]

    def same_pictures(self, pictures: Sequence[bytes]) -> Names:
        """The names of all concepts that keep one of `pictures`, bytes that `Concept.references` gave, sorted."""
        found: set[str] = set()
        with self._database.transaction(write=False) as connection:
            for picture in pictures:
                same = (func.length(references.c.picture) == len(picture)) & (references.c.picture == picture)
                own = (concepts.c.namespace == self.namespace) & same
                found |= set(connection.execute(select(concepts.c.name).join(references).where(own)).scalars())
        return sorted(found)

    def _insert(self, connection: Connection, concept: Concept, tokens: bytes) -> None:
        fields = {key: getattr(concept, key) for key in ("name", "aligner", "notes", "created", "display")}
        try:
            row = connection.execute(insert(concepts).values(namespace=self.namespace, tokens=tokens, **fields))
        except IntegrityError:  # another writer came between; cannot happen in SQLite, where writers wait in line
            raise duplicate([concept.name]) from None
        (concept_id,) = row.inserted_primary_key or (None,)
        for position, picture in enumerate(concept.references):
            values = {"concept_id": concept_id, "position": position, "picture": picture}
            connection.execute(insert(references).values(values))

    def _delete(self, connection: Connection, names: Collection[str]) -> None:
        if not names:
            return
        mark_unscrubbed(connection)
        owned = select(concepts.c.id).where(self._named(names))
        connection.execute(delete(references).where(references.c.concept_id.in_(owned)))
        connection.execute(delete(concepts).where(self._named(names)))

    def _finish(self, gone: Collection[str]) -> None:
        """After a write: empty the log, and where something is `gone`, leave no byte of it."""
        if not gone:
            self._database.empty_log()  # if it fails: the log holds nothing that should not be there
            return
        try:
            self._database.scrub()
        except StoreError as error:
            raise StoreError(
                f"{joined(gone)} left the store, but the old bytes are still in its files: {error.message}",
                "Close other programs that use it, then run `plvm list`: opening the store again finishes the job.",
            ) from error

    def _named(self, names: Collection[str]) -> Any:
        return (concepts.c.namespace == self.namespace) & concepts.c.name.in_(names)

    def _people(self, connection: Connection) -> dict[str, str]:
        own = concepts.c.namespace == self.namespace
        rows = connection.execute(select(concepts.c.name, concepts.c.display).where(own))
        return {row.name: row.display or "" for row in rows}

    def _known(self, connection: Connection, name: str) -> str:
        """The word of whoever is called `name`. Raises UnknownConceptError."""
        return word_of(name, self._people(connection))

    def _load(self, connection: Connection, names: Collection[str] | None = None) -> Concepts:
        """The concepts called `names`, or all, sorted by name."""
        chosen = concepts.c.namespace == self.namespace if names is None else self._named(names)
        rows = connection.execute(select(concepts).where(chosen)).all()
        pictures: dict[int, list[bytes]] = {row.id: [] for row in rows}
        found = select(references).join(concepts).where(chosen).order_by(references.c.concept_id, references.c.position)
        for row in connection.execute(found):
            pictures[row.concept_id].append(row.picture)
        return sorted((self._concept(row, pictures[row.id]) for row in rows), key=lambda concept: concept.name)

    def _concept(self, row: Row[Any], pictures: Sequence[bytes]) -> Concept:
        try:
            tokens = tokens_from_bytes(row.tokens)
        except (ValueError, TypeError) as error:
            raise damaged(self._database.label, f"of <{row.name}>, {error}") from None
        return Concept(row.name, tokens, row.aligner, tuple(pictures), row.notes, row.created, row.display or "")
