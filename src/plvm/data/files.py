"""Files that appear whole or not at all, and what is said where they cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from plvm.errors import PlvmError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` at the end; what is broken off leaves nothing behind under that name.

    Raises PlvmError where the disk is full or the folder cannot be written to.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise _no_room(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _no_room(path: Path, error: OSError) -> PlvmError:
    again = "then start the same command again: finished shards are kept"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PlvmError(f"The disk is full: {path} cannot be written.", f"Free some space, {again}.")
    return PlvmError(f"{path} cannot be written: {error.strerror or error}.", f"Check the folder, {again}.")
