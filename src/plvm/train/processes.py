"""Training by several processes, by `accelerate`: started by torchrun, each takes its share of every step.

Gradients are added up in one flat all-reduce per step rather than by DDP's hooks: a step has several backward passes (with
and without pictures), and an Aligner's gradients are small beside a backbone's step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from plvm.errors import RequestError
from plvm.model.backbone import Backbone
from plvm.runtime import has_package
from plvm.train.loop import OneProcess


class Team(OneProcess):
    """This process among all that train together. `device` None: the one that accelerate gives it.

    `trackers` are names that accelerate knows, comma-separated; their logs go to `folder`. Raises RequestError where a
    package is missing.
    """

    def __init__(self, device: str | None, trackers: str, folder: Path) -> None:
        if not has_package("accelerate"):
            raise RequestError("Training needs accelerate.", 'Install it: `pip install "plvm[train]"`.')
        from accelerate import Accelerator
        from accelerate.tracking import get_available_trackers

        wanted, here = [t.strip() for t in trackers.split(",") if t.strip()], list(map(str, get_available_trackers()))
        for name in wanted:
            if name not in here:
                raise RequestError(
                    f'The tracker "{name[:40]}" is not installed.',
                    f"Install it (`pip install {name[:40]}`), or set train.trackers to: {', '.join(here) or 'nothing'}.",
                )
        self.accelerator: Any = Accelerator(cpu=device == "cpu", log_with=wanted or None, project_dir=str(folder))
        self.main: bool = self.accelerator.is_main_process
        self.rank: int = self.accelerator.process_index
        self.size: int = self.accelerator.num_processes
        self.device = device if device is not None and self.size == 1 else str(self.accelerator.device)
        self._tracks = bool(wanted)

    def shard(self, backbone: Backbone) -> None:
        """Spread the layers of a backbone's language model over all processes; each is put together where it computes.

        All processes must then run the same number of forward and backward passes. Raises RequestError for one process.
        """
        if self.size == 1:
            raise RequestError(
                "train.shard spreads a backbone over processes, and there is one.",
                "Start several: torchrun --nproc-per-node 2 --no-python plvm train ...",
            )
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(torch.device(self.device).type, (self.size,))
        for layer in backbone.language_model.layers:
            fully_shard(layer, mesh=mesh)
        backbone.model.to(self.device)

    def start(self, name: str) -> None:
        """Open the trackers."""
        if self._tracks:
            self.accelerator.init_trackers(name)

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Hand the figures of a step to the trackers."""
        if self._tracks:
            self.accelerator.log(dict(figures), step=step)

    def end(self) -> None:
        """Wait for the others, then close the trackers and what connects the processes; a process that leaves it open may abort
        at its end."""
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        if self.size == 1:
            return
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters])
        total = self.accelerator.reduce(flat, "sum")
        for p, own in zip(parameters, total.split([p.numel() for p in parameters]), strict=True):
            p.grad = own.view_as(p)

    def add(self, figures: Mapping[str, float]) -> dict[str, float]:
        if self.size == 1:
            return dict(figures)
        values = torch.tensor(list(figures.values()), dtype=torch.float64, device=self.accelerator.device)
        return dict(zip(figures, self.accelerator.reduce(values, "sum").tolist(), strict=True))
