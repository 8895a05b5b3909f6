"""An audit log: who did what and when, a JSON object a line; no picture, no token, no question, no answer.

    {"at": "2026-11-28T17:00:00+00:00", "key": "3f2a9c1d", "namespace": "family", "did": "DELETE /v1/concepts/{name}",
     "status": 200, "seconds": 0.021}

`key` is the id that `plvm keys list` shows, null where none was needed or none was right. Nobody's name is in it unless that was
asked for: then `concept` is the word of whoever was added, read, renamed or forgotten.
"""

from __future__ import annotations

import json
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from plvm.errors import RequestError

LOG = logging.getLogger("plvm.server")
_SILENT = ("/healthz", "/readyz", "/metrics", "/openapi.json")


class AuditLog:
    """A file to which lines are added; only its owner may read it. Raises RequestError where it cannot be written."""

    def __init__(self, path: Path, *, names: bool = False) -> None:
        self.path, self.names = path, names
        self._lock = Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise RequestError(f"The audit log {path} cannot be written: {error.strerror}.", "Name another file.") from None

    def note(self, did: str, *, namespace: str | None, key: str | None = None, name: str | None = None, **more: Any) -> None:
        """Add a line. A disk that takes no more is told to the server's own log: what was done is done."""
        line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "key": key, "namespace": namespace, "did": did, **more}
        if self.names and name is not None:
            line["concept"] = name
        try:
            with self._lock:
                os.write(self._file, (json.dumps(line, ensure_ascii=False) + "\n").encode())
        except OSError:
            LOG.exception("the audit log cannot be written")


class Audited:
    """ASGI middleware that notes every request to the API once it is answered."""

    def __init__(self, app: Any, log: AuditLog) -> None:
        self.app, self.log = app, log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in _SILENT:
            await self.app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def noted(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            state, route = scope.get("state", {}), getattr(scope.get("route"), "path", "other")
            self.log.note(
                f"{scope['method']} {route}", namespace=state.get("namespace"), key=state.get("key"),
                name=state.get("concept", scope.get("path_params", {}).get("name")),
                status=status, seconds=round(time.monotonic() - begun, 3),
            )  # fmt: skip
