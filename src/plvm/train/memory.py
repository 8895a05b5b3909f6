"""How much memory a computation holds at its peak, on any device: the sum of living tensors that it made."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class MemoryMeter(TorchDispatchMode):
    """Counts the bytes of every storage that operations inside the context make, until it is gone; `peak` is the most that
    lived at a time. What was there before does not count; workspaces inside an operation are not seen."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {storage._cdata for storage in _storages((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for storage in _storages(out):
            self._meet(storage, given)
        return out

    def _meet(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        name, size = storage._cdata, storage.nbytes()
        if name in given or name in self._known:
            return
        self._known.add(name)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._gone, name, size)

    def _gone(self, name: int, size: int) -> None:
        self._known.discard(name)
        self.live -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    """Those of all tensors in it, but for weights that oneDNN has laid out, which show none."""
    tensors = [t for t in tree_leaves(tree) if isinstance(t, torch.Tensor) and not t.is_mkldnn]
    return [t.untyped_storage() for t in tensors]


def peak_bytes(step: Callable[[], Any]) -> int:
    """The peak of memory that `step` holds beyond what was there before it."""
    with MemoryMeter() as meter:
        step()
    return meter.peak
