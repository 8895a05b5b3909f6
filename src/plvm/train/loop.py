"""One resumable training loop, for the Aligner and for every stage of the mini build.

In: parts with parameters and a function that gives the losses of step i. It owns the optimiser, the schedule, the checkpoint
and the log; it knows nothing of what is trained. A stage that was interrupted continues from its last checkpoint.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

TABLE_FACTOR = 2.0  # embedding rows are of size 1 and seldom met: they need longer steps than matrices
Report = Callable[[str, int, int, Mapping[str, float]], None]  # stage, step, steps, figures


def schedule(step: int, steps: int, warmup: int, floor: float) -> float:
    """Linear warm-up, then a cosine down to `floor` times the peak."""
    if step < warmup:
        return (step + 1) / warmup
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def save_atomically(value: object, path: Path) -> None:
    """Write a checkpoint so that a reader sees the old one or the new one, never half of one."""
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    os.replace(partial, path)


class Optimizers:
    """Muon for the matrices of the blocks, AdamW for everything else; one learning rate, times a group's own factor.

    Muon (orthogonalised momentum, its steps scaled to AdamW's size) needs about half of AdamW's steps here: words and faces
    that are seldom met are learned as fast as the others.
    """

    def __init__(self, parts: Mapping[str, nn.Module], lr: float, *, muon: bool = True) -> None:
        named = [(n, p) for part in parts.values() for n, p in part.named_parameters() if p.requires_grad]
        tables = {id(m.weight) for part in parts.values() for m in part.modules() if isinstance(m, nn.Embedding)}
        inner = [p for n, p in named if muon and p.ndim == 2 and ("layer" in n or "block" in n)]
        taken = tables | {id(p) for p in inner}
        others = [p for _, p in named if id(p) not in taken]
        groups = [
            {"params": [p for _, p in named if id(p) in tables], "weight_decay": 0.0, "factor": TABLE_FACTOR},
            {"params": [p for p in others if p.ndim > 1], "weight_decay": 0.02, "factor": 1.0},
            {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0, "factor": 1.0},
        ]
        self.lr = lr
        self.parameters = [p for _, p in named]
        self.parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))]
        if inner:
            group = [{"params": inner, "factor": 1.0}]
            self.parts.append(torch.optim.Muon(group, lr=lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"))

    def step(self, loss: Tensor, share: float) -> None:
        """One step down `loss` at `share` of the peak learning rate."""
        for optimizer in self.parts:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = group["factor"] * self.lr * share
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.parts:
            optimizer.step()

    def state(self) -> list[dict[str, object]]:
        return [optimizer.state_dict() for optimizer in self.parts]

    def load(self, states: list[dict[str, object]]) -> None:
        for optimizer, state in zip(self.parts, states, strict=True):
            optimizer.load_state_dict(state)


def run_stage(
    name: str,
    parts: Mapping[str, nn.Module],
    losses: Callable[[int, random.Random], Mapping[str, Tensor]],
    *,
    folder: Path,
    steps: int,
    lr: float,
    seed: int,
    report: Report,
    floor: float = 0.02,
    warmup: int = 100,
    save_every: float = 60.0,
    muon: bool = True,
) -> None:
    """Train every parameter of `parts` that wants a gradient on `losses(step, rng)["total"]` for `steps` steps.

    Writes `<name>.pt` (parts, optimisers, step) and `<name>.jsonl` (mean figures per 50 steps) into `folder`; a finished stage
    only loads its parts.
    """
    path = folder / f"{name}.pt"
    optimizers = Optimizers(parts, lr, muon=muon)
    start = 0
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        for key, part in parts.items():
            part.load_state_dict(state["parts"][key])
        optimizers.load(state["optimizers"])
        start = state["step"]

    def save(step: int) -> None:
        weights = {k: p.state_dict() for k, p in parts.items()}
        save_atomically({"parts": weights, "optimizers": optimizers.state(), "step": step}, path)

    saved, sums, counts = time.monotonic(), dict[str, float](), dict[str, int]()
    for step in range(start, steps):
        rng = random.Random(f"{name}/{seed}/{step}")
        torch.manual_seed(rng.randrange(2**31))
        figures = losses(step, rng)
        optimizers.step(figures["total"], schedule(step, steps, min(warmup, max(1, steps // 5)), floor))
        for key, value in figures.items():
            if (number := float(value.detach())) == number:
                sums[key], counts[key] = sums.get(key, 0.0) + number, counts.get(key, 0) + 1
        if (step + 1) % 50 == 0 or step + 1 == steps:
            means = {k: round(v / counts[k], 4) for k, v in sums.items()}
            with (folder / f"{name}.jsonl").open("a") as log:
                log.write(json.dumps({"step": step + 1, "time": round(time.time(), 1), **means}) + "\n")
            report(name, step + 1, steps, means)
            sums, counts = {}, {}
        if time.monotonic() - saved > save_every:
            save(step + 1)
            saved = time.monotonic()
    if start < steps:
        save(steps)
