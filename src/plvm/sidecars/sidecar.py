"""A file beside a picture that says what is in it, and remembers for which picture it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from plvm.errors import RequestError
from plvm.sidecars.caption import Caption

LARGEST = 4 * 1024**2  # of a sidecar, in bytes


class Sidecar(Protocol):
    """A way of writing captions. What others have written there stays."""

    def mark(self, picture: Path) -> str | None:
        """The mark of the picture that the sidecar of `picture` was written for; None where we wrote none. Raises RequestError
        where the sidecar cannot be read, or is somebody else's and cannot be added to."""
        ...

    def write(self, picture: Path, mark: str, caption: Caption) -> Path:
        """Write the sidecar of `picture`, which has the mark `mark`, and say where. Raises PlvmError where that cannot be
        done."""
        ...


def read(path: Path) -> bytes | None:
    """The bytes of a sidecar; None where there is none. Raises RequestError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from None
    if len(data) > LARGEST:
        raise RequestError(f"{path} has more than {LARGEST // 1024**2} MiB.", "Is that a sidecar?")
    return data


def foreign(path: Path, why: str) -> RequestError:
    """The error for a sidecar that cannot be added to."""
    return RequestError(f"{path} {why}; it was left as it is.", "Move it away to have one written.")
