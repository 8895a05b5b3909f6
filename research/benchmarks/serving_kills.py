"""What a server's store holds after kill -9 at a random moment under load.

    python research/benchmarks/serving_kills.py                # research/results/serving_kills.json
    python research/benchmarks/serving_kills.py --kills 3      # a short run

Eight homes add people, forget some and ask questions, all at once, of `plvm serve` with mini; after up to two seconds the process
gets kill -9, the store is read and checked, and the next server goes on with it.

lost    acknowledged with 201 and not there, or acknowledged as forgotten and there.
half    damaged in any way: a row, a picture or the tokens are not what was written.

Claim: nobody lost, nobody half. Six minutes on one core.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plvm.store import ConceptStore
from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result
from serving_load import CHAT, CONCEPTS, Caller, Process, World, new_keys, serving

HOMES = 8
LONGEST = 2.0  # seconds until the kill
MOST = 24  # people in a home; then some are forgotten first


@dataclass
class Home:
    """What a home was told about its people; of those in `unknown` it never heard."""

    number: int
    there: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    numbers: Any = field(default_factory=itertools.count)


async def busy(home: Home, caller: Caller, model: str, pictures: Sequence[str], rng: random.Random, told: list[str]) -> None:
    """Add, forget and ask until the server is gone."""
    while True:
        verb = rng.choices(("add", "forget", "ask"), (6, 4 if home.there else 0, 2))[0]
        verb = "forget" if len(home.there) > MOST else verb
        picture = rng.choice(pictures)
        if verb == "ask":
            content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "Who is here?"}]
            body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 12}
            status, _, _ = await caller.send("POST", CHAT, body)
        elif verb == "add":
            name = f"person-{next(home.numbers)}"
            home.unknown.add(name)
            status, _, _ = await caller.send("POST", CONCEPTS, {"name": name, "images": [picture]})
        else:
            name = rng.choice(sorted(home.there))
            home.unknown.add(name)
            home.there.discard(name)
            status, _, _ = await caller.send("DELETE", f"{CONCEPTS}/{name}")
        if status < 0:
            return
        assert status < 300, (verb, status)
        told.append(verb)
        if verb != "ask":
            home.unknown.discard(name)
        if verb == "add":
            home.there.add(name)


async def until_killed(
    server: Process, homes: Sequence[Home], model: str, pictures: Sequence[str], rng: random.Random
) -> list[str]:
    """All homes at once, and the kill; returns what was acknowledged."""
    told: list[str] = []
    callers = [Caller(server.port, key) for key in server.keys]
    work = [busy(home, caller, model, pictures, rng, told) for home, caller in zip(homes, callers, strict=True)]

    async def kill() -> None:
        await asyncio.sleep(rng.uniform(0.1, LONGEST))
        server.os.kill()

    await asyncio.gather(kill(), *work)
    return told


def examined(place: Path, home: Home) -> tuple[int, int]:
    """(lost, half) in a home; afterwards it knows who is there."""
    with ConceptStore.open(place, namespace=f"home-{home.number}") as store:
        entries, health = store.entries(), store.check()
    names = {entry.name for entry in entries}
    lost = len(home.there - names) + len(names - home.there - home.unknown)
    half = sum(bool(entry.damage) for entry in entries)
    home.there, home.unknown = names, set()
    return lost, half + (not half and not health.whole)


def killed(
    folder: Path, kills: int, seed: int, model: str, pictures: Sequence[str], options: Sequence[str]
) -> dict[str, Any]:
    """The figures of so many kills."""
    rng, keys, told = random.Random(seed), new_keys(folder, HOMES), list[str]()
    homes = [Home(i) for i in range(HOMES)]
    lost = half = 0
    for number in range(kills):
        with serving(folder, keys, options) as server:
            told += asyncio.run(until_killed(server, homes, model, pictures, rng))
        for home in homes:
            found = examined(folder / "concepts.db", home)
            lost, half = lost + found[0], half + found[1]
        progress("kills", number + 1, kills)
    counts = {verb: told.count(verb) for verb in ("add", "forget", "ask")}
    return {"kills": kills, "acknowledged": counts, "lost": lost, "half": half}


def shown(figures: Mapping[str, Any]) -> Shown:
    """One row."""
    told = (f"{n:,}" for n in figures["acknowledged"].values())
    row = (str(figures["kills"]), *told, str(figures["lost"]), str(figures["half"]))
    return Shown((Table("A server killed under load", ("kills", "added", "forgotten", "asked", "lost", "half"), (row,)),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "serving_kills.json")
    arguments = parser.parse_args()
    pictures = World(HOMES, arguments.seed).pictures[:16]
    with tempfile.TemporaryDirectory() as folder:
        figures = killed(Path(folder), arguments.kills, arguments.seed, "mini", pictures, ())
    write_result(arguments.out, arguments.seed, figures, shown(figures))


if __name__ == "__main__":
    main()
