"""Figures of a running server, for Prometheus."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from plvm.server.service import Service

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Figures:
    """Counts of one server, marked as those of `replica` where there are many; routes' names are in them, nobody's names."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, replica: str = "") -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self._own = {"replica": replica} if replica else {}
        self._requests = Counter("plvm_requests", "Requests by route and status.", ("route", "status", *self._own), registry=r)
        self._seconds = Histogram(
            "plvm_request_seconds", "Seconds until an answer began.", ("route", *self._own), buckets=SECONDS, registry=r
        )
        self._gauges = {
            name: Gauge(f"plvm_{name}", about, tuple(self._own), registry=r)
            for name, about in (
                ("waiting", "Jobs in the queue."),
                ("writing", "Answers that are being written."),
                ("restarts", "How often the model failed and began again."),
                ("tokens", "Tokens that were written in whole answers."),
                ("prefix_bytes", "Bytes of pictures that were looked at."),
                ("session_bytes", "Bytes of dialogues that may go on."),
            )
        }

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route=route, status=str(status), **self._own).inc()
        self._seconds.labels(route=route, **self._own).observe(seconds)

    def text(self, service: Service) -> bytes:
        """All of them, as Prometheus reads them."""
        worker = service.worker
        held = service.vlm.engine.prefixes.bytes, service.sessions.bytes
        now = worker.waiting, worker.writing, worker.restarts, worker.tokens, *held
        for gauge, value in zip(self._gauges.values(), now, strict=True):
            (gauge.labels(**self._own) if self._own else gauge).set(value)
        return generate_latest(self.registry)


class Counted:
    """ASGI middleware that counts every request when its answer begins."""

    def __init__(self, app: Any, figures: Figures) -> None:
        self.app, self.figures = app, figures

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.monotonic()

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self.figures.count(route, message["status"], time.monotonic() - begun)
            await send(message)

        await self.app(scope, receive, noted)
