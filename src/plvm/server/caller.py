"""Who calls: the namespace that their key opens, and how often they may."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock

from fastapi import Request

from plvm.server.refusals import Refusal, too_many
from plvm.server.service import Service


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


def caller_of(request: Request) -> str:
    """The namespace of whoever calls. Raises Refusal without a key that opens one."""
    service: Service = request.app.state.service
    rates: Rates = request.app.state.rates
    if service.open_to_all:
        rates.take("")
        request.state.namespace = service.namespace
        return service.namespace
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _no_key("This server needs an API key.", 'Send it as "Authorization: Bearer KEY".')
    entry = service.keys.namespace_of(key.strip()) if service.keys is not None else None
    if entry is None:
        raise _no_key("This API key is not known.", "Make one with `plvm keys new NAMESPACE`.")
    request.state.key, request.state.namespace = entry.id, entry.namespace  # for the audit log
    rates.take(entry.id)
    return entry.namespace


def _no_key(message: str, hint: str) -> Refusal:
    return Refusal(401, "invalid_api_key", message, hint)
