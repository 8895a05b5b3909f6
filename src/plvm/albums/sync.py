"""Bringing the people of an album into a store, and following what the app does with them.

Who has the same name in the app is one person, from all their pictures. Nothing is done twice: whose mark and name are those of
the last import is not even looked at. A concept that somebody else made, or changed, renamed or forgot here, is left alone.
Every batch is kept and written down before the next begins, so an import that is broken off goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING

from plvm.albums.album import Album, MissingPicture, Sitter, everybody
from plvm.albums.ledger import Ledger, Record, kept_digest, picture_digest
from plvm.albums.residents import Residents
from plvm.errors import ConceptNameError, ImageError, PlvmError, RequestError
from plvm.images import REFERENCE_SIDE, KeptImages, open_image
from plvm.naming.display import key, word_and_display
from plvm.naming.lookalikes import refuse_lookalike

if TYPE_CHECKING:
    from PIL import Image

    from plvm.personal import Personal
    from plvm.store import ConceptStore

BATCH = 16  # people enrolled and kept at a time
PICTURES = 8  # of one person
NEW, CHANGED, RENAMED, SAME = "new", "changed", "renamed", "same"
MERGED, GONE, FORGOTTEN, YOURS, LEFT_OUT = "merged", "gone", "forgotten here", "yours", "left out"


@dataclass(eq=False)
class Person:
    """Somebody in an import: the name in the app, who that is there, `what` becomes of them and why, their `word` in the store.

    `bad` says of every picture that could not be had why; `unlike` the training are the pictures at most, where that is
    known; `before` is the name in the store of who is renamed, `merged` the words of concepts that are theirs too."""

    name: str
    sitters: list[Sitter] = field(default_factory=list)
    what: str = ""
    reason: str = ""
    word: str = ""
    before: str = ""
    unlike: float | None = None
    merged: list[str] = field(default_factory=list)
    heirs: dict[str, Record] = field(default_factory=dict)  # records of those gone from the app who are this person
    bad: list[str] = field(default_factory=list)
    pictures: list[Image.Image] = field(default_factory=list)
    digests: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of the pictures, by the sitter's id

    @property
    def mistaken(self) -> bool:
        """Whether nothing could be done for them."""
        return self.what == LEFT_OUT


class Sync:
    """An import of `album` into `store`. With `replace` it also takes the place of what somebody else made or forgot; with
    `prune` who is gone from the app is forgotten. With `load`, which gives the model when it is needed, it is done; without,
    only decided.

    Raises RequestError where the album cannot be asked, and where it lists nobody although it once did.
    """

    def __init__(
        self, album: Album, store: ConceptStore, ledger: Ledger, load: Callable[[], Personal] | None = None,
        *, replace: bool = False, prune: bool = False,
    ) -> None:  # fmt: skip
        self.album, self.store, self.ledger = album, store, ledger
        self.replace, self.prune = replace, prune
        self._load = load
        self._records = ledger.records(store.namespace, album.label)
        self._residents = Residents(store)
        people = [with_fields(sitter, id=ledger.digest(sitter.id)) for sitter in everybody(album)]
        if not people and self._records:
            raise RequestError(
                f"{album.label} lists nobody any more; {len(self._records)} were there before.",
                "Nothing was changed. Look whether the key may see them, and whether they still have names there.",
            )
        self.people = _persons(people)
        here = {sitter.id for sitter in people}
        self._gone = {person: record for person, record in self._records.items() if person not in here}

    def run(self, report: Callable[[int, int], None] | None = None) -> Iterator[Person]:
        """Do it; gives everyone as they are dealt with. `report` is told (people done, people in all)."""
        known = [p for p in self.people if any(s.id in self._records for s in p.sitters)]
        new = [p for p in self.people if not any(s.id in self._records for s in p.sitters)]
        waiting: list[Person] = []
        late: list[Person] = []
        for done, person in enumerate((*known, *new)):
            try:
                self._decide(person)
            except PlvmError:
                yield from self._enrol(waiting)  # what was fetched before the app went silent is not fetched again
                raise
            if not self._settle(person):
                late.append(person)  # somebody who will be called otherwise has the name still
            else:
                waiting.append(person)
            if len(waiting) == BATCH:
                yield from self._enrol(waiting)
                waiting = []
            if report is not None:
                report(done + 1, len(self.people))
        yield from self._enrol(waiting)
        for person in late:
            if not self._settle(person):
                person.what, person.reason = LEFT_OUT, f"{person.name} is the name of somebody else here."
        yield from self._enrol(late)
        yield from self._leave()

    # ---- deciding

    def _decide(self, person: Person) -> None:
        """Find out what becomes of somebody, without doing it."""
        try:
            word_and_display(person.name)
        except ConceptNameError as error:
            person.what, person.reason = LEFT_OUT, error.line
            return
        if self._unchanged(person):
            person.what = SAME
            return
        self._fetch(person)
        person.heirs = self._heritage(person)
        for gone in person.heirs:
            self._gone.pop(gone)
        owners, seen = self._owners(person)
        if seen and not owners and not self.replace:
            person.what, person.reason = FORGOTTEN, "They were forgotten or enrolled anew here; --replace takes the app's."
        elif not person.pictures:
            person.what, person.reason = LEFT_OUT, " ".join(person.bad) or "The app has no picture."
        elif owners:
            self._compare(person, owners)
        else:
            self._meet(person)

    def _unchanged(self, person: Person) -> bool:
        """Whether all is as the last import left it; then `person.word` is known."""
        records = [self._records.get(sitter.id) for sitter in person.sitters]
        name = self.ledger.digest(person.name)
        for sitter, record in zip(person.sitters, records, strict=True):
            if record is None or not sitter.mark or (record.mark, record.name) != (sitter.mark, name):
                return False
        kept = {record.kept for record in records if record is not None}
        sharing = {person for person, record in self._records.items() if record.kept in kept}
        word = self._residents.keeping(next(iter(kept)), person.name) if len(kept) == 1 else None
        if word is None or sharing != {sitter.id for sitter in person.sitters}:
            return False
        person.word = word
        return True

    def _fetch(self, person: Person) -> None:
        for sitter in person.sitters:
            found = []
            for place in sitter.pictures:
                if len(person.pictures) == PICTURES:
                    break
                try:
                    data = self.album.picture(place)
                    picture = open_image(data)
                except (MissingPicture, ImageError) as error:
                    person.bad.append(error.line)
                    continue
                picture.thumbnail((REFERENCE_SIDE, REFERENCE_SIDE))
                person.pictures.append(picture)
                found.append(picture_digest(data))
            person.digests[sitter.id] = tuple(found)

    def _owners(self, person: Person) -> tuple[list[str], bool]:
        """(the words of all concepts that earlier imports made of somebody, whether there were any imports of them)."""
        records = [self._records[sitter.id] for sitter in person.sitters if sitter.id in self._records]
        records += person.heirs.values()
        words = [self._residents.keeping(record.kept, person.name) for record in records]
        return list(dict.fromkeys(word for word in words if word is not None)), bool(records)

    def _heritage(self, person: Person) -> dict[str, Record]:
        """The records of those gone from the app who are this person now: by the name, or by all their pictures."""
        name = self.ledger.digest(person.name)
        own = {digest for digests in person.digests.values() for digest in digests}
        known = any(sitter.id in self._records for sitter in person.sitters)
        return {
            gone: record
            for gone, record in self._gone.items()
            if record.name == name or (not known and record.pictures and set(record.pictures) == own)
        }

    def _compare(self, person: Person, owners: Sequence[str]) -> None:
        """Somebody whom earlier imports made one or more concepts of."""
        person.word, person.merged = owners[0], list(owners[1:])
        kept = self._residents.kept(person.word)
        before = {d for record in self._records.values() if record.kept == kept for d in record.pictures}
        now = {digest for digests in person.digests.values() for digest in digests}
        names = [r.name for i, r in self._records.items() if r.kept == kept and i in {s.id for s in person.sitters}]
        names += [r.name for r in person.heirs.values() if r.kept == kept]
        if self.ledger.digest(person.name) not in names:
            entry = self._residents.entry(person.word)
            person.before = entry.display or entry.name
        fewer = bool(person.bad) and now < before  # what cannot be had today is no reason to have less
        person.what = CHANGED if before != now and not fewer else RENAMED if person.before else SAME

    def _meet(self, person: Person) -> None:
        """Somebody whom no import has brought."""
        word = self._residents.named(person.name)
        if word is not None and self._residents.kept(word) == kept_digest(KeptImages(person.pictures)):
            person.what, person.word = SAME, word  # an import was broken off before it was written down
        elif word is not None and not self.replace:
            person.what, person.word = YOURS, word
            person.reason = "Somebody of that name is here already; --replace takes the app's pictures."
        else:
            person.what, person.word = NEW, word or ""
            try:
                refuse_lookalike(person.name, self._residents.people)
            except PlvmError as error:
                person.what, person.reason = LEFT_OUT, error.line

    # ---- doing

    def _settle(self, person: Person) -> bool:
        """Do for somebody all but enrolling; False where another concept has the new name."""
        if self._load is None or person.what not in (SAME, RENAMED, CHANGED):
            return True
        if person.before:
            holder = self._residents.named(person.name)
            if holder is not None and holder not in (person.word, *person.merged):
                return False
        for word in person.merged:
            self._residents.forget(word)
        if person.before:
            try:
                person.word = self._residents.rename(person.word, person.name)
            except ConceptNameError as error:
                person.what, person.reason = LEFT_OUT, error.line
                return True
        if person.what in (SAME, RENAMED) and person.digests and not person.bad:
            self._note(person, self._residents.kept(person.word))
        return True

    def _enrol(self, people: Sequence[Person]) -> Iterator[Person]:
        """Of `people`, enrol those who are new or changed, keep them and write them down."""
        if self._load is not None:
            for what in (CHANGED, NEW):
                group = [person for person in people if person.what == what]
                if group:
                    self._keep(self._load(), group, replacing=what == CHANGED or self.replace)
            self._write()
        for person in people:
            person.pictures.clear()
            yield person

    def _keep(self, vlm: Personal, group: Sequence[Person], *, replacing: bool) -> None:
        try:
            made = vlm.enroll_many({self._name_here(person): person.pictures for person in group})
        except ImageError:
            group = [person for person in group if _usable(vlm, person)]
            made = vlm.enroll_many({self._name_here(person): person.pictures for person in group})
        for i, person in enumerate(group):
            person.unlike = max(made[i].unlike, default=None)
            if person.word:
                entry = self._residents.entry(person.word)
                made[i] = with_fields(made[i], notes=entry.notes, created=entry.created, consent=entry.consent)
        kept = self._residents.add(made, replacing=replacing)
        for person, concept in zip(group, kept, strict=True):
            person.word = concept.name
            self._note(person, self._residents.kept(concept.name))

    def _name_here(self, person: Person) -> str:
        if not person.word:
            return person.name
        entry = self._residents.entry(person.word)
        return entry.display or entry.name

    def _note(self, person: Person, kept: str) -> None:
        for gone in person.heirs:
            self._records.pop(gone, None)
        name = self.ledger.digest(person.name)
        for sitter in person.sitters:
            mark = "" if person.bad else sitter.mark  # a picture that could not be had is asked for again
            self._records[sitter.id] = Record(name, mark, person.digests.get(sitter.id, ()), kept)

    def _leave(self) -> Iterator[Person]:
        """Those whom the app has no longer, or not by that id."""
        there = {digest for i, r in self._records.items() if i not in self._gone for digest in r.pictures}
        still = {record.kept for i, record in self._records.items() if i not in self._gone}
        for gone, record in list(self._gone.items()):
            word = self._residents.keeping(record.kept, "")
            if word is None or record.kept in still:
                self._forget_record(gone)
                continue
            entry = self._residents.entry(word)
            merged = bool(there & set(record.pictures))
            person = Person(entry.display or word, what=MERGED if merged else GONE, word=word)
            person.reason = "The pictures are somebody else's there now." if merged else "The app has no such person any more."
            if merged or self.prune:
                if self._load is not None:
                    self._residents.forget(word)
                self._forget_record(gone)
            else:
                person.reason += " --prune forgets them here too."
            yield person

    def _forget_record(self, gone: str) -> None:
        self._gone.pop(gone, None)
        if self._load is not None:
            self._records.pop(gone, None)
            self._write()

    def _write(self) -> None:
        self.ledger.keep(self.store.namespace, self.album.label, self._records)


def _persons(sitters: Sequence[Sitter]) -> list[Person]:
    """Those of one name together, in the album's order."""
    found: dict[str, Person] = {}
    for sitter in sitters:
        name = " ".join(sitter.name.split())
        found.setdefault(key(name), Person(name)).sitters.append(sitter)
    return list(found.values())


def _usable(vlm: Personal, person: Person) -> bool:
    """Whether somebody has a picture that can be a reference; those that cannot go."""
    why = vlm.unusable(person.pictures)
    person.bad += [error.line for error in why if error is not None]
    person.pictures = [picture for picture, error in zip(person.pictures, why, strict=True) if error is None]
    if not person.pictures:
        person.what, person.reason = LEFT_OUT, person.bad[-1]
    return bool(person.pictures)
