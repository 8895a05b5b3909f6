"""What an app has to say about its people: an id that stays, a name that may change, pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from plvm.errors import RequestError

MOST = 100_000  # people of an app, so that a list without end has one


@dataclass(frozen=True)
class Sitter:
    """Somebody whom an app knows. `id` is the app's and stays when the name changes; `pictures` are what `Album.picture` takes,
    best first; `mark` is another one whenever the pictures may be others."""

    id: str
    name: str
    pictures: tuple[str, ...]
    mark: str


class Album(Protocol):
    """An app. `label` says which one, the same every time, and holds no key."""

    label: str

    def people(self) -> Iterator[Sitter]:
        """Everybody who has a name there and is not hidden. Raises RequestError where it cannot be asked."""
        ...

    def picture(self, place: str) -> bytes:
        """The bytes of one picture of a Sitter, as the app gave them, to be trusted by nobody. Raises MissingPicture where this
        one cannot be had, RequestError where none can."""
        ...

    def close(self) -> None:
        """Let go of the app. May be called twice."""
        ...


class MissingPicture(RequestError):
    """One picture cannot be had; others may."""


def everybody(album: Album) -> list[Sitter]:
    """All people of `album`, each id once. Raises RequestError for more than 100,000."""
    found: dict[str, Sitter] = {}
    for sitter in album.people():
        found.setdefault(sitter.id, sitter)
        if len(found) > MOST:
            raise RequestError(f"{album.label} lists more than {MOST:,} people.", "Is that the right address?")
    return list(found.values())
