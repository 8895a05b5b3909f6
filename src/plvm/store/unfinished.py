"""Files that are written under another name first, so that nobody meets half of one; and those that a killed process left."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 3600.0  # nobody writes one file for longer
_LOGS = ("-wal", "-shm", "-journal")


@contextmanager
def unfinished(folder: Path, prefix: str) -> Iterator[Path]:
    """An empty file in `folder`, readable by its owner alone; at the end it is gone with its logs, unless it got another name.
    What earlier ones of that prefix left behind is removed too. Raises OSError."""
    for old in folder.glob(f"{prefix}*"):
        if time.time() - old.stat().st_mtime > SECONDS:
            old.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=prefix)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for ending in ("", *_LOGS):
            Path(name + ending).unlink(missing_ok=True)
