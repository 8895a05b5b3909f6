"""How long a store takes to list, get and find the nearest when it holds 1,000, 10,000 and 100,000 people.

    python research/benchmarks/store_scale.py                      # research/results/store_scale.json
    python research/benchmarks/store_scale.py --sizes 1000         # a short run
    python research/benchmarks/store_scale.py --url postgresql://...    # an empty database of yours instead of a private one

In an SQLite file; in PostgreSQL with pgvector; in the same without it. Everybody has tokens of mini's size, a key of 768 numbers
(DINOv2-base has so many) and one picture of 10 KiB. Each time is the median of 20, in one process, and what is asked is
drawn by a seed. "first" is what the first question after a change costs, which reads names or keys anew.

Wanted: at 100,000 a page, a search, somebody by name and the nearest ten take under 0.2 s each in all three.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from plvm.store import ConceptStore, postgresql
from plvm.types import Concept, ConceptTokens
from plvm_lab.evaluate.result_table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "research"), str(ROOT / "tests")]
from result import RESULTS, Shown, progress, write_result  # noqa: E402

from postgres import Server, package  # noqa: E402

SIZES = (1_000, 10_000, 100_000)
REPEAT, PAGE, BATCH = 20, 100, 2_000
WIDTH, CONTEXT, KEY, PICTURE = 192, 16, 768, 10 * 1024
WHAT = {
    "page": f"a page of {PAGE}",
    "search": "a page of a search",
    "get": "somebody by name",
    "nearest": "the nearest ten",
    "first page": "first page after a change",
    "first nearest": "first nearest ten after a change",
    "add": "adding one",
    "forget": "forgetting one",
}


def person(number: int) -> Concept:
    """Somebody of random tokens, the same for the same number."""
    generator = torch.Generator().manual_seed(number)
    row = torch.randn(CONTEXT + 2, WIDTH, generator=generator)
    key = torch.randn(KEY, generator=generator)
    tokens = ConceptTokens(row[0], row[1], row[2:], key / key.norm())
    picture = b"\x89PNG\r\n\x1a\n" + random.Random(number).randbytes(PICTURE)
    return Concept(f"person-{number:06d}", tokens, "aligner", (picture,), f"number {number}", "2026-01-02T03:04:05+00:00")


def milliseconds(do: Callable[[], object], repeat: int = REPEAT, before: Callable[[], object] = lambda: None) -> float:
    """The median time of `do`, each after an untimed `before`."""
    taken = []
    for _ in range(repeat):
        before()
        begun = time.perf_counter()
        do()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def times(store: ConceptStore, size: int, chance: random.Random) -> dict[str, float]:
    """What each question takes in a store of `size` people."""
    def somebody() -> int:
        return chance.randrange(size)

    def touch() -> None:
        name = f"person-{somebody():06d}"
        store.rename(name, "renamed")
        store.rename("renamed", name)

    def near() -> object:
        return store.nearest(person(somebody()).tokens.key, 10, aligner="aligner")

    found = {
        "page": milliseconds(lambda: store.page(PAGE, after=f"person-{somebody():06d}")),
        "search": milliseconds(lambda: store.page(PAGE, search=f"{somebody() % 1000:03d}")),
        "get": milliseconds(lambda: store.get(f"person-{somebody():06d}")),
    }
    near()
    found["nearest"] = milliseconds(near)
    store._finish = lambda gone, done="": None  # type: ignore[method-assign]  # renaming to make a change: no rewriting for it
    found["first page"] = milliseconds(lambda: store.page(PAGE), 3, touch)
    found["first nearest"] = milliseconds(near, 3, touch)
    del store._finish  # type: ignore[method-assign]
    found["add"] = milliseconds(lambda: store.add(person(9_000_000 + len(store.names()))), 1)
    found["forget"] = milliseconds(lambda: store.forget(f"person-{somebody():06d}"), 1)
    return found


def filled(store: ConceptStore, done: int, size: int) -> None:
    """Bring a store of `done` people to `size`."""
    for first in range(done, size, BATCH):
        store.add_all([person(number) for number in range(first, min(first + BATCH, size))])
        progress("people", min(first + BATCH, size), size)


def measured(place: str, sizes: tuple[int, ...], seed: int, ways: Mapping[str, bool]) -> dict[str, dict[int, dict[str, float]]]:
    """The times in one store as it grows, in each of `ways`: {what it is called: whether pgvector may be used}."""
    found: dict[str, dict[int, dict[str, float]]] = {way: {} for way in ways}
    done, there = 0, postgresql.has_vectors
    with ConceptStore.open(place) as store:
        for size in sizes:
            filled(store, done, size)
            done = size
            for way, pgvector in ways.items():
                postgresql.has_vectors = there if pgvector else lambda connection: False  # type: ignore[assignment]
                found[way][size] = times(store, size, random.Random(seed))
                lost = {f"person-{n:06d}" for n in range(size)} - set(store.names())
                store.add_all([person(int(name.removeprefix("person-"))) for name in sorted(lost)])
    postgresql.has_vectors = there
    return found


@contextmanager
def server(url: str | None) -> Iterator[str | None]:
    """A database of PostgreSQL: `url`, or a private one; None where there is none."""
    own = package()
    if url is not None or own is None:
        yield url
        return
    running = Server(own)
    try:
        yield running.url
    finally:
        running.stop()


def shown(figures: Mapping[str, Any]) -> Shown:
    """A table of each way."""
    tables = []
    for way, sizes in figures["milliseconds"].items():
        rows = tuple((label, *(f"{own[what]:,.1f} ms" for own in sizes.values())) for what, label in WHAT.items())
        header = ("what", *(f"{int(size):,} people" for size in sizes))
        note = f"{figures['threads']} thread(s); keys of {KEY} numbers, one picture of {PICTURE // 1024} KiB each."
        tables.append(Table(f"A store in {way}", header, rows, note))
    return Shown(tuple(tables))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--url")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "store_scale.json")
    arguments = parser.parse_args()
    sizes = tuple(sorted(arguments.sizes))
    with tempfile.TemporaryDirectory() as folder, server(arguments.url) as url:
        found = measured(str(Path(folder) / "concepts.db"), sizes, arguments.seed, {"an SQLite file": False})
        if url is not None:
            ways = {"PostgreSQL with pgvector": True, "PostgreSQL without pgvector": False}
            found |= measured(url, sizes, arguments.seed, ways)
    figures = {"n": max(sizes), "threads": torch.get_num_threads(), "milliseconds": found}
    write_result(arguments.out, arguments.seed, figures, shown(figures))


if __name__ == "__main__":
    main()
