"""How often somebody may ask."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock

from plvm.server.refusals import too_many


class Rates:
    """How many requests of each caller are left: `per_minute` at most, coming back evenly."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self._clock = per_minute, clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def take(self, caller: str) -> None:
        """Count one request. Raises Refusal where the caller has none left."""
        if not self.per_minute:
            return
        now, pace = self._clock(), self.per_minute / 60
        with self._lock:
            left, since = self._left.get(caller, (float(self.per_minute), now))
            left = min(self.per_minute, left + (now - since) * pace)
            if left < 1:
                self._left[caller] = left, now
                raise too_many(max(1, math.ceil((1 - left) / pace)), self.per_minute)
            self._left[caller] = left - 1, now
