"""API keys: each opens one namespace. The file has their hashes, never the keys.

    {"version": 1, "keys": [{"id": "3f9a", "namespace": "home", "hash": "sha256 in hex", "created": "...", "note": "..."}]}

A key has 256 random bits, so its plain SHA-256 can be neither guessed nor looked up.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from plvm.errors import RequestError, StoreError

PREFIX = "plvm-"
VERSION = 1


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key."""

    id: str
    namespace: str
    hash: str
    created: str = ""
    note: str = ""


class KeyFile:
    """The keys in a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._seen: tuple[int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """All keys. Raises StoreError where the file is damaged."""
        with self._lock:
            try:
                found = self.path.stat()
            except FileNotFoundError:
                self._seen, self._keys = None, ()
                return ()
            stamp = found.st_mtime_ns, found.st_size
            if stamp != self._seen:
                self._keys, self._seen = self._read(), stamp
            return self._keys

    def namespace_of(self, key: str) -> ApiKey | None:
        """The entry that a key belongs to, None for an unknown one. Every entry is compared, in constant time."""
        hashed, found = _hash(key), None
        for entry in self.keys:
            if hmac.compare_digest(entry.hash, hashed):
                found = entry
        return found

    def new(self, namespace: str, note: str = "") -> str:
        """Make a key for `namespace`; returned once, kept nowhere. Raises RequestError, StoreError."""
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", namespace):
            raise RequestError(
                f"The namespace {namespace[:40]!r} cannot be used.", 'Use 1 to 128 letters a-z, digits, ".", "-" and "_".'
            )
        key = PREFIX + secrets.token_urlsafe(32)
        entry = ApiKey(secrets.token_hex(4), namespace, _hash(key), datetime.now(UTC).isoformat(timespec="seconds"), note)
        self._write((*self.keys, entry))
        return key

    def revoke(self, id: str) -> ApiKey:
        """Let a key open nothing any more. Raises RequestError where there is none of this id."""
        found = next((key for key in self.keys if key.id == id), None)
        if found is None:
            there = ", ".join(key.id for key in self.keys)
            raise RequestError(f"There is no key {id[:40]!r}.", f"There are: {there}." if there else "There is none at all.")
        self._write(tuple(key for key in self.keys if key != found))
        return found

    def _read(self) -> tuple[ApiKey, ...]:
        try:
            about = json.loads(self.path.read_text(encoding="utf-8"))
            if about["version"] != VERSION:
                raise ValueError(f"version {about['version']!r}")
            return tuple(ApiKey(**entry) for entry in about["keys"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path} cannot be read as a file of keys: {error}.", "Remove it and make new keys.") from None

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        text = json.dumps({"version": VERSION, "keys": [asdict(key) for key in keys]}, indent=2)
        new = self.path.with_name(self.path.name + ".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}.", "Check its folder's permissions.") from None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
