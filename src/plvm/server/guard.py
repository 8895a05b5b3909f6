"""What is looked at before any request is read: how large it is, and, while no key is needed, where it comes from.

Without keys whoever can send to 127.0.0.1 may ask, which is whoever is at this machine. Pages of other sites in its browser are
not: a request whose Host is no name of this machine (DNS rebinding), or whose Origin is another site, is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from plvm.errors import PlvmError
from plvm.server.errors_schema import response_of
from plvm.server.refusals import Refusal, refusal_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens at `host`."""
    return host in LOOPBACK


class Guard:
    """ASGI middleware: bodies of at most `most` bytes; while `open_to_all()`, only requests from this machine's own pages."""

    def __init__(self, app: Any, most: int, open_to_all: Callable[[], bool]) -> None:
        self.app, self.most, self.open_to_all = app, most, open_to_all

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            refusal = self._refusal(headers)
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

    def _refusal(self, headers: dict[str, str]) -> Refusal | None:
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.most:
            return self._too_large()
        if not self.open_to_all():
            return None
        for name, address in (("Host", "//" + headers.get("host", "")), ("Origin", headers.get("origin", ""))):
            if name == "Origin" and not address:
                continue
            if _host_in(address) not in LOOPBACK:
                return Refusal(
                    403, "wrong_" + name.lower(), f"The {name} of this request is no name of this machine.",
                    "Call http://127.0.0.1, or make a key with `plvm keys new NAMESPACE`.",
                )  # fmt: skip
        return None

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
