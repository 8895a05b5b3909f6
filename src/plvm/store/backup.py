"""A backup: the whole store in one file, copied while it is in use, and looked at before it counts."""

from __future__ import annotations

import os
from pathlib import Path

from plvm.errors import DamagedStoreError, StoreError
from plvm.store.database import Database
from plvm.store.health import Health, examine
from plvm.store.unfinished import unfinished


def back_up(database: Database, path: Path, namespace: str, *, replace: bool = False) -> Health:
    """Copy an SQLite `database` to the file `path`, whole or not at all, for its owner's eyes only; the copy's health.

    Raises StoreError where it cannot be written or its pages are not sound; without `replace` also where `path` exists."""
    if path.is_dir() or (path.exists() and not replace):
        raise StoreError(f"{path} exists already.", "Name a new file, or overwrite that one with --replace.")
    if _is_same(database, path):
        raise StoreError(f"{path} is the store itself.", "Name another file.")
    try:
        with unfinished(path.parent, ".plvm-backup-") as temporary:
            database.copy_to(temporary)
            with Database.open(temporary, label=str(path), secret=database.secret) as copy:
                health = examine(copy, namespace)
            if health.flaws:
                raise DamagedStoreError(
                    f"The copy is not sound, so no backup was made: {health.flaws[0]}.",
                    "Run `plvm store check --repair` first.",
                )
            os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", "Name a file in a folder of yours.") from None
    return health


def _is_same(database: Database, path: Path) -> bool:
    own = database.engine.url.database if database.engine.dialect.name == "sqlite" else None
    return path.exists() and own is not None and os.path.exists(own) and os.path.samefile(own, path)
