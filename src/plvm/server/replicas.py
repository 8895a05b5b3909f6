"""Many replicas of one server in Ray Serve, behind one address.

Each replica is the same application with a model of its own. What they share is the store, the files of keys, and an actor with
the uploaded files and the rates of callers. What was computed (pictures looked at, dialogues, visitors) each has for itself:
where it is missing it is computed again, and answers are the same.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
import torch
from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayError, RayTaskError

from plvm.errors import PlvmError, RequestError
from plvm.server.api import GRACE, build_api
from plvm.server.limits import Limits
from plvm.server.rates import Rates
from plvm.server.refusals import Refusal
from plvm.server.service import Service
from plvm.server.uploads import Uploads

LOCAL = "local"
NAME = "plvm"
ONGOING = 1000  # requests that Ray hands to a replica at once: when it is too much, the replica's own queue says
HEALTH = 2.0  # seconds between two looks at whether a replica lives
MEMORY = 256 * 1024**2  # bytes of a cluster that is started here for what its processes hand each other
QUIET = {"log_level": "ERROR", "enable_access_log": False}


@dataclass(frozen=True)
class Cluster:
    """So many `replicas`, with `gpus` of each, in the Ray cluster at `address`; LOCAL: one that is started here."""

    replicas: int = 2
    address: str = LOCAL
    gpus: float = 0.0

    def check(self, is_file: bool) -> None:
        """Raise RequestError where there is no replica, or the store is a file that other machines do not have."""
        if self.replicas < 1:
            raise RequestError(f"{self.replicas} replicas answer nothing.", "Give --replicas 1 or more.")
        if is_file and self.address != LOCAL:
            raise RequestError(
                "Replicas on several machines cannot share an SQLite file.", "Name a PostgreSQL store: `--store postgresql://...`."
            )


class Shared:
    """The actor with what all replicas share."""

    def __init__(self, limits: Limits) -> None:
        self._parts = {"uploads": Uploads(limits.file_seconds, limits.file_bytes), "rates": Rates(limits.per_minute)}

    def call(self, part: str, method: str, *args: Any) -> Any:
        """What a method of `part` returns. Raises what it raises."""
        return getattr(self._parts[part], method)(*args)


class Elsewhere:
    """One part of a `Shared` actor, used as if it were here. Raises Refusal as the part does, and where it cannot be reached."""

    def __init__(self, shared: Any, part: str) -> None:
        self._shared, self._part = shared, part

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any) -> Any:
            try:
                return ray.get(self._shared.call.remote(self._part, method, *args))
            except RayTaskError as error:
                raise error.cause from None
            except RayError:
                hint = "Try again; upload files anew."
                raise Refusal(503, "not_ready", "What the replicas share cannot be reached.", hint, retry_after=2) from None

        return call


def serve_replicas(
    make: Callable[[], Service], cluster: Cluster, host: str, port: int, *, limits: Limits, origins: Collection[str] = (),
    ready: Callable[[str], object],
) -> None:  # fmt: skip
    """Serve with many replicas until the process is told to end (SIGINT, SIGTERM), as `plvm.server.serving.serve` does with one;
    `make` makes the service of each, in its own process. Raises RequestError where the address cannot be used or there is no
    cluster, PlvmError where a replica cannot be started."""
    port = _free(host, port)
    _join(cluster)
    try:
        _deploy(make, cluster, host, port, limits, origins)
        told = threading.Event()
        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, lambda *_: told.set())
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        told.wait()
    finally:
        _end(GRACE + 10)


def _end(seconds: float) -> None:
    """Take no more requests, and end the replicas once the answers that they are writing are whole, but after so many seconds in
    any case: one that is just starting keeps the others from ending."""
    over = threading.Event()

    def in_order() -> None:
        with suppress(Exception):  # what cannot be ended in order ends with the process
            serve.delete(NAME, _blocking=False)
            while not over.wait(0.1) and NAME in serve.status().applications:
                pass

    ending = threading.Thread(target=in_order, daemon=True)
    ending.start()
    ending.join(seconds)
    over.set()  # whoever asks Ray anything after its end starts it again, and then this process does not end
    ending.join(5)
    ray.shutdown()


def _free(host: str, port: int) -> int:
    """The port, for 0 one that is free. Raises RequestError where nothing can listen there."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as there:
            return int(there.getsockname()[1])
    except OSError:
        hint = "Choose another --port, or end what uses this one."
        raise RequestError(f"Nothing can listen at {host}:{port}.", hint) from None


def _join(cluster: Cluster) -> None:
    """Start the cluster, or become a part of it. Raises RequestError."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    here: dict[str, Any] = {  # no CPU is what replicas ask for; for each that is there Ray would start a process that waits
        "include_dashboard": False, "num_cpus": 0, "object_store_memory": MEMORY,
    }  # fmt: skip
    try:
        ray.init(
            cluster.address, namespace=NAME, log_to_driver=False, logging_level=logging.ERROR,
            **(here if cluster.address == LOCAL else {}),
        )  # fmt: skip
    except Exception as error:  # Ray has many ways not to find a cluster
        if cluster.address == LOCAL:
            raise PlvmError(f"Ray cannot be started here: {error}", "Try again when the machine has less to do.") from None
        what = f"There is no Ray cluster at {cluster.address} ({type(error).__name__})."
        raise RequestError(what, "Name one with --ray-address, or leave it out to start one here.") from None


def _deploy(
    make: Callable[[], Service], cluster: Cluster, host: str, port: int, limits: Limits, origins: Collection[str]
) -> None:
    shared = ray.remote(num_cpus=0, max_restarts=-1)(Shared).remote(limits)
    threads = max(1, torch.get_num_threads() // cluster.replicas) if cluster.address == LOCAL else 0

    def build() -> FastAPI:
        if threads:  # Ray would give one to each
            torch.set_num_threads(threads)
        service: Any = make()
        service.uploads = Elsewhere(shared, "uploads")
        if limits.per_minute:
            service.rates = Elsewhere(shared, "rates")
        return build_api(service, origins, replica=serve.get_replica_context().replica_tag)

    replicas = serve.deployment(
        name=NAME, num_replicas=cluster.replicas, max_ongoing_requests=ONGOING, graceful_shutdown_timeout_s=GRACE,
        health_check_period_s=HEALTH, max_constructor_retry_count=1, logging_config=QUIET,
        ray_actor_options={"num_cpus": 0, "num_gpus": cluster.gpus},
    )(serve.ingress(build)())  # fmt: skip
    try:
        serve.start(http_options={"host": host, "port": port}, logging_config=QUIET)
        serve.run(replicas.bind(), name=NAME)
    except (RuntimeError, TimeoutError, RayError) as error:
        what = f"The replicas could not be started: {str(error).strip().splitlines()[-1]}"
        raise PlvmError(what, "Look whether `plvm serve` starts without --ray.") from None
