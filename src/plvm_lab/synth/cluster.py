"""Shards made in a Ray cluster. Every node has plvm installed and sees the dataset's folder under the same path."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from plvm.data.spec import Shard
from plvm.errors import PlvmError, RequestError
from plvm_lab.synth.shard import Job


class ShardActor:
    """One worker of the cluster with its models loaded once."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(1)
        self.maker = job.maker()

    def make(self, shard: Shard) -> Shard:
        """Make a shard and return it."""
        self.maker.make(shard)
        return shard


def make_on_ray(job: Job, shards: Sequence[Shard], address: str, workers: int) -> Iterator[Shard]:
    """Make shards with `workers` actors of the cluster at `address` ("local": one that is started here), yielding each
    when it is done. Raises RequestError where Ray or the cluster is missing, PlvmError where a worker failed."""
    try:
        import ray
    except ImportError:
        raise RequestError("--ray needs Ray.", 'Install it with: pip install "plvm[ray]"') from None
    from ray.util import ActorPool

    _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, ignore_reinit_error=True)
    except Exception as error:  # Ray has many ways not to find a cluster
        raise RequestError(f"There is no Ray cluster at {address} ({type(error).__name__}).", "Check --ray.") from None
    try:
        gpus = 1 if str(job.spec.options.get("device") or "").startswith("cuda") else 0
        actor: Any = ray.remote(num_cpus=1, num_gpus=gpus)(ShardActor)
        job = replace(job, folder=job.folder.resolve())
        pool: Any = ActorPool([actor.remote(job) for _ in range(min(workers, max(1, len(shards))))])
        yield from pool.map_unordered(lambda a, shard: a.make.remote(shard), shards)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(error.cause, PlvmError) else None
        raise cause or PlvmError(f"A worker failed: {error}", "Start again: finished shards are kept.") from None
    except ray.exceptions.RayError as error:
        raise PlvmError(f"A worker died: {error}", "Start again: finished shards are kept.") from None
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise RequestError where nobody listens at host:port or ray://host:port: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise RequestError(f"There is no Ray cluster at {address} ({type(error).__name__}).", "Check --ray.") from None
