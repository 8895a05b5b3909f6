"""What is looked at before any request is read: how large it is, and where it comes from.

Without keys whoever can send to 127.0.0.1 may ask, which is whoever is at this machine: then a request whose Host is no name of
it (DNS rebinding) is refused. With keys or without, a page of another site in somebody's browser may not ask: browsers say whose
page it is in Origin and Sec-Fetch-Site, and programs send neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from plvm.errors import PlvmError
from plvm.server.errors_schema import response_of
from plvm.server.headers import is_page
from plvm.server.refusals import Refusal, refusal_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    return host in LOOPBACK


class Guard:
    """ASGI middleware: bodies of at most `most` bytes; from browsers only what pages of this server or of `origins` send; while
    `open_to_all()`, only what is sent to a name of this machine."""

    def __init__(self, app: Any, most: int, open_to_all: Callable[[], bool], origins: Collection[str] = ()) -> None:
        self.app, self.most, self.open_to_all, self.origins = app, most, open_to_all, origins

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            refusal = self._refusal(headers, scope["path"])
        except PlvmError as error:  # the file of keys cannot be read
            refusal = refusal_of(error)
        if refusal is not None:
            await response_of(refusal)(scope, receive, send)
            return
        got = 0

        async def counted() -> Any:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self.most:
                raise TooLarge(self._too_large())
            return message

        await self.app(scope, counted, send)

    def _refusal(self, headers: dict[str, str], path: str) -> Refusal | None:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.most:
            return self._too_large()
        if not is_page(path) and not self._is_own(headers):
            return Refusal(
                403, "wrong_origin", "A page of another site may not use this server.",
                "Name the site: `plvm serve --allow-origin ORIGIN`.",
            )  # fmt: skip
        if self.open_to_all() and _host_in("//" + headers.get("host", "")) not in LOOPBACK:
            return Refusal(
                403, "wrong_host", "The Host of this request is no name of this machine.",
                "Call http://127.0.0.1, or make a key with `plvm keys new NAMESPACE`.",
            )  # fmt: skip
        return None

    def _is_own(self, headers: dict[str, str]) -> bool:
        """Whether a request is no browser's, or comes from a page of this server or of one that may."""
        origin = headers.get("origin")
        if origin in self.origins:
            return True
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            return False
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")

    def _too_large(self) -> Refusal:
        return Refusal(
            413, "request_too_large", f"A request may have {self.most / 1024**2:,.0f} MiB.",
            "Send smaller pictures; 1024 pixels a side are plenty.",
        )  # fmt: skip


class TooLarge(HTTPException):
    """More came than may come: raised where the body is read."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status)
        self.refusal = refusal


def _host_in(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
