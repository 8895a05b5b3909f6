"""`plvm serve` as a function: a socket, a process, an orderly end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import uvicorn

from plvm.errors import RequestError
from plvm.server.api import GRACE, build_api
from plvm.server.guard import is_loopback
from plvm.server.service import Service


def check_place(host: str, keys: int) -> None:
    """Raise RequestError where others could reach a server that needs no key."""
    if not is_loopback(host) and not keys:
        raise RequestError(
            f"At {host} others can reach this server, and it has no key.",
            "Make one with `plvm keys new NAMESPACE`, or stay at 127.0.0.1.",
        )


def serve(
    service: Service, host: str, port: int, *, origins: Collection[str] = (), ready: Callable[[str], object]
) -> None:
    """Serve until the process is told to end (SIGINT, SIGTERM): then no more requests are taken, and those that were are
    answered. Pages of `origins` may use it, beside its own. `ready` is told the address once it answers. Raises RequestError
    where the address cannot be used."""
    check_place(host, 0 if service.open_to_all else 1)
    config = uvicorn.Config(
        build_api(service, origins), host=host, port=port, log_level="warning", access_log=False, server_header=False,
        timeout_graceful_shutdown=int(GRACE), http="h11", h11_max_incomplete_event_size=64 * 1024,
    )  # fmt: skip
    _Server(config, ready).run_or_refuse()


class _Server(uvicorn.Server):
    def __init__(self, config: Any, ready: Callable[[str], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    def run_or_refuse(self) -> None:
        """Run; raises RequestError where the address cannot be used."""
        try:
            self.run()
        except SystemExit:
            place = f"{self.config.host}:{self.config.port}"
            raise RequestError(f"Nothing can listen at {place}.", "Choose another --port, or end what uses this one.") from None
