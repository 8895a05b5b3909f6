"""The first 100 bytes of an SQLite file: what has to be there whatever it holds. SQLite believes most of them unasked."""

from __future__ import annotations

import time
from pathlib import Path

MAGIC = b"SQLite format 3\0"
HEADER = 100
_LOGS = ("-wal", "-journal")
_ATTEMPTS = 3  # to read it while nobody writes


def header_flaw(path: Path) -> str | None:
    """What is wrong with the header of an SQLite file, None where nothing is; sizes count while no log lies beside it."""
    flaw = None
    for _ in range(_ATTEMPTS):
        data = _start(path)
        flaw = _fixed_flaw(data)
        if flaw is None and not _has_log(path):
            flaw = _size_flaw(data, path.stat().st_size)
        if flaw is None or _has_log(path):
            break
        time.sleep(0.05)  # another program may have written between two looks
    return flaw


def page_size(data: bytes) -> int:
    """The size of the pages, as the header says; 4,096, the usual one, where it says nonsense."""
    size = int.from_bytes(data[16:18], "big")
    size = 65_536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else 4096


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEADER)


def _has_log(path: Path) -> bool:
    logs = [path.with_name(path.name + ending) for ending in _LOGS]
    return any(log.exists() and log.stat().st_size > 0 for log in logs)


def _fixed_flaw(data: bytes) -> str | None:
    if len(data) < HEADER:
        return "it is cut off"
    size = int.from_bytes(data[16:18], "big")
    form, encoding = (int.from_bytes(data[i : i + 4], "big") for i in (44, 56))
    good = (
        size == 1 or (size >= 512 and size & (size - 1) == 0),
        data[18] == data[19] and data[18] in (1, 2),  # with a log, or with a rollback journal
        data[20:24] == bytes((0, 64, 32, 32)),
        # the format of the schema, and UTF-8; both are 0 where there is no table yet
        (form, encoding) == (0, 0) or (1 <= form <= 4 and encoding == 1),
    )
    return None if all(good) else "its first bytes are not those of a database"


def _size_flaw(data: bytes, size: int) -> str | None:
    pages = int.from_bytes(data[28:32], "big")
    if data[24:28] != data[92:96] or pages == 0:
        return None  # an old SQLite wrote it last: the count means nothing
    return None if pages * page_size(data) == size else "it is longer or shorter than it says"
