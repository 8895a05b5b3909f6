"""How long concepts are kept that nobody uses.

A concept is *used* on the day when it is added, replaced or imported, and on those when it is in the prompt of a question or
found for sure in a picture. It is stale for N days once more than N days lie between its last use and today, in UTC. Of a store
from before uses were noted, the day when it was created counts. What has no readable day is never stale.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from plvm.store.reader import Reader
from plvm.store.store_tables import concepts, uses

_NOTED = select(uses.c.concept_id).where(
    uses.c.concept_id.in_(bindparam("numbers", expanding=True)) & (uses.c.day == bindparam("day"))
)  # asked for at every answer: made once


def today() -> date:
    """The day that it is, in UTC."""
    return datetime.now(UTC).date()


def stale(connection: Connection, namespace: str, days: int) -> dict[str, str]:
    """{name: its last day, as 2026-11-28} of those of a namespace that are stale for `days`, longest ago first."""
    own = select(concepts.c.id, concepts.c.created, uses.c.day).join(uses, isouter=True).where(concepts.c.namespace == namespace)
    found = {row.id: max(filter(None, (_day(row.created), _day(row.day))), default=None) for row in connection.execute(own)}
    last = {name: found.get(number) for name, number in Reader(connection, namespace).ids().items()}
    late = [(day, name) for name, day in last.items() if day is not None and (today() - day).days > days]
    return {name: day.isoformat() for day, name in sorted(late)}


def unnoted(connection: Connection, namespace: str, names: Collection[str]) -> list[int]:
    """The row numbers of those of `names` of whose use today nothing is noted yet."""
    ids = Reader(connection, namespace).ids()
    wanted = [ids[name] for name in names if name in ids]
    known = set(connection.execute(_NOTED, {"numbers": wanted, "day": today().isoformat()}).scalars())
    return [number for number in wanted if number not in known]


def note_use(connection: Connection, numbers: Collection[int]) -> None:
    """Note that the concepts in these rows were used today."""
    connection.execute(delete(uses).where(uses.c.concept_id.in_(numbers)))
    if numbers:
        connection.execute(insert(uses), [{"concept_id": number, "day": today().isoformat()} for number in numbers])


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
