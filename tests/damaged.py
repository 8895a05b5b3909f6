"""Stores with damage in them, for tests."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

from concepts import concept
from plvm.store import ConceptStore
from plvm.store.tokens import tokens_to_bytes
from plvm.types import Concept

SMALL = {name: concept(name, seed, references=2, side=24) for seed, name in enumerate(["avril", "billie", "mia"])}
SMALL["mia"] = replace(SMALL["mia"], display="Mia Maria")


def small_store(path: Path) -> bytes:
    """Make a store of three concepts at `path`; its bytes."""
    with ConceptStore.open(path) as store:
        store.add_all(list(SMALL.values()))
    return path.read_bytes()


def flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit turned over."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def spoil(path: Path, what: bytes, seed: int = 0) -> None:
    """Turn over one bit, somewhere in the one place where the bytes `what` stand in the file."""
    data = path.read_bytes()
    assert data.count(what) == 1
    place = data.index(what) + len(what) // 2
    path.write_bytes(flipped(data, 8 * place + random.Random(seed).randrange(8)))


def run_sql(path: Path, *statements: str) -> None:
    """Change a store behind its back."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def tokens_of(one: Concept) -> bytes:
    """Its tokens as they stand in the file; the last bytes alone are numbers."""
    return tokens_to_bytes(one.tokens)[-64:]
