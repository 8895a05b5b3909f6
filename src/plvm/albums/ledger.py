"""What earlier imports brought: a small file beside the store, without names, pictures, tokens or keys.

It is a file and no table, so that a store stays what it is everywhere, and a lost file costs nothing but a look at every
picture: whoever is there with the same name and the same pictures is found again. It holds digests, those of names and ids with
the file's own salt: whoever is forgotten in the store cannot be read here.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plvm.data.files import whole_file
from plvm.errors import RequestError

VERSION = 1


@dataclass(frozen=True)
class Record:
    """Somebody whom an import brought: digests of the name and of each picture as the app gave them, and of the references that
    the store keeps; `mark` is the Sitter's, "" where a picture could not be had."""

    name: str
    mark: str
    pictures: tuple[str, ...]
    kept: str


Records = dict[str, Record]  # by the digest of the Sitter's id, for an app's id may be a name


class Ledger:
    """The records of all albums of one store. Made by `open`."""

    def __init__(self, path: Path, salt: str, albums: dict[str, dict[str, Any]]) -> None:
        self._path, self._salt, self._albums = path, salt, albums

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """The ledger in the file `path`, which need not be there. Raises RequestError for a file that is none."""
        try:
            data = json.loads(path.read_bytes())
            if data["version"] != VERSION:
                raise ValueError
            ledger = cls(path, str(data["salt"]), dict(data["albums"]))
            for records in ledger._albums.values():
                _records(records)
        except FileNotFoundError:
            return cls(path, secrets.token_hex(16), {})
        except OSError as error:
            raise RequestError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise RequestError(
                f"{path} is not what an import wrote, or damaged.",
                "Remove it: the next import compares names and pictures instead.",
            ) from None
        return ledger

    def records(self, namespace: str, label: str) -> Records:
        """What is known of the album `label` in a namespace; the caller's own."""
        return _records(self._albums.get(self._key(namespace, label), {}))

    def keep(self, namespace: str, label: str, records: Mapping[str, Record]) -> None:
        """Write down the records of one album. Raises PlvmError where that cannot be done."""
        self._albums[self._key(namespace, label)] = {person: asdict(record) for person, record in records.items()}
        whole = {"version": VERSION, "salt": self._salt, "albums": self._albums}
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(self._path) as part:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(whole, file, indent=1, sort_keys=True)

    def digest(self, text: str) -> str:
        """A name or an id as records have it."""
        text = " ".join(unicodedata.normalize("NFC", text).split())
        return hashlib.blake2b(text.encode(), key=bytes.fromhex(self._salt), digest_size=16).hexdigest()

    def _key(self, namespace: str, label: str) -> str:
        return f"{namespace} {label}"


def picture_digest(data: bytes) -> str:
    """A picture as records have it."""
    return hashlib.sha256(data).hexdigest()


def kept_digest(references: Iterable[bytes]) -> str:
    """The references of a concept as records have them."""
    return hashlib.sha256("".join(map(picture_digest, references)).encode()).hexdigest()


def _records(data: Mapping[str, Any]) -> Records:
    return {
        str(person): Record(str(r["name"]), str(r["mark"]), tuple(map(str, r["pictures"])), str(r["kept"]))
        for person, r in data.items()
    }
