"""What browsers are told with every answer: to trust nothing but this server's own files, and to tell nobody of them."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import MutableHeaders

ANSWERS = "default-src 'none'; frame-ancestors 'none'"
PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Headers:
    """ASGI middleware that sets them."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ALWAYS)
                page = is_page(scope["path"])
                headers["Content-Security-Policy"] = PAGE if page else ANSWERS
                if page:
                    headers["Cache-Control"] = "no-cache"  # asked for again each time, so that an update is seen
            await send(message)

        await self.app(scope, receive, told)


def is_page(path: str) -> bool:
    """Whether a path is the page's, which is the same for everybody."""
    return path == "/" or path.startswith("/page/")
