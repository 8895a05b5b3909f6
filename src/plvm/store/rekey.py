"""Encrypting a store, giving it another key, or decrypting it: every row is written anew, in one transaction."""

from __future__ import annotations

from sqlalchemy import select

from plvm.store.cipher import Cipher, Plain
from plvm.store.conflicts import set_aside
from plvm.store.database import Database
from plvm.store.reader import Reader, namespaces, portions
from plvm.store.record import texts_of
from plvm.store.store_tables import CIPHER, set_property, uses
from plvm.store.tokens import tokens_to_bytes
from plvm.store.writer import NewRow, remove_rows, write
from plvm.types import Concept

BATCH = 50  # concepts in memory at a time


def rekey(database: Database, secret: bytes | None) -> int:
    """Encrypt all namespaces with `secret` from now on (None: with nothing); how many concepts there are. Nothing that the old
    key reads is left in an SQLite file. Raises StoreError, also for the first damaged concept: then nothing changes."""
    before, after = database.known.cipher, Plain() if secret is None else Cipher(secret)
    count = 0
    try:
        with database.transaction(write=True) as connection:
            for namespace in namespaces(connection):
                database.known.cipher = before
                ids = Reader(connection, namespace).ids()
                for some in portions(sorted(ids.values()), BATCH):
                    database.known.cipher = before
                    found = Reader(connection, namespace).found(some)
                    if found.damaged:
                        raise set_aside(found.damaged[0])
                    last = select(uses.c.concept_id, uses.c.day).where(uses.c.concept_id.in_(some))
                    days = {row[0]: row[1] for row in connection.execute(last)}
                    remove_rows(connection, namespace, some)
                    database.known.cipher = after
                    write(connection, [_row(one, namespace, days.get(ids[one.name], one.created[:10])) for one in found.whole])
                    count += len(some)
            set_property(connection, CIPHER, after.mark)
    except BaseException:
        database.known.cipher = before
        raise
    database.use(secret, after.mark)
    database.scrub()
    return count


def _row(concept: Concept, namespace: str, day: str) -> NewRow:
    return NewRow(texts_of(concept, namespace), tokens_to_bytes(concept.tokens), concept.references, day=day)
