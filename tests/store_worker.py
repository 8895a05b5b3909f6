"""A second process for the tests of the store: `python store_worker.py PATH VERB ...`; says "ready" when it begins."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import sqlalchemy

from concepts import concept, same
from plvm.store import ConceptStore
from plvm.types import Concept

Kept = dict[str, Concept]


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


# ---- killed again and again


def next_step(kept: Kept, chance: random.Random, backup: Path) -> tuple[list[str], Callable[[ConceptStore], object], Kept]:
    """(what, doing it, what is kept afterwards) for a step that a store of `kept` can go."""
    seed = chance.randrange(10_000)
    verb = chance.choice(["add", "add", "replace", "rename", "forget", "check", "backup"])
    name = chance.choice(sorted(kept)) if kept else ""
    if verb == "add" or (not kept and verb in ("replace", "rename", "forget")):
        one = concept(f"n{seed}", seed, references=2)
        return ["add", one.name], lambda store: store.add(one, replace=True), {**kept, one.name: one}
    if verb == "replace":
        one = concept(name, seed, references=2)
        return [verb, name], lambda store: store.add(one, replace=True), {**kept, name: one}
    if verb == "rename":
        others = {n: c for n, c in kept.items() if n != name}
        new = f"r{seed}"
        if new in kept:
            return ["check"], lambda store: store.check(), kept
        renamed = replace(kept[name], name=new)
        return [verb, name, new], lambda store: store.rename(name, new), {**others, new: renamed}
    if verb == "forget":
        return [verb, name], lambda store: store.forget(name), {n: c for n, c in kept.items() if n != name}
    if verb == "check":
        return [verb], lambda store: store.check(), kept
    return [verb], lambda store: store.back_up(backup, replace=True), kept


def work_until_killed(path: Path, kept: Kept, seed: int, pipe: int) -> None:
    """Go one step after the other, and acknowledge each when it is done."""
    chance = random.Random(seed)
    with ConceptStore.open(path) as store:
        while True:
            _, do, kept = next_step(kept, chance, path.with_name("backup.db"))
            do(store)
            os.write(pipe, b"+")


def hammer(path: Path, seed: int, rounds: int) -> dict[str, int]:
    """Kill -9 a working process `rounds` times; compare what is stored with what it acknowledged."""
    tally = {"killed": 0, "acknowledged": 0, "lost": 0, "damaged": 0, "bad backups": 0}
    chance = random.Random(seed)
    kept: Kept = {}
    for number in range(rounds):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work_until_killed(path, kept, seed + number, writer)
            finally:
                os._exit(1)
        os.close(writer)
        os.read(reader, 1)  # it is at work
        time.sleep(chance.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        tally["killed"] += os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        done = 1 + len(os.read(reader, 100_000))
        os.close(reader)
        steps = random.Random(seed + number)
        for _ in range(done):
            _, _, kept = next_step(kept, steps, path)
        _, _, begun = next_step(kept, steps, path)  # whole or not at all
        with ConceptStore.open(path) as store:
            found = {c.name: c for c in store.list()}
            tally["damaged"] += not store.check().whole
        options = [other for other in (begun, kept) if are_same(found, other)]
        tally["acknowledged"] += done
        tally["lost"] += not options
        kept = found
        if (backup := path.with_name("backup.db")).exists():
            with ConceptStore.open(backup) as copy:
                tally["bad backups"] += not copy.check().whole
    return tally


def are_same(a: Kept, b: Kept) -> bool:
    return set(a) == set(b) and all(same(a[name], b[name]) for name in a)


if __name__ == "__main__":
    path, what, *arguments = sys.argv[1:]
    if what == "hammer":
        print(json.dumps(hammer(Path(path), *map(int, arguments))))
        sys.exit()
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
