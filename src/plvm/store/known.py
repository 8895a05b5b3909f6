"""Who is in a namespace and what their keys are, read once and true until the namespace changes.

A namespace gets a new edition with every change of it, so one small look tells whether what is held is still so.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from plvm.naming.display import key
from plvm.store.cipher import Plain

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Roster:
    """The names of one edition: {name: (row's number, display name, "" where there is none)}, sorted by name; `rows`: how many
    rows there are."""

    edition: str | None
    people: dict[str, tuple[int, str]]
    rows: int

    @cached_property
    def displays(self) -> dict[str, str]:
        """Name -> display name, "" where there is none, sorted by name."""
        return {name: display for name, (_, display) in self.people.items()}

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Name -> row's number."""
        return {name: number for name, (number, _) in self.people.items()}

    @cached_property
    def names(self) -> dict[int, str]:
        """Row's number -> name."""
        return {number: name for name, (number, _) in self.people.items()}

    @cached_property
    def _forms(self) -> list[tuple[str, str]]:
        """(name, what a search looks in)."""
        return [(name, f"{key(name)}\n{key(display)}") for name, (_, display) in self.people.items()]

    @cached_property
    def _sorted(self) -> list[str]:
        return list(self.people)

    def matching(self, search: str) -> list[str]:
        """The names of those whose name or display name contains `search`, whatever its case; all for ""."""
        wanted = key(search)
        return self._sorted if not wanted else [name for name, forms in self._forms if wanted in forms]


def behind(names: list[str], after: str | None) -> list[str]:
    """The part of sorted `names` that comes behind the name `after`; all of them for None."""
    return names if after is None else names[bisect_right(names, after) :]


@dataclass(frozen=True)
class Keys:
    """The keys of one Aligner in one edition of a namespace: row numbers int64[N], keys float32[N, E] and their lengths
    float32[N]; `seals` are those of the tokens that each is of, by row number."""

    edition: str | None
    numbers: np.ndarray
    rows: np.ndarray
    lengths: np.ndarray
    seals: dict[int, bytes | None]


@dataclass
class Known:
    """What is held of one open database: how its values are hidden, and of its namespaces what was read."""

    cipher: Plain = field(default_factory=Plain)

    rosters: dict[str, Roster] = field(default_factory=dict)
    keys: dict[tuple[str, str], Keys] = field(default_factory=dict)  # by namespace and Aligner
    lock: Lock = field(default_factory=Lock)


def known_of(connection: Connection) -> Known:
    """What is held of the database that a transaction is in."""
    known: Known = connection.get_execution_options()["plvm_known"]
    return known
