"""PhotoPrism: the people of a photo server, by its HTTP API.

As its developer guide (https://docs.photoprism.app/developer-guide/api/) and its request forms have it: an app password or
access token goes into `Authorization: Bearer`; `POST /api/v1/session` makes one (`access_token`, once `id`) of `username` and
`password`. `GET /api/v1/subjects?type=person&count&offset` gives a list, each with `UID`, `Name`, `Hidden` and `Thumb`, and in
the header `X-Preview-Token` what pictures need. `GET /api/v1/t/{Thumb}/{token}/tile_320` is the face that PhotoPrism shows: a
`Thumb` names a photograph and the part of it, so another face is another `Thumb`. A server in public mode needs no password;
its token is "public".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from plvm.albums.album import MOST, Sitter
from plvm.albums.web import Host, header
from plvm.errors import RequestError

PAGE = 500
SIZE = "tile_320"


class PhotoPrism:
    """A PhotoPrism server behind a `host`. `key` is an app password or access token, or with `user` that user's password; without
    both the server has to be in public mode. Raises RequestError for what is no key."""

    def __init__(self, host: Host, key: str = "", user: str = "") -> None:
        self.label = f"PhotoPrism {host.url}"
        self._host, self._token, self._session = host, "public", False
        if user:
            self._log_in(user, key)
        elif key:
            self._carry(header(key, "The key"))

    def people(self) -> Iterator[Sitter]:
        """Everybody who has a name and a face and is not hidden."""
        offset = 0
        while offset <= MOST:
            said, headers = self._host.json("/api/v1/subjects", type="person", order="name", count=PAGE, offset=offset)
            self._see(headers.get("x-preview-token"))
            try:
                found = [_sitter(person) for person in said if _counts(person)]
                offset += len(said)
            except (LookupError, TypeError, AttributeError):
                raise RequestError(f"{self.label} gave no list of people.", "Is that the address of PhotoPrism?") from None
            yield from found
            if not said:  # a page may be shorter than was asked for, and not be the last
                return

    def picture(self, place: str) -> bytes:
        """The face whose `Thumb` is `place`."""
        return self._host.picture(f"/api/v1/t/{quote(place, safe='')}/{quote(self._token, safe='')}/{SIZE}")

    def close(self) -> None:
        """End the session that was begun with a password, and let go of the connections."""
        if self._session:
            self._session = False
            self._host.delete("/api/v1/session")
        self._host.close()

    def _log_in(self, user: str, password: str) -> None:
        if not password:
            raise RequestError(f"There is no password for {user[:60]!r}.", "Give it with --key-file FILE.")
        self._host.secrets.add(password)
        said, _ = self._host.json("/api/v1/session", send={"username": user, "password": password})
        try:
            token = said.get("access_token") or said["id"]
            self._see(said.get("config", {}).get("previewToken"))
        except (LookupError, TypeError, AttributeError):
            raise RequestError(f"{self.label} gave no session.", "Is that the address of PhotoPrism?") from None
        self._carry(header(str(token), "What PhotoPrism gave as a token"))
        self._session = True

    def _carry(self, token: str) -> None:
        self._host.headers["Authorization"] = f"Bearer {token}"
        self._host.secrets.add(token)

    def _see(self, token: str | None) -> None:
        if token:
            self._token = token
            self._host.secrets |= {token} - {"public"}


def _counts(person: Any) -> bool:
    named = bool(person["Name"].strip()) and not person.get("Hidden", False)
    return named and person.get("Type", "person") == "person"


def _sitter(person: Any) -> Sitter:
    thumb = str(person.get("Thumb") or "")
    return Sitter(str(person["UID"]), person["Name"], (thumb,) if thumb else (), thumb)

