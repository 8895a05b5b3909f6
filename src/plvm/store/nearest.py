"""Who is nearest to a key among many: by pgvector where the database has it, by one product in memory where it has not.

Both compare with everybody, so both find the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, select

from plvm.store import postgresql
from plvm.store.known import Keys, known_of
from plvm.store.reader import portions
from plvm.store.record import key_shown
from plvm.store.store_tables import concepts, edition_of, keys


def nearest(
    connection: Connection, namespace: str, aligner: str, key: Sequence[float], count: int
) -> list[tuple[int, float]]:
    """(row's number, cosine) of the `count` concepts of an Aligner whose keys are most like `key` [E], best first."""
    if postgresql.compares(connection, len(key)):
        return postgresql.nearest(connection, namespace, aligner, key, count)
    found, wanted = keys_of(connection, namespace, aligner, len(key)), np.asarray(key, np.float32)
    likeness = found.rows @ wanted / np.maximum(found.lengths * np.linalg.norm(wanted), 1e-12)
    best = np.lexsort((found.numbers, -likeness))[:count]
    return [(int(found.numbers[i]), float(likeness[i])) for i in best]


def keys_of(connection: Connection, namespace: str, aligner: str, width: int) -> Keys:
    """The keys of `width` numbers of everybody whom an Aligner enrolled; only those that are new are read."""
    known, edition, place = known_of(connection), edition_of(connection, namespace), (namespace, aligner)
    with known.lock:
        held = known.keys.get(place)
        if held is None or held.edition != edition or held.rows.shape[1] != width:
            held = known.keys[place] = _read(connection, edition, place, width, held)
    return held


def _read(connection: Connection, edition: str | None, place: tuple[str, str], width: int, held: Keys | None) -> Keys:
    own = (concepts.c.namespace == place[0]) & (concepts.c.aligner == place[1])
    there = {row[0]: row[1] for row in connection.execute(select(concepts.c.id, concepts.c.tokens_seal).where(own))}
    if held is None or held.rows.shape[1] != width:
        held = Keys(None, np.zeros(0, np.int64), np.zeros((0, width), np.float32), np.zeros(0, np.float32), {})
    stay = np.array([held.seals[number] == there.get(number, b"") for number in held.numbers.tolist()], bool)
    numbers, rows = held.numbers[stay], held.rows[stay]
    missing = sorted(set(there) - set(numbers.tolist()))
    new = _keys_in(connection, missing, own, whole=not len(numbers))
    new = {number: key_shown(known_of(connection).cipher, key, place[0]) for number, key in new.items()}
    fitting = [number for number in missing if len(new.get(number, b"")) == 4 * width]
    more = np.frombuffer(b"".join(new[number] for number in fitting), "<f4").reshape(-1, width)
    numbers = np.concatenate([numbers, np.array(fitting, np.int64)])
    rows = np.concatenate([rows, more])
    lengths = np.linalg.norm(rows, axis=1)
    return Keys(edition, numbers, rows, lengths, {number: there[number] for number in numbers.tolist()})


def _keys_in(connection: Connection, numbers: Sequence[int], own: Any, *, whole: bool) -> dict[int, bytes]:
    """The keys of the concepts in the rows `numbers`; `whole`: these are all of `own`."""
    columns = select(keys.c.concept_id, keys.c.key)
    if whole:
        return {row[0]: row[1] for row in connection.execute(columns.join(concepts).where(own))}
    chosen = columns.where(keys.c.concept_id.in_(bindparam("numbers", expanding=True)))
    found: dict[int, bytes] = {}
    for some in portions(numbers):
        found |= {row[0]: row[1] for row in connection.execute(chosen, {"numbers": list(some)})}
    return found
