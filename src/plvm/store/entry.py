"""What a list of concepts says of each: read without the numbers and the pictures, so that a long list is quick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from plvm.store.schema import concepts, references


@dataclass(frozen=True)
class Entry:
    """A stored concept without its tokens and pictures: `pictures` says how many there are, `display` is "" where the name is
    what people call it, `aligner` the fingerprint of the Aligner that made it, `created` an ISO 8601 time in UTC."""

    name: str
    display: str
    aligner: str
    pictures: int
    notes: str
    created: str


def read_entries(connection: Connection, chosen: Any) -> Sequence[Entry]:
    """The entries of the rows of `concepts` that the condition `chosen` holds for, sorted by name."""
    kept = concepts.c
    pictures = select(func.count()).where(references.c.concept_id == kept.id).scalar_subquery()
    columns = (kept.name, func.coalesce(kept.display, ""), kept.aligner, pictures, kept.notes, kept.created)
    rows = connection.execute(select(*columns).where(chosen))
    return sorted((Entry(*row) for row in rows), key=lambda entry: entry.name)
