"""`ConceptStore`: the concepts of one namespace, kept in a database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace as with_fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from plvm.errors import DuplicateConceptError, RequestError, StoreError, UnknownConceptError
from plvm.naming.display import bare
from plvm.store.conflicts import check_aligner, duplicate, joined, missing, set_aside
from plvm.store.database import Database
from plvm.store.entry import Entry, Page
from plvm.store.known import behind
from plvm.store.reader import Found, Reader
from plvm.store.record import texts_of
from plvm.store.roster import checked, placed, refuse_taken, renamed, word_of
from plvm.store.tokens import tokens_to_bytes
from plvm.store.writer import NewRow, remove, rename, write
from plvm.types import Concept

if TYPE_CHECKING:
    from torch import Tensor

    from plvm.store.health import Health
    from plvm.store.salvage import Salvaged

_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,128}")

Names = list[str]  # spelled out here because the class has a method called `list`
Concepts = list[Concept]
Near = list[tuple[str, float]]


class ConceptStore:
    """The concepts of one namespace; nothing of another namespace can be read, changed or noticed through it.

    Every method is one transaction: it happens whole or not at all, also beside other processes. All raise StoreError
    where the database cannot be used. What is read is compared with its seal: a concept that is not what was written is
    never returned; `get` refuses it, `list` leaves it out, says so to `warn` and keeps it in `damaged`. Also a context
    manager.
    """

    def __init__(
        self, database: Database, *, namespace: str = "default", warn: Callable[[str], object] | None = None
    ) -> None:
        if not _NAMESPACE.fullmatch(namespace):
            raise RequestError(
                f"The namespace {namespace[:40]!r} cannot be used.",
                'Use 1 to 128 letters a-z, digits, ".", "-" and "_".',
            )
        self._database = database
        self.namespace = namespace
        self.damaged: tuple[Entry, ...] = ()  # those whom the last `list`, `entries` or `export` met
        self._warn = warn

    @classmethod
    def open(
        cls, path_or_url: str | Path, *, namespace: str = "default", warn: Callable[[str], object] | None = None,
        secret: bytes | None = None,
    ) -> ConceptStore:  # fmt: skip
        """The store in an SQLite file (made if there is none) or at a postgresql:// URL; `warn` is told, in a line each, which
        concepts are damaged; `secret`, 32 bytes, is what it is encrypted with. Raises StoreError for what is no store and for a
        wrong secret, DamagedStoreError for one that has to be repaired."""
        return cls(Database.open(path_or_url, secret=secret), namespace=namespace, warn=warn)

    def close(self) -> None:
        """Let go of the database. May be called twice."""
        self._database.close()

    def __enter__(self) -> ConceptStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, concept: Concept, *, replace: bool = False) -> Concept:
        """Keep `concept` (its time of creation is set if it has none) and return it as it is kept: its word gets "-2", "-3"
        ... where somebody of another display name has it.

        Raises DuplicateConceptError if its name is taken and not `replace`, ConceptNameError, RequestError for tokens
        whose shapes do not fit together."""
        return self.add_all([concept], replace=replace)[0]

    def add_all(self, new: Sequence[Concept], *, replace: bool = False) -> Concepts:
        """Keep many concepts at once, all or none, and return them as they are kept. Much quicker than one by one where
        concepts are replaced.

        Raises DuplicateConceptError if a name is taken and not `replace`, or comes twice; ConceptNameError; RequestError for
        tokens whose shapes do not fit together."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept = [with_fields(checked(c), created=c.created if c.created else now) for c in new]
        try:
            blobs = [tokens_to_bytes(concept.tokens) for concept in kept]
        except ValueError as error:
            raise RequestError(f"A concept cannot be kept: {error}.", "Enrol it again.") from None
        with self._database.transaction(write=True) as connection:
            people = self._reader(connection).people()
            kept = placed(kept, people)
            names = [concept.name for concept in kept]
            twice = [name for name, times in Counter(names).items() if times > 1]
            if twice:
                raise DuplicateConceptError(f"{joined(twice)} came twice.", "Give every concept a name of its own.")
            replaced = set(names) & set(people)
            if replaced and not replace:
                raise duplicate(sorted(replaced))
            remove(connection, self.namespace, replaced)
            write(connection, [self._row(concept, blob) for concept, blob in zip(kept, blobs, strict=True)])
        self._finish(replaced, f"{joined(sorted(replaced))} got new tokens and pictures")
        return kept

    def get(self, name: str, *, aligner: str | None = None) -> Concept:
        """The concept called `name`: its word or its display name. Raises UnknownConceptError; AlignerMismatchError if an
        Aligner made it that is not the one with the fingerprint `aligner`; StoreError if it is damaged."""
        return self.chosen(lambda _: [name], aligner=aligner)[0]

    def chosen(self, choice: Callable[[Mapping[str, str]], Iterable[str] | None], *, aligner: str | None = None) -> Concepts:
        """Those who are called by the names that `choice` gives, in its order, each once; `choice` is given `people`. None: all,
        as `list` has them. All is read at one moment. Raises as `get` and `list` do."""
        with self._database.transaction(write=False) as connection:
            reader = self._reader(connection)
            names = choice(reader.people())
            found = reader.found() if names is None else Found(self._whole(reader, names), [])
        if names is None:
            self._tell(found)
        check_aligner(found.whole, aligner)
        return found.whole

    def names(self) -> Names:
        """The names of all concepts, sorted."""
        return list(self.people())

    def people(self) -> dict[str, str]:
        """{name: display name, or "" where that is the name} of all concepts, sorted by name."""
        with self._database.transaction(write=False) as connection:
            return dict(self._reader(connection).people())

    def entries(self) -> Sequence[Entry]:
        """What is known of all concepts but their tokens, sorted by name; damaged ones are marked. It needs no torch."""
        with self._database.transaction(write=False) as connection:
            reader = self._reader(connection)
            entries, fewer = reader.entries(), reader.missing()
        self._tell(Found([], [entry for entry in entries if entry.damage], fewer))
        return entries

    def entry(self, name: str) -> Entry:
        """What is known of the concept called `name` but its tokens, damaged or not. Raises UnknownConceptError."""
        with self._database.transaction(write=False) as connection:
            reader = self._reader(connection)
            return reader.entries([reader.ids()[self._known(reader, name)]])[0]

    def page(self, count: int = 100, *, after: str | None = None, search: str = "") -> Page:
        """At most `count` concepts, sorted by name, of those behind the name `after` whose name or display name contains
        `search`, whatever its case. Quick also where there are very many."""
        with self._database.transaction(write=False) as connection:
            reader = self._reader(connection)
            roster = reader.roster()
            names = roster.matching(search)
            rest = behind(names, after)
            entries, fewer = reader.entries([reader.ids()[name] for name in rest[:count]]), reader.missing()
        self._tell(Found([], [entry for entry in entries if entry.damage], fewer))
        return Page(entries, len(names), len(rest) > count)

    def nearest(self, key: Tensor, count: int = 10, *, aligner: str) -> Near:
        """(name, cosine) of the `count` concepts whose keys are most like `key`, float32[E], best first, among those that the
        Aligner with the fingerprint `aligner` made. Nothing else of them is read."""
        from plvm.store.nearest import nearest

        with self._database.transaction(write=False) as connection:
            names = self._reader(connection).roster().names
            found = nearest(connection, self.namespace, aligner, key.tolist(), count)
        return [(names[number], likeness) for number, likeness in found if number in names]

    def check_free(self, *names: str) -> None:
        """Raise DuplicateConceptError if any of `names` is taken, ConceptNameError if one cannot be a name or can only by
        its letters be told from a name that is taken."""
        refuse_taken(names, self.people())

    def check_known(self, *names: str) -> Names:
        """The words of those who are called `names`, each once. Raises UnknownConceptError for the first that no concept
        has, ConceptNameError if one cannot be a name."""
        with self._database.transaction(write=False) as connection:
            reader = self._reader(connection)
            return list(dict.fromkeys(self._known(reader, name) for name in names))

    def check_not_empty(self) -> None:
        """Raise RequestError if nobody is enrolled."""
        if not self.names():
            raise RequestError("Nobody is enrolled yet.", "Enrol someone first: `plvm add NAME PICTURE`.")

    def list(self, *, aligner: str | None = None) -> Concepts:
        """All concepts that are whole, sorted by name; the others are in `damaged` then.

        Raises AlignerMismatchError, naming all that another Aligner made than the one with the fingerprint `aligner`
        (None: any may have)."""
        return self.chosen(lambda _: None, aligner=aligner)

    def rename(self, old: str, new: str) -> str:
        """Call the concept `old` `new`; returns its word from now on. Raises UnknownConceptError, DuplicateConceptError,
        ConceptNameError, and StoreError if it is damaged."""
        with self._database.transaction(write=True) as connection:
            reader = self._reader(connection)
            people, known = reader.people(), self._known(reader, old)
            word, display = renamed(known, new, people)
            self._whole(reader, [known])
            if (word, display) == (known, people[known]):
                return word
            rename(connection, self.namespace, known, word, display)
        self._finish([known], f"{joined([known])} is called {joined([word])} now")
        return word

    def forget(self, name: str) -> None:
        """Remove the concept with its references; afterwards their bytes are in no file of the (SQLite) store.

        Raises UnknownConceptError, and StoreError if the old bytes could not be overwritten yet, because another process
        kept the log from being emptied in time or the disk is full."""
        self.forget_all([name])

    def forget_all(self, names: Iterable[str]) -> None:
        """Remove several concepts at once, as `forget` does one: all or none."""
        with self._database.transaction(write=True) as connection:
            reader = self._reader(connection)
            known = list(dict.fromkeys(self._known(reader, name) for name in names))
            remove(connection, self.namespace, known)
        self._finish(known, f"{joined(known)} left the store")

    def stale(self, days: int) -> dict[str, str]:
        """{name: the day it was last added or used, in UTC} of those for whom that is more than `days` days ago, longest ago
        first; `plvm.store.retention` says what counts as use."""
        from plvm.store.retention import stale

        with self._database.transaction(write=False) as connection:
            return stale(connection, self.namespace, days)

    def used(self, names: Collection[str]) -> None:
        """Note that the concepts called by the words `names` were used today, those that are there. A store that cannot be
        written keeps its old notes: nobody's answer depends on them."""
        from plvm.store.retention import note_use, unnoted

        if not names:
            return
        with suppress(StoreError):
            with self._database.transaction(write=False) as connection:
                new = unnoted(connection, self.namespace, names)
            if new:
                with self._database.transaction(write=True) as connection:
                    note_use(connection, unnoted(connection, self.namespace, names))

    def export(self, path: str | Path, names: Iterable[str] | None = None, *, replace: bool = False) -> Names:
        """Write the concepts called `names` (default: all that are whole) to one portable file, and return their names.

        Raises UnknownConceptError, and StoreError if there is nothing to write, one of `names` is damaged, or `path` exists
        and not `replace`."""
        from plvm.store.archive import write_archive

        with self._database.transaction(write=False) as connection:
            reader = self._reader(connection)
            found = reader.found() if names is None else Found(self._whole(reader, names), [])
        self._tell(found)
        if not found.whole:
            raise StoreError("There is no concept to export.", "Add one first: `plvm add NAME PICTURE`.")
        whole = sorted(found.whole, key=lambda concept: concept.name)
        write_archive(Path(path), whole, replace=replace)
        return [concept.name for concept in whole]

    def import_(self, path: str | Path, *, replace: bool = False) -> Names:
        """Add all concepts of an exported file, or none: nothing changes on any failure. Returns their names.

        Raises StoreError for a file that is not a whole export, and for tokens that are not such as their Aligner makes, by
        the file's others and the store's; DuplicateConceptError if names are taken and not `replace`."""
        from plvm.store.archive import read_archive
        from plvm.store.fitting import check_fitting

        new = read_archive(Path(path))
        with self._database.transaction(write=False) as connection:
            check_fitting(new, self._reader(connection).found().whole)
        return [concept.name for concept in self.add_all(new, replace=replace)]

    def same_pictures(self, pictures: Sequence[bytes]) -> Names:
        """The names of all concepts that keep one of `pictures`, bytes that `Concept.references` gave, sorted."""
        with self._database.transaction(write=False) as connection:
            return sorted(self._reader(connection).with_pictures(pictures))

    def rekey(self, secret: bytes | None) -> int:
        """Encrypt the whole store, all namespaces, with `secret` from now on, 32 bytes; None: with nothing. Returns how many
        concepts there are. Raises StoreError, also where a concept is damaged: then nothing changes."""
        from plvm.store.rekey import rekey

        return rekey(self._database, secret)

    def check(self) -> Health:
        """Look at every page, row and picture. Raises StoreError where the store cannot be read for other reasons than
        damage."""
        from plvm.store.health import examine

        return examine(self._database, self.namespace)

    def back_up(self, path: str | Path, *, replace: bool = False) -> Health:
        """Copy the whole (SQLite) store, all namespaces, to the file `path`, as it is at one moment, and check the copy.

        Returns the copy's health. Raises StoreError where it cannot be written, or `path` exists and not `replace`."""
        from plvm.store.backup import back_up

        return back_up(self._database, Path(path), self.namespace, replace=replace)

    @staticmethod
    def salvage(path: str | Path, *, secret: bytes | None = None) -> Salvaged:
        """Make a damaged SQLite file, which nobody has open, a store again, of every concept in it that is whole or can be
        mended; the damaged file is kept beside it; `secret` as for `open`. Raises StoreError where there is nothing to save."""
        from plvm.store.salvage import salvage

        return salvage(path, secret)

    def _finish(self, gone: Collection[str], done: str = "") -> None:
        """After a write: empty the log, and where something is `gone`, leave no byte of it. `done` is what has happened, as a
        sentence, for the message where that fails."""
        if not gone:
            with suppress(StoreError):  # what was written is safe in the log; whoever comes next empties it
                self._database.empty_log()
            return
        try:
            self._database.scrub()
        except StoreError as error:
            raise StoreError(
                f"{done}, but the old bytes are still in the store's files: {error.message}",
                "Close other programs that use it and make room on the disk, then run `plvm list`: opening the store again "
                "finishes the job.",
            ) from error

    def _row(self, concept: Concept, tokens: bytes) -> NewRow:
        return NewRow(texts_of(concept, self.namespace), tokens, concept.references)

    def _reader(self, connection: Connection) -> Reader:
        return Reader(connection, self.namespace)

    def _tell(self, found: Found) -> None:
        """Note what is damaged, and say it to whoever listens."""
        self.damaged = tuple(found.damaged)
        if self._warn is None:
            return
        for entry in found.damaged:
            self._warn(set_aside(entry).line)
        if found.missing:
            self._warn(missing(found.missing).line)

    def _known(self, reader: Reader, name: str) -> str:
        """The word of whoever is called `name`. Raises UnknownConceptError; StoreError where that may be a damaged concept."""
        try:
            return word_of(name, reader.people())
        except UnknownConceptError:
            found = reader.found()
            for entry in found.damaged:
                if entry.name == bare(name):
                    raise set_aside(entry) from None
            if found.missing:
                raise missing(found.missing) from None
            raise

    def _whole(self, reader: Reader, names: Iterable[str]) -> Concepts:
        """The concepts called `names`, in their order, each once. Raises UnknownConceptError; StoreError for the first damaged
        one."""
        known = dict.fromkeys(self._known(reader, name) for name in names)
        ids = reader.ids()
        found = reader.found([ids[name] for name in known])
        if found.damaged:
            raise set_aside(found.damaged[0])
        whole = {concept.name: concept for concept in found.whole}
        return [whole[name] for name in known]
