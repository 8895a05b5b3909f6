"""Several ways of the same work, measured in turn, so that a busy moment meets all of them alike."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from plvm_lab.measure.timing import wait_for

SHORT = 0.5  # seconds
Ways = Mapping[str, tuple[Callable[[], Any], float]]
Times = dict[str, dict[str, Any]]


def in_turn(ways: Ways, rounds: int, device: str = "cpu") -> Times:
    """Times of each way after one call that warms it up: `ways` are calls, each with how many units of work it does.

    Of each: `seconds` a unit on the clock, the median, with `low` and `high` quartiles, and `computing`, the median of the
    processor's seconds of this process and of those that it waited for; `each` has both of every round. A short call is made
    once more before it is timed, for it would find in the processor's caches what the other ways left there.
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    short = set[str]()
    for turn in range(rounds + 1):
        for name, (step, units) in ways.items():
            if name in short:
                step()
            wait_for(device)
            begun, computed = time.perf_counter(), _computed()
            step()
            wait_for(device)
            taking = time.perf_counter() - begun
            if turn:
                taken[name].append((taking / units, (_computed() - computed) / units))
            elif taking < SHORT:
                short.add(name)
    return {name: summary(own) for name, own in taken.items()}


def within(context: Callable[[], AbstractContextManager[None]], step: Callable[[], Any]) -> Callable[[], None]:
    """A step in a context."""

    def run() -> None:
        with context():
            step()

    return run


def _computed() -> float:
    done = os.times()
    return time.process_time() + done.children_user + done.children_system


def summary(taken: list[tuple[float, float]]) -> dict[str, Any]:
    """Of (seconds on the clock, seconds of computing) of every round what `in_turn` says."""
    clock = [seconds for seconds, _ in taken]
    low, _, high = statistics.quantiles(clock, n=4, method="inclusive") if len(clock) > 1 else clock * 3
    computing = statistics.median(seconds for _, seconds in taken)
    return {"seconds": statistics.median(clock), "low": low, "high": high, "computing": computing, "each": taken}


def ratios(times: Times, ours: str = "ours", naive: str = "naive") -> dict[str, float]:
    """How many times as much `naive` takes as `ours`: `ratio` by the clock, `ratio_computing` by what was computed. Medians of
    the rounds' own ratios: a moment at which everything is slow says nothing about either."""
    rounds = list(zip(times[naive]["each"], times[ours]["each"], strict=True))
    clock, computing = ([a[i] / max(b[i], 1e-9) for a, b in rounds] for i in (0, 1))
    return {"ratio": statistics.median(clock), "ratio_computing": statistics.median(computing)}
