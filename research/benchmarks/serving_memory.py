"""A server's memory under a mixed load, minute by minute.

    python research/benchmarks/serving_memory.py                     # research/results/serving_memory.json: ten minutes
    python research/benchmarks/serving_memory.py --minutes 2 --homes 8 --out /tmp/memory.json      # a short run

64 homes, as in `serving_load.py`, ask, recognise, describe, stream, leave in the middle, bring visitors, add and forget people,
and send nonsense; at the end of every minute the resident memory of the server's process is read.

Claim: from the third minute on within 5 % of their mean, and no answer of 5xx.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result
from serving_load import CHAT, CONCEPTS, Caller, Process, World, a_server

WARM = 2  # minutes


async def mixed(world: World, server: Process, minutes: int, seed: int) -> list[dict[str, Any]]:
    """Memory and counts at the end of every minute."""
    counts: Counter[str] = Counter()
    ending = time.monotonic() + 60 * minutes

    async def caller_of(home: int) -> None:
        rng, caller = random.Random(seed * 1000 + home), Caller(server.port, server.keys[home])
        while time.monotonic() < ending:
            method, path, body, leave = anything(world, home, rng)
            status, headers, _ = await caller.send(method, path, body, leave)
            counts["left" if status == 0 else "broken" if status < 0 else f"{status // 100}xx"] += 1
            if status == 429:
                await asyncio.sleep(float(headers["retry-after"]))

    async def watcher() -> list[dict[str, Any]]:
        found = []
        for minute in range(1, minutes + 1):
            await asyncio.sleep(max(0.0, ending - 60 * (minutes - minute) - time.monotonic()))
            found.append({"minute": minute, "memory_mib": server.os.memory_info().rss / 2**20, "requests": dict(counts)})
            print(json.dumps(found[-1]), file=sys.stderr)
        return found

    rows, *_ = await asyncio.gather(watcher(), *(caller_of(home) for home in range(world.homes)))
    return rows


def anything(world: World, home: int, rng: random.Random) -> tuple[str, str, Any, float | None]:
    """(method, path, body, when to leave) of a request of any kind."""
    picture = rng.choice(world.pictures)
    body = world.asked(home, 0, 1, ())
    body["messages"][0]["content"][0]["image_url"]["url"] = picture
    kinds: list[tuple[int, tuple[str, str, Any, float | None]]] = [
        (8, ("POST", CHAT, body, None)),
        (4, ("POST", CHAT, body | {"stream": True, "temperature": 1.0, "seed": rng.randrange(99)}, None)),
        (2, ("POST", CHAT, body, rng.random())),
        (2, ("POST", CHAT, body | {"concepts": [{"name": "guest", "images": [rng.choice(world.pictures)]}]}, None)),
        (2, ("POST", "/v1/recognize", {"image": picture}, None)),
        (1, ("POST", "/v1/describe", {"image": picture}, None)),
        (1, ("POST", CONCEPTS, {"name": f"visitor {rng.randrange(9)}", "images": [picture], "replace": True}, None)),
        (1, ("DELETE", f"{CONCEPTS}/visitor-{rng.randrange(9)}", None, None)),
        (1, ("GET", CONCEPTS, None, None)),
        (1, ("POST", CHAT, {"model": "mini", "messages": rng.choice([[], "?", [{}]])}, None)),
    ]
    return rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]


def shown(figures: Mapping[str, Any]) -> Shown:
    """Memory by minute."""
    rows = tuple(
        (str(row["minute"]), f"{row['memory_mib']:,.0f} MiB", f"{sum(row['requests'].values()):,}") for row in figures["minutes"]
    )
    return Shown((Table("A server's memory under a mixed load", ("minute", "memory", "requests so far"), rows),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=int, default=64)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "serving_memory.json")
    arguments = parser.parse_args()
    world = World(arguments.homes, arguments.seed)
    with a_server(world.homes) as server:
        asyncio.run(world.move_in(server))
        rows = asyncio.run(mixed(world, server, arguments.minutes, arguments.seed))
    late = [row["memory_mib"] for row in rows[WARM:]] or [rows[-1]["memory_mib"]]
    away = max(abs(m / statistics.mean(late) - 1) for m in late)
    figures = {"homes": world.homes, "cores": len(os.sched_getaffinity(0)), "minutes": rows, "away_from_mean": away}
    write_result(arguments.out, arguments.seed, figures, shown(figures))


if __name__ == "__main__":
    main()
