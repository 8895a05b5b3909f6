"""A second process for the tests of the store: `python store_worker.py PATH VERB ...`; says "ready" when it begins."""

from __future__ import annotations

import os
import signal
import sys

import sqlalchemy

from concepts import concept
from plvm.store import ConceptStore


def add_many(store: ConceptStore, prefix: str, count: int) -> None:
    """Add concepts one by one, reading all the others in between."""
    for number in range(count):
        store.add(concept(f"{prefix}{number}", number))
        assert f"{prefix}{number}" in store.names() and len(store.list()) > number


def replace_for_ever(store: ConceptStore, name: str) -> None:
    """Replace one concept again and again; the seed, the notes and every reference of it belong together."""
    seed = 0
    while True:
        seed += 1
        store.add(concept(name, seed, references=4, side=128), replace=True)


def die_in_the_middle(store: ConceptStore, verb: str, statement: str) -> None:
    """Do `verb` to "billie" and be killed right after the first SQL statement that begins with `statement`."""

    def die(connection: object, cursor: object, text: str, *rest: object) -> None:
        if text.startswith(statement):
            os.kill(os.getpid(), signal.SIGKILL)

    sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", die)
    verbs = {
        "add": lambda: store.add(concept("billie", 2, references=3), replace=True),
        "forget": lambda: store.forget("billie"),
        "rename": lambda: store.rename("billie", "bill"),
    }
    verbs[verb]()


def die_before_scrubbing(store: ConceptStore, verb: str) -> None:
    """Rename or forget "billie" and be killed when the row is changed but the bytes are still there."""
    store._database.scrub = lambda: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    if verb == "rename":
        store.rename("billie", "mia")
    else:
        store.forget("billie")


if __name__ == "__main__":
    path, what, *arguments = sys.argv[1:]
    with ConceptStore.open(path) as opened:
        print("ready", flush=True)
        if what == "add":
            add_many(opened, arguments[0], int(arguments[1]))
        elif what == "replace":
            replace_for_ever(opened, arguments[0])
        elif what == "die":
            die_in_the_middle(opened, *arguments)
        elif what == "die-before-scrubbing":
            die_before_scrubbing(opened, *arguments)
