"""Ways that are measured in turn meet the same machine, and short ones the same caches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from plvm_lab.measure import in_turn as measured
from plvm_lab.measure.in_turn import in_turn, ratios, summary


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes on only where a step says so."""
    now = [0.0]
    monkeypatch.setattr(measured.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(measured, "_computed", lambda: now[0])
    return now


def test_short_steps_are_made_once_before_they_are_timed_and_long_ones_are_not(clock: list[float]) -> None:
    made: list[str] = []

    def step(name: str, first: float, warm: float) -> Callable[[], None]:
        """Slow where another way was there before."""

        def run() -> None:
            clock[0] += warm if made and made[-1] == name else first
            made.append(name)

        return run

    times = in_turn({"short": (step("short", 0.04, 0.01), 2), "long": (step("long", 3.0, 2.0), 1)}, 3)
    assert times["short"]["seconds"] == pytest.approx(0.005) and times["long"]["seconds"] == pytest.approx(3.0)
    assert made == ["short", "long"] + ["short", "short", "long"] * 3
    assert len(times["short"]["each"]) == 3, "the first round warms up"


def test_a_ratio_is_that_of_the_same_moment() -> None:
    rounds = [(1.0, 1.0), (10.0, 10.0), (2.0, 2.0)]
    times = {"ours": summary(rounds), "naive": summary([(3 * a, 4 * b) for a, b in rounds])}
    assert ratios(times) == {"ratio": pytest.approx(3.0), "ratio_computing": pytest.approx(4.0)}
    times["naive"] = summary([(3.0, 3.0), (5.0, 5.0), (6.0, 6.0)])
    assert ratios(times)["ratio"] == pytest.approx(3.0), "of 3, 0.5 and 3; medians are 5 and 2"
