"""`plvm add --from-immich, --from-photoprism, --from-frigate`: enrol the people whom an app knows, and follow what it does."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from typer import Exit, Option

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json, progress, say, table
from plvm.cli.unlike import rounded, warn
from plvm.errors import RequestError
from plvm.runtime import home_folder

if TYPE_CHECKING:
    from plvm.albums.album import Album
    from plvm.albums.sync import Person
    from plvm.personal import Personal

KEYS = {"Immich": "PLVM_IMMICH_KEY", "PhotoPrism": "PLVM_PHOTOPRISM_KEY"}  # environment variables


@dataclass(frozen=True)
class AlbumOptions:
    """Which app, and how it is asked."""

    from_immich: Annotated[
        str | None, Option("--from-immich", metavar="URL", help="Enrol the people of an Immich server.")
    ] = None
    from_photoprism: Annotated[
        str | None, Option("--from-photoprism", metavar="URL", help="Enrol the people of a PhotoPrism server.")
    ] = None
    from_frigate: Annotated[
        Path | None,
        Option("--from-frigate", metavar="FOLDER", help="Enrol the faces in Frigate's media folder."),
    ] = None
    key: Annotated[
        str | None,
        Option("--key", metavar="KEY", help="The app's key; also PLVM_IMMICH_KEY, PLVM_PHOTOPRISM_KEY.", show_default=False),
    ] = None
    key_file: Annotated[
        Path | None, Option("--key-file", metavar="FILE", help="A file with nothing but the key.", show_default=False)
    ] = None
    user: Annotated[
        str, Option("--user", metavar="NAME", help="A PhotoPrism user; the key is the password then.", show_default=False)
    ] = ""
    dry_run: Annotated[bool, Option("--dry-run", help="List what would be done, and do nothing.")] = False
    prune: Annotated[bool, Option("--prune", help="Forget those whom the app has no longer.")] = False

    @property
    def named(self) -> int:
        """How many apps are named."""
        return sum(app is not None for app in (self.from_immich, self.from_photoprism, self.from_frigate))

    def check(self) -> None:
        """Raise RequestError for an option that belongs to an app that is not named."""
        web = self.from_immich is not None or self.from_photoprism is not None
        given = {"--key": self.key is not None, "--key-file": self.key_file is not None}
        if not web and any(given.values()):
            raise RequestError(
                f"{next(o for o, is_given in given.items() if is_given)} belongs to --from-immich or --from-photoprism.",
                "Name one of them, or leave it out.",
            )
        if self.user and self.from_photoprism is None:
            raise RequestError("--user belongs to --from-photoprism.", "Immich takes a key alone.")
        if not self.named and (self.dry_run or self.prune):
            raise RequestError(
                f"{'--dry-run' if self.dry_run else '--prune'} belongs to an import from an app.",
                "Name one with --from-immich, --from-photoprism or --from-frigate.",
            )

    def open(self) -> Album:
        """The app that is named. Raises RequestError."""
        from plvm.albums.frigate import Frigate
        from plvm.albums.immich import Immich
        from plvm.albums.photoprism import PhotoPrism
        from plvm.albums.web import Host

        if self.from_frigate is not None:
            return Frigate(self.from_frigate)
        if self.from_immich is not None:
            host = Host("Immich", self.from_immich, allowed="It needs the permission person.read.")
            key = self._key("Immich")
            if not key:
                raise RequestError(
                    "Immich needs a key.",
                    "Make one under Account Settings > API Keys, and give it with --key-file FILE or PLVM_IMMICH_KEY.",
                )
            return Immich(host, key)
        host = Host("PhotoPrism", str(self.from_photoprism), allowed="It has to be allowed to see people.")
        return PhotoPrism(host, self._key("PhotoPrism"), self.user)

    def _key(self, app: str) -> str:
        if self.key is not None and self.key_file is not None:
            raise RequestError("--key and --key-file were both given.", "Give one of them.")
        if self.key_file is None:
            return self.key if self.key is not None else os.environ.get(KEYS[app], "")
        try:
            with open(self.key_file, encoding="utf-8") as file:
                return file.read(10_000).strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise RequestError(f"{self.key_file} cannot be read: {why}.", "Name a file that holds the key.") from None


def add_from(
    options: AlbumOptions, store: o.StoreOptions, model: o.ModelOptions, *, replace: bool, json: bool
) -> None:
    """Bring the people of the app that is named into the store."""
    from plvm.albums.ledger import Ledger
    from plvm.albums.sync import Sync

    loaded: list[Personal] = []

    def load() -> Personal:
        if not loaded:
            loaded.append(model.load())
        return loaded[0]

    album = options.open()
    people: list[Person] = []
    try:
        with store.open() as opened:
            ledger = Ledger.open(_ledger_file(store))
            sync = Sync(album, opened, ledger, None if options.dry_run else load, replace=replace, prune=options.prune)
            with progress() as advance:
                for person in sync.run(lambda done, total: advance("people", done, total)):
                    people.append(person)
    finally:
        album.close()
    if loaded:
        warn(loaded[0], {person.name: person.unlike for person in people})
    if json:
        out_json({"album": album.label, "dry_run": options.dry_run, "people": [_facts(person) for person in people]})
    else:
        _tell(album.label, people, dry=options.dry_run)
    if people and all(person.mistaken for person in people):
        raise Exit(2)


def _ledger_file(store: o.StoreOptions) -> Path:
    """Where imports into this store are written down: beside its file, or for a database elsewhere in the data folder."""
    place = store.place()
    if isinstance(place, Path):
        return place.with_name(place.stem + ".imports.json")
    parts = urlsplit(place)
    name = hashlib.sha256(f"{parts.hostname}:{parts.port}{parts.path}".encode()).hexdigest()[:16]
    return home_folder(os.environ).value / f"{name}.imports.json"


def _facts(person: Person) -> dict[str, object]:
    return {
        "name": person.name, "word": person.word, "result": person.what, "reason": person.reason,
        "renamed_from": person.before, "merged": person.merged, "left_out": person.bad,
        "pictures": sum(map(len, person.digests.values())), "unlike": rounded(person.unlike),
    }  # fmt: skip


def _tell(label: str, people: Sequence[Person], *, dry: bool) -> None:
    for person in people:
        for why in (*person.bad, person.reason) if person.reason not in person.bad else person.bad:
            if why:
                say(f"{person.name}: {why}")
    rows = []
    for person in people:
        if person.what != "same" or person.merged:
            result = person.what + (f", was {person.before}" if person.before else "")
            rows.append((person.name, sum(map(len, person.digests.values())), result))
    if rows:
        out(table(rows, ("NAME", "PICTURES", "WOULD BE" if dry else "RESULT")))
    if not people:
        out(f"{label} has nobody with a name.")
    else:
        numbers = Counter(person.what for person in people)
        parts = ", ".join(f"{number:,} {what}" for what, number in numbers.items())
        out(f"{label}: {count(len(people), 'person', 'people')} ({parts}).{' Nothing was done.' if dry else ''}")
