"""Immich: the people of a photo server, by its HTTP API.

As its OpenAPI document has it (https://api.immich.app, "People"): every request carries the header `x-api-key`. `GET
/api/people?page&size&withHidden` gives `people`, each with `id`, `name`, `isHidden`, `thumbnailPath` and (since 1.107)
`updatedAt`, and (since 1.110) `hasNextPage`; pages count from 1 and hold at most 1,000. `GET /api/people/{id}/thumbnail` is the
face that Immich shows. A key needs the permission `person.read`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from plvm.albums.album import MOST, Sitter
from plvm.albums.web import Host, header
from plvm.errors import RequestError

PAGE = 500


class Immich:
    """An Immich server behind a `host` at its address, with or without /api. Raises RequestError for what is no key."""

    def __init__(self, host: Host, key: str) -> None:
        self.label = f"Immich {host.url.removesuffix('/api')}"
        self._host, self._base = host, "" if host.url.endswith("/api") else "/api"
        host.headers["x-api-key"] = header(key, "The key")
        host.secrets.add(key)

    def people(self) -> Iterator[Sitter]:
        """Everybody who has a name and is not hidden."""
        for page in range(1, MOST // PAGE + 2):
            said, _ = self._host.json(f"{self._base}/people", page=page, size=PAGE, withHidden="false")
            try:
                found = [_sitter(person) for person in said["people"] if _counts(person)]
                more = said.get("hasNextPage", False) and bool(said["people"])
            except (LookupError, TypeError, AttributeError):
                raise RequestError(f"{self.label} gave no list of people.", "Is it an Immich of 1.107 or newer?") from None
            yield from found
            if not more:
                return

    def picture(self, place: str) -> bytes:
        """The face that Immich shows of the person with the id `place`."""
        return self._host.picture(f"{self._base}/people/{quote(place, safe='')}/thumbnail")

    def close(self) -> None:
        """Let go of the connections."""
        self._host.close()


def _counts(person: Any) -> bool:
    return bool(person["name"].strip()) and not person.get("isHidden", False)


def _sitter(person: Any) -> Sitter:
    changed = person.get("updatedAt") or person.get("thumbnailPath") or ""
    return Sitter(str(person["id"]), person["name"], (str(person["id"]),), str(changed))
