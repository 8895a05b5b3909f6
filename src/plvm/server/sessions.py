"""Dialogues that may go on: what was computed of them, by owner, picture, people and what was said.

Every call of the API brings the whole dialogue. Where the server has answered its last question itself, the keys and values up
to there are the same as if they were computed again, and are not. They are kept only where the answer, written down again, has
the very tokens that were written.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from plvm.engine.request import Session
from plvm.types import Concept

Said = tuple[tuple[str, str], ...]
Key = tuple[str, str, tuple[str, ...], Said]  # namespace, digest of the picture, the people's tokens, what was said


def key_of(namespace: str, digest: str, concepts: Sequence[Concept], said: Said) -> Key:
    """What a dialogue is found by."""
    return namespace, digest, tuple(f"{c.name}:{_tokens(c)}" for c in concepts), said


def _tokens(concept: Concept) -> str:
    t = concept.tokens
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in (t.word, t.head, t.context))).hexdigest()


class Sessions:
    """The most recently used dialogues, at most `max_bytes` of them in all; safe to share between threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._kept: OrderedDict[Key, tuple[Session, int]] = OrderedDict()
        self._forgotten: dict[str, int] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Session | None:
        """The state after what was said, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def forgotten(self, namespace: str) -> int:
        """How often something of `namespace` was forgotten."""
        return self._forgotten.get(namespace, 0)

    def put(self, key: Key, session: Session, forgotten: int) -> None:
        """Keep a state; those used least recently make room. Not where something of its namespace was forgotten since it was
        begun, when `forgotten` was what it says: it may hold just that."""
        session = session.apart  # what comes later may be of somebody who is forgotten: it must not stand behind this
        size = sum(t.numel() * t.element_size() for pair in session.past for t in pair)
        with self._lock:
            self._drop(key)
            if size > self.max_bytes or self.forgotten(key[0]) != forgotten:
                return
            self._kept[key] = session, size
            self.bytes += size
            while self.bytes > self.max_bytes:
                self._drop(next(iter(self._kept)))

    def forget(self, namespace: str, name: str | None = None) -> int:
        """Drop the dialogues of `namespace` that `name` is in (None: all); returns how many."""
        with self._lock:
            self._forgotten[namespace] = self.forgotten(namespace) + 1
            gone = [k for k in self._kept if k[0] == namespace and (name is None or any(_is(c, name) for c in k[2]))]
            for key in gone:
                self._drop(key)
            return len(gone)

    def _drop(self, key: Key) -> None:
        _, size = self._kept.pop(key, (None, 0))
        self.bytes -= size


def _is(concept: str, name: str) -> bool:
    return concept.rpartition(":")[0] == name
