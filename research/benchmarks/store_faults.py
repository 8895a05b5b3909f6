"""What a store does when bits of its file flip, when a process is killed at work, and when the disk is full.

    python research/benchmarks/store_faults.py                           # research/results/store_faults.json
    python research/benchmarks/store_faults.py --flips 100 --kills 10    # a short run

flips    One bit of a store's file, drawn at random, is turned over; then everybody is read, by a list and by name. Used
         silently: who was read is not, bit for bit, who was written. Others lost: flips in somebody's tokens or pictures by
         which somebody else is not read, and other flips by which more than one is not read, unless the file is refused as a
         whole. Then the store is repaired, without a model, and everybody is read again.
kills    A process adds, replaces, renames and forgets people, checks the store and backs it up, and acknowledges each; after
         up to 0.15 s it gets kill -9. Lost: what is stored then is neither what was acknowledged nor that and the step it was at.
disks    People are added to file systems (tmpfs) of twelve sizes, and changed, until nothing fits any more; after each step
         what its message says is compared with what the files hold. It needs Linux and root; elsewhere no disk is tried, and the
         figures say so.

Claim: none used silently, none lost, no message untrue. Four minutes on one core.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from plvm.errors import DamagedStoreError, StoreError, UnknownConceptError
from plvm.store import ConceptStore, database
from plvm.store.tokens import tokens_to_bytes
from plvm.types import Concept, ConceptTokens
from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

WIDTH, CONTEXT = 192, 16  # those of mini
CROWDS = (1, 3, 10)  # people in the stores whose bits flip
DISKS = (96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768)  # KiB
OF_A_DISK = ("done", "failed", "made but not overwritten", "untrue", "damaged")
CHANGES = ("add", "replace", "rename", "forget")
VERBS = (*CHANGES, "check", "backup")
Kept = dict[str, Concept]
Step = tuple[str, Callable[[ConceptStore], object], Kept]  # the verb, doing it, what is kept afterwards


def person(name: str, seed: int) -> Concept:
    """Somebody of 30 KiB, with two pictures."""
    chance = torch.Generator().manual_seed(seed)
    word, head, key = (torch.randn(WIDTH, generator=chance) for _ in range(3))
    tokens = ConceptTokens(word, head, torch.randn(CONTEXT, WIDTH, generator=chance), key / key.norm())
    noise, pictures = random.Random(seed), []
    for _ in range(2):
        file = io.BytesIO()
        Image.frombytes("RGB", (56, 56), noise.randbytes(3 * 56 * 56)).save(file, "PNG")
        pictures.append(file.getvalue())
    return Concept(name, tokens, "benchmark", tuple(pictures), f"seed {seed}", "2026-01-02T03:04:05+00:00")


def facts(one: Concept) -> tuple[Any, ...]:
    """Everything that is kept of a concept, to be compared."""
    return tokens_to_bytes(one.tokens), one.name, one.display, one.aligner, one.references, one.notes, one.created


def same(a: Kept, b: Kept) -> bool:
    return {name: facts(one) for name, one in a.items()} == {name: facts(one) for name, one in b.items()}


# ---- flips


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def touched(people: Kept, data: bytes, bit: int) -> set[str]:
    """Whose tokens or pictures a bit is in, found by the twelve bytes before or after it; all who have the same there."""
    byte = bit // 8
    near = [data[max(0, byte - 11) : byte + 1], data[byte : byte + 12]]
    values = {name: (tokens_to_bytes(one.tokens), *one.references) for name, one in people.items()}
    return {name for name, own in values.items() if any(part in value for part in near for value in own)}


def read(path: Path, people: Kept) -> Kept:
    """Whoever can be read, by a list or by name."""
    with ConceptStore.open(path) as store:
        found = {one.name: one for one in store.list()}
        assert found.keys() == {entry.name for entry in store.entries() if not entry.damage}, "a listing marks the others"
        for name in people:
            try:
                assert facts(store.get(name)) == facts(found[name]), "a list and a name give the same"
            except (UnknownConceptError, StoreError):
                assert name not in found, "a list and a name refuse the same"
    return found


def flips(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Flip `count` bits, each in a fresh store."""
    chance, tally = random.Random(seed), Counter[str]()
    stores = []
    for size in CROWDS:
        people = {f"p{i}": replace(person(f"p{i}", 100 * size + i), display=f"P {i}" if i % 2 else "") for i in range(size)}
        with ConceptStore.open(folder / f"{size}.db") as store:
            store.add_all(list(people.values()))
        stores.append((people, (folder / f"{size}.db").read_bytes()))
    path = folder / "flipped.db"
    for done in range(count):
        people, data = stores[done % len(stores)]
        bit = chance.randrange(8 * len(data))
        path.write_bytes(flipped(data, bit))
        try:
            found = read(path, people)
            lost = set(people) - set(found)
            outcome = "one set aside" if lost else "nothing to notice"
            if not lost <= (touched(people, data, bit) or lost) or len(lost) > 1:
                tally["others lost"] += 1
        except DamagedStoreError:
            found, outcome = {}, "file refused"
        tally[outcome] += 1
        tally["used silently"] += sum(facts(one) != facts(people[name]) for name, one in found.items())
        if outcome != "nothing to notice":
            ConceptStore.salvage(path)
            again = read(path, people)
            left = [name for name, one in people.items() if name not in again or facts(again[name]) != facts(one)]
            tally["as before, repaired"] += not left
            tally["others lost, repaired"] += max(0, len(left) - 1)
        for file in folder.glob("flipped.db*"):
            file.unlink()
        progress("flips", done + 1, count)
    return {"bits": count, **{key: tally[key] for key in (
        "nothing to notice", "one set aside", "file refused", "used silently", "others lost", "others lost, repaired",
        "as before, repaired",
    )}}  # fmt: skip


# ---- kills


def next_step(kept: Kept, chance: random.Random, backup: Path) -> Step:
    """A step that a store of `kept` can go."""
    seed = chance.randrange(10_000)
    verb = chance.choice(["add", *VERBS])
    if not kept or (verb == "rename" and f"r{seed}" in kept):
        verb = "add"
    name = chance.choice(sorted(kept)) if kept else ""
    if verb in ("add", "replace"):
        one = person(f"n{seed}" if verb == "add" else name, seed)
        return verb, lambda store: store.add(one, replace=True), {**kept, one.name: one}
    others = {n: one for n, one in kept.items() if n != name}
    if verb == "rename":
        new = replace(kept[name], name=f"r{seed}")
        return verb, lambda store: store.rename(name, new.name), {**others, new.name: new}
    if verb == "forget":
        return verb, lambda store: store.forget(name), others
    return verb, lambda store: store.check() if verb == "check" else store.back_up(backup, replace=True), kept


def work(path: Path, kept: Kept, seed: int, pipe: int) -> None:
    """Go one step after the other, and acknowledge each, until killed."""
    chance = random.Random(seed)
    with ConceptStore.open(path) as store:
        while True:
            _, do, kept = next_step(kept, chance, path.with_name("backup.db"))
            do(store)
            os.write(pipe, b"+")


def kills(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Kill a process at work `count` times; each next one goes on with the store that it left."""
    path, chance, kept = folder / "concepts.db", random.Random(seed), Kept()
    tally, at, told = Counter[str](), Counter[str](), Counter[str]()
    for number in range(count):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work(path, kept, seed + number, writer)
            finally:
                os._exit(1)
        os.close(writer)
        first = os.read(reader, 1)  # it is at work
        time.sleep(chance.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        tally["killed"] += os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        done = len(first) + len(os.read(reader, 100_000))
        os.close(reader)
        steps = random.Random(seed + number)
        for _ in range(done):
            verb, _, kept = next_step(kept, steps, path)
            told[verb] += 1
        verb, _, begun = next_step(kept, steps, path)  # whole or not at all
        at[verb] += 1
        with ConceptStore.open(path) as store:
            found = {one.name: one for one in store.list()}
            tally["damaged"] += not store.check().whole
        tally["lost"] += not (same(found, kept) or same(found, begun))
        if (backup := path.with_name("backup.db")).exists():
            with ConceptStore.open(backup) as copy:
                tally["bad backups"] += not copy.check().whole
        kept = found
        progress("kills", number + 1, count)
    by_verb = {verb: {"killed": at[verb], "acknowledged": told[verb]} for verb in VERBS}
    return {key: tally[key] for key in ("killed", "lost", "damaged", "bad backups")} | {"by_verb": by_verb}


# ---- full disks


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of `size` KiB. Raises OSError where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    if (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode != 0:
        raise OSError(done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def steps(kept: Kept) -> Iterator[Step]:
    """Add people and change them until two in a row do not fit, then change on. `kept` is what is kept before each step."""
    misfits, seed = 0, 0
    while misfits < 2:
        seed, one, known = seed + 1, person(f"a{seed}", seed), len(kept)
        yield "add", lambda store, one=one: store.add(one), {**kept, one.name: one}
        misfits = 0 if len(kept) > known else misfits + 1
        if not kept or (seed % 3 and not misfits):
            continue
        first, other = min(kept), person(min(kept), 50 + seed)
        yield "replace", lambda store, one=other: store.add(one, replace=True), {**kept, first: other}
        last, new = max(kept), replace(kept[max(kept)], name=f"b{seed}")
        others = {name: one for name, one in kept.items() if name != last}
        yield "rename", lambda store, old=last, new=new: store.rename(old, new.name), {**others, new.name: new}
        if misfits:
            first = min(kept)
            yield "forget", lambda store, name=first: store.forget(name), {n: one for n, one in kept.items() if n != first}


def stored(place: Path, elsewhere: Path) -> tuple[Kept, bool]:
    """What the files on a full disk hold, and whether it is whole: read from a copy that has room."""
    shutil.rmtree(elsewhere, ignore_errors=True)
    elsewhere.mkdir()
    for file in place.glob("concepts.db*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, elsewhere)
    if not (elsewhere / "concepts.db").exists():
        return {}, True
    with ConceptStore.open(elsewhere / "concepts.db") as store:
        return {one.name: one for one in store.list()}, store.check().whole


def is_true(message: str, before: Kept, after: Kept, now: Kept) -> bool:
    """Whether what is stored `now` is what the message of a step says; "" says that it was done."""
    if not message or "but the old bytes are still" in message:
        return same(now, after)
    if "Whether it was changed" in message:
        return same(now, before) or same(now, after)
    return "Nothing was changed" in message and same(now, before)


def disks(folder: Path, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Fill disks of those sizes; how many steps succeeded and failed, and how many messages were untrue."""
    rows = []
    for size in sizes:
        tally, kept = Counter[str](), Kept()
        with disk(folder / f"disk-{size}", size) as place:
            moves = steps(kept)
            for verb, do, after in moves:
                try:
                    with ConceptStore.open(place / "concepts.db") as store:
                        do(store)
                    message = ""
                except StoreError as error:
                    message = str(error)
                now, whole = stored(place, folder / "copy")
                tally["failed" if message else "done"] += 1
                tally["untrue"] += not is_true(message, dict(kept), after, now)
                tally["damaged"] += not whole
                tally["made but not overwritten"] += bool(message) and not same(now, kept) and verb in CHANGES
                kept.clear()
                kept.update(now)
        rows.append({"KiB": size, **{key: tally[key] for key in OF_A_DISK}})
        progress("disks", len(rows), len(sizes))
    return rows


# ---- the file


def shown(figures: Mapping[str, Any]) -> Shown:
    """The three tables."""
    flips, kills = figures["flips"], figures["kills"]
    sizes = ", ".join(map(str, CROWDS[:-1])) + f" or {CROWDS[-1]}"
    of_flips = Table(
        "Single bits flipped in a store",
        ("what came of it", "flips"),
        tuple((key, f"{flips[key]:,}") for key in flips),
        f"In stores of {sizes} people with two pictures each. Used silently: read, and not what was written. Others lost: people "
        "in whose bytes the bit is not. Repaired: after `plvm store check --repair`, without a model.",
    )
    rows = tuple((verb, f"{own['killed']:,}", f"{own['acknowledged']:,}") for verb, own in kills["by_verb"].items())
    sums = tuple(f"{sum(own[key] for own in kills['by_verb'].values()):,}" for key in ("killed", "acknowledged"))
    of_kills = Table(
        "A process killed at work (kill -9)",
        ("at which step", "killed", "steps acknowledged"),
        (*rows, ("all", *sums)),
        f"Rounds that lost an acknowledged step: {kills['lost']:,}; stores damaged: {kills['damaged']:,}; backups not whole: "
        f"{kills['bad backups']:,}.",
    )
    header = ("KiB", "steps done", "failed", "made, but not overwritten", "messages untrue", "stores damaged")
    rows = tuple(tuple(f"{value:,}" for value in row.values()) for row in figures["disks"])
    of_disks = Table("Full disks", header, rows, "Of tmpfs; every message is compared with what the files hold.")
    return Shown((of_flips, of_kills) + ((of_disks,) if rows else ()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "store_faults.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        try:
            database.BUSY_SECONDS = 0.2  # nobody else writes there
            figures["disks"] = disks(place, DISKS)
        except OSError as error:
            print(f"No small file system can be mounted, so no disk is tried: {error}", file=sys.stderr)
            figures["disks"] = []
        figures["flips"] = flips(place, arguments.flips, arguments.seed)
        figures["kills"] = kills(place, arguments.kills, arguments.seed)
    figures = {"n": arguments.flips + arguments.kills + sum(row["done"] + row["failed"] for row in figures["disks"]), **figures}
    write_result(arguments.out, arguments.seed, figures, shown(figures))


if __name__ == "__main__":
    main()
