"""A dataset from a spec: shards by as many workers as wanted, here or in a Ray cluster, then the manifest.

Killed at any moment and started again, it goes on with the shards that are missing; the bytes are those of an undisturbed
run, whoever made which shard.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from plvm.data.manifest import MANIFEST, Manifest, read_manifest
from plvm.data.spec import Shard, Spec, check_inputs, plan, read_spec
from plvm.errors import PlvmError, RequestError
from plvm_lab.synth.build_generator import build_generator
from plvm_lab.synth.cluster import make_on_ray
from plvm_lab.synth.finish import finish
from plvm_lab.synth.generator import Generator
from plvm_lab.synth.shard import Job, ShardMaker, is_whole

SPEC = "spec.json"
Report = Callable[[int, int], None]  # identities done, identities in all


def synthesize(
    spec: Spec, folder: Path, *, generator: Generator | None = None, workers: int = 1, ray: str | None = None,
    report: Report = lambda done, total: None,
) -> Manifest:  # fmt: skip
    """Make the dataset of `spec` in `folder`, or what is missing of it, and return its manifest.

    `generator` stands in for the one that the spec names; it has to be what a process can be handed. `workers` processes
    work side by side (1: this one alone); `ray` is the address of a Ray cluster that shares the folder. A folder holds
    one spec, and one state of what the generator takes from elsewhere: another one is refused (RequestError). Raises
    PlvmError where the disk is full, a worker died or pictures of one split are found in another; all shards that were
    finished by then are kept.
    """
    own, generator = generator, generator if generator is not None else build_generator(spec)
    spec = replace(spec, inputs=generator.inputs())
    claim(spec, folder)
    if (folder / MANIFEST).exists():
        return read_manifest(folder)
    started = time.time()
    shards = plan(spec, generator.keys())
    if not shards:
        raise RequestError("There is nobody to make pictures of.", "Ask for at least one identity.")
    total = sum(len(s.identities) for s in shards)
    missing = [s for s in shards if not is_whole(folder, s)]
    done = total - sum(len(s.identities) for s in missing)
    report(done, total)
    for shard in _made(Job(spec, folder, own), missing, workers, ray):
        done += len(shard.identities)
        report(done, total)
    return finish(spec, folder, shards, generator.describe(), started, missing)


def claim(spec: Spec, folder: Path) -> None:
    """Write the spec into a new folder, or check that the folder is this spec's. Raises RequestError, PlvmError."""
    path = folder / SPEC
    if path.exists():
        begun = read_spec(path)
        if replace(begun, inputs=spec.inputs).to_json() == spec.to_json():
            check_inputs(begun, spec.inputs, folder)
        else:
            raise RequestError(f"{folder} holds another dataset.", "Choose another --out, or remove that folder.")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(f.suffix != ".part" for f in folder.iterdir()):
            raise RequestError(f"{folder} is not empty.", "Choose another --out.")
        part = path.with_suffix(".part")
        part.write_text(spec.to_json(), encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise PlvmError(f"{folder} cannot be written to: {error.strerror}.", "Choose another --out.") from None


def _made(job: Job, shards: Sequence[Shard], workers: int, ray: str | None) -> Iterator[Shard]:
    if ray is not None:
        return make_on_ray(job, shards, ray, workers)
    if workers == 1 or len(shards) <= 1:
        return _made_here(job, shards)
    return _made_by_processes(job, shards, min(workers, len(shards)))


def _made_here(job: Job, shards: Sequence[Shard]) -> Iterator[Shard]:
    if shards:
        maker = job.maker()
        with _one_thread(job.spec):
            for shard in shards:
                maker.make(shard)
                yield shard


@contextmanager
def _one_thread(spec: Spec) -> Iterator[None]:
    """Models compute with one thread meanwhile: scores must not depend on how many workers share the cores."""
    if not spec.filters and spec.answers == "truth":
        yield  # there is no model, and no need to load torch
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


_maker: Callable[[], ShardMaker]  # a worker process's own, built once


def _start_worker(job: Job) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C goes to all processes: this one's shard is finished
    _end_with_parent()
    _maker = cache(job.maker)  # at the first shard: an error here would look like a worker's death


def _make_in_worker(shard: Shard) -> Shard:
    maker = _maker()
    with _one_thread(maker.spec):
        maker.make(shard)
    return shard


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Start processes in here: Ctrl-C comes to none of them, and to this one afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Let this worker end when the process that started it is gone, even by kill -9."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _made_by_processes(job: Job, shards: Sequence[Shard], workers: int) -> Iterator[Shard]:
    job.maker()  # what is missing or misspelled is refused here, in this process
    context = multiprocessing.get_context("spawn")  # threads of torch do not survive a fork
    pool = ProcessPoolExecutor(workers, context, _start_worker, (job,))
    try:
        with _undisturbed():
            made = [pool.submit(_make_in_worker, shard) for shard in shards]
        for future in as_completed(made):
            yield future.result()
    except BrokenProcessPool:
        raise PlvmError(
            "A worker died, perhaps for want of memory.",
            "Start the same command again with fewer --workers: finished shards are kept.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
