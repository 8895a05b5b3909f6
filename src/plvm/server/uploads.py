"""Uploaded files: held in memory for a while, never written to a disk, each seen by its namespace alone."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from plvm.server.refusals import Refusal


@dataclass(frozen=True, eq=False)
class Upload:
    """A file, when it came and when it goes (seconds since 1970)."""

    id: str
    name: str
    purpose: str
    data: bytes
    created: int
    expires: int


class Uploads:
    """The files of all namespaces: each is held for `seconds`, of a namespace at most `most` bytes."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float] = time.time) -> None:
        self.seconds, self.most, self._clock = seconds, most, clock
        self._files: dict[tuple[str, str], Upload] = {}
        self._lock = Lock()

    def add(self, namespace: str, name: str, purpose: str, data: bytes) -> Upload:
        """Hold a file. Raises Refusal where a namespace has no room for it."""
        now = self._clock()
        with self._lock:
            self._sweep(now)
            held = sum(len(f.data) for (owner, _), f in self._files.items() if owner == namespace)
            if held + len(data) > self.most:
                raise Refusal(
                    413, "files_full", f"The files of a key may have {self.most / 1024**2:,.0f} MiB together.",
                    "Delete some with DELETE /v1/files/ID; all go after a while by themselves.", param="file",
                )  # fmt: skip
            upload = Upload(f"file-{secrets.token_hex(12)}", name, purpose, data, int(now), int(now + self.seconds))
            self._files[namespace, upload.id] = upload
            return upload

    def get(self, namespace: str, id: str) -> Upload:
        """The file of this id. Raises Refusal where the namespace has none."""
        with self._lock:
            self._sweep(self._clock())
            found = self._files.get((namespace, id))
        if found is None:
            raise Refusal(
                404, "file_not_found", f"There is no file {id[:80]!r}.",
                f"Upload it with POST /v1/files; files are held for {self.seconds / 60:,.0f} minutes.",
            )  # fmt: skip
        return found

    def list(self, namespace: str) -> list[Upload]:
        """All of a namespace, the newest first."""
        with self._lock:
            self._sweep(self._clock())
            return [upload for (owner, _), upload in reversed(self._files.items()) if owner == namespace]

    def delete(self, namespace: str, id: str) -> None:
        """Forget a file. Raises Refusal where the namespace has none."""
        self.get(namespace, id)
        with self._lock:
            self._files.pop((namespace, id), None)

    def _sweep(self, now: float) -> None:
        for key in [key for key, upload in self._files.items() if upload.expires < now]:
            del self._files[key]
