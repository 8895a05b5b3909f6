"""The pages of an SQLite file, read without SQLite: rows are found by what they look like, not by where they should be.

The format: https://sqlite.org/fileformat2.html. A row is a cell: the length of its record, its number, the record; what does
not fit into the page goes on in other pages, each of which begins with the number of the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plvm.store.header import page_size

_UNSCRUBBED = b"unscrubbed"
_LEAF = 13  # the kind of a page that holds rows of a table


@dataclass
class Cell:
    """A place that looks like a row: the values of its record, and what stands before it."""

    values: Sequence[Any]
    before: bytes  # at most 18 bytes
    length: int  # of the record

    def row_numbers(self) -> Iterator[int]:
        """The numbers that the row may have: those before which the length of the record stands."""
        for size in range(1, min(9, len(self.before)) + 1):
            number = _varint(self.before[-size:], 0)
            if number is not None and number[1] == size and self.fits(size):
                yield number[0]

    def fits(self, size: int | None) -> bool:
        """Whether the length of the record stands before a row number of `size` bytes (None: of any size)."""
        sizes = range(1, 10) if size is None else [size]
        return any(self.before[: len(self.before) - n].endswith(_as_varint(self.length)) for n in sizes)


class Pages:
    """The pages of the database at `path`, with those that its log has newer. Raises OSError."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.size = page_size(data)
        self._pages = [data[i : i + self.size] for i in range(0, len(data), self.size)]
        log = path.with_name(path.name + "-wal")
        if log.exists():
            self._overlay(log.read_bytes())
        # Where something was removed whose bytes may still lie about, a row counts only where its page lists it.
        self._listed_only = any(_UNSCRUBBED in page for page in self._pages)

    def cells(self, header: re.Pattern[bytes]) -> Iterator[Cell]:
        """Every place in a page where a record's header stands that `header`, with one group, matches."""
        for number, page in enumerate(self._pages):
            for match in header.finditer(page):
                cell = self._cell(page, match.start(), match[1]) if match[1][0] == len(match[1]) else None
                if cell is not None and (not self._listed_only or self._is_listed(page, number, match.start(), cell)):
                    yield cell

    def _overlay(self, log: bytes) -> None:
        """Put the pages of whole transactions in the log over the old ones."""
        pending: dict[int, bytes] = {}
        most = len(self._pages) + len(log) // self.size  # a wrong number must not ask for room without end
        for at in range(32, len(log) - 24 - self.size + 1, 24 + self.size):
            number, committed = (int.from_bytes(log[at + i : at + i + 4], "big") for i in (0, 4))
            if log[at + 8 : at + 16] != log[16:24]:
                break  # left from an earlier round
            if 0 < number <= most:
                pending[number] = log[at + 24 : at + 24 + self.size]
            if committed:
                self._pages += [b""] * (max(pending, default=0) - len(self._pages))
                for page, data in pending.items():
                    self._pages[page - 1] = data
                pending = {}

    def _cell(self, page: bytes, start: int, header: bytes) -> Cell | None:
        kinds, at = [], 1
        while at < len(header) and (found := _varint(header, at)) is not None:
            kinds.append(found[0])
            at = found[1]
        length = len(header) + sum(map(_width, kinds))
        if at != len(header) or length > self.size * len(self._pages):
            return None
        record = self._record(page, start, length)
        values, at = [], len(header)
        for kind in kinds:
            values.append(_value(kind, record[at : at + _width(kind)]))
            at += _width(kind)
        return Cell(values, page[max(0, start - 18) : start], length)

    def _record(self, page: bytes, start: int, length: int) -> bytes:
        """A record, as far as its chain of pages can be followed."""
        most = self.size - 35
        least = (self.size - 12) * 32 // 255 - 23
        here = least + (length - least) % (self.size - 4)
        here = length if length <= most else here if here <= most else least
        record = bytearray(page[start : start + here])
        following = page[start + here : start + here + 4]
        while len(record) < length:
            number = int.from_bytes(following, "big")
            if not 0 < number <= len(self._pages):
                break
            following, more = self._pages[number - 1][:4], self._pages[number - 1][4:]
            record += more[: length - len(record)]
            if not more:
                break
        return bytes(record)

    def _is_listed(self, page: bytes, number: int, start: int, cell: Cell) -> bool:
        top = 100 if number == 0 else 0
        count = int.from_bytes(page[top + 3 : top + 5], "big")
        listed = {int.from_bytes(page[i : i + 2], "big") for i in range(top + 8, top + 8 + 2 * count, 2)}
        length = len(_as_varint(cell.length))
        return page[top : top + 1] == bytes([_LEAF]) and any(start - length - size in listed for size in range(1, 10))


def _varint(data: bytes, at: int) -> tuple[int, int] | None:
    """A number of one to nine bytes, and where it ends; None where the data end before."""
    value = 0
    for i in range(8):
        if at + i >= len(data):
            return None
        value = value << 7 | data[at + i] & 0x7F
        if data[at + i] < 0x80:
            return value, at + i + 1
    return (value << 8 | data[at + 8], at + 9) if at + 8 < len(data) else None


def _as_varint(value: int) -> bytes:
    """A number below 2^56 as SQLite writes it."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def _width(kind: int) -> int:
    return (kind - 12) // 2 if kind >= 12 else (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]


def _value(kind: int, data: bytes) -> Any:
    if kind >= 12:
        return data
    if kind in (8, 9):
        return kind - 8
    return None if kind == 0 else int.from_bytes(data, "big", signed=True)
