"""GPU work recorded once and played again (CUDA graphs).

A step of a 7B model launches about a thousand small kernels, and a CPU takes longer to launch them than the GPU to run them.
A recording launches all of them at once. It reads and writes the same memory every time, so whoever plays it writes its input
into a tensor that was there when it was recorded, and copies what comes out before it is played again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

UNRECORDED = 2  # calls of a shape that are computed as always: many a model is asked once or twice, and recording takes time
SHAPES = 4  # shapes of input that are kept


def can_record(device: torch.device) -> bool:
    """Whether work on this device can be recorded."""
    return device.type == "cuda"


class Recording:
    """The work of a function on a GPU, recorded. `work` must have run before: what it makes at its first use is there then."""

    def __init__(self, work: Callable[[], Any], device: torch.device) -> None:
        self.graph = torch.cuda.CUDAGraph()
        stream, here = torch.cuda.Stream(device), torch.cuda.current_stream(device)
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            self.graph.capture_begin(capture_error_mode="thread_local")  # other threads may use the GPU meanwhile
            try:
                self.result = work()
            finally:
                self.graph.capture_end()
        here.wait_stream(stream)

    def play(self) -> Any:
        """Do the recorded work again; returns its result, in the memory that it has had from the start."""
        self.graph.replay()
        return self.result


def record(work: Callable[[], Any], device: torch.device) -> Recording | None:
    """A recording of `work`; None where it cannot be recorded, because it waits for the GPU in between."""
    try:
        return Recording(work, device)
    except RuntimeError:
        return None


class Replayed:
    """A function of one tensor [1, ...] without gradients, recorded on a GPU at its third call with a shape. Inputs of more
    rows, which launch work enough, and inputs on other devices are computed as always. Threads may share it."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self.function = function
        self._calls: Counter[Any] = Counter()
        self._kept: dict[Any, tuple[Tensor, Recording]] = {}
        self._lock = Lock()

    def __call__(self, x: Tensor) -> Any:
        if len(x) != 1 or not can_record(x.device) or torch.is_grad_enabled():
            return self.function(x)
        shape = (x.shape, x.dtype)
        with self._lock:
            self._calls[shape] += 1
            if self._calls[shape] == UNRECORDED + 1 and len(self._kept) < SHAPES:
                held = x.clone()
                if recording := record(lambda: self.function(held), x.device):
                    self._kept[shape] = held, recording
            if shape not in self._kept:
                return self.function(x)
            held, recording = self._kept[shape]
            held.copy_(x)
            return tree_map(lambda t: t.clone(), recording.play())
