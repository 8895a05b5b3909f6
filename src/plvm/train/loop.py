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
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from plvm.errors import PlvmError

TABLE_FACTOR = 2.0  # embedding rows are of size 1 and seldom met: they need longer steps than matrices
Figures = Mapping[str, Tensor]  # "total" is what gradients are taken of
Losses = Callable[[int, random.Random], Figures | Iterable[Figures]]
Report = Callable[[str, int, int, Mapping[str, float]], None]  # stage, step, steps, figures


def schedule(step: int, steps: int, warmup: int, floor: float) -> float:
    """The share of the peak learning rate at `step` (0, 1, ..): a linear warm-up, then a cosine down to `floor`."""
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

    def __init__(
        self, parts: Mapping[str, nn.Module], lr: float, *, muon: bool = True, clip: float = 1.0,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:  # fmt: skip
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
        self.lr, self.clip = lr, clip
        self.scaler = scaler if scaler is not None else torch.amp.GradScaler(enabled=False)
        self.parameters = [p for _, p in named]
        self.parts: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))]
        if inner:
            group = [{"params": inner, "factor": 1.0}]
            self.parts.append(torch.optim.Muon(group, lr=lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"))

    def begin(self, share: float) -> None:
        """Start a step at `share` of the peak learning rate."""
        for optimizer in self.parts:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = group["factor"] * self.lr * share

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of one piece of the step's loss."""
        self.scaler.scale(loss).backward()

    def finish(self, team: Alone) -> None:
        """Take the step along the sum of all processes' gradients, cut to the length `clip`."""
        team.add_gradients(self.parameters)
        for optimizer in self.parts:
            self.scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        for optimizer in self.parts:
            self.scaler.step(optimizer)
        self.scaler.update()

    def state(self) -> list[dict[str, object]]:
        """What a checkpoint needs to go on: the state of each optimiser and, where one is used, of the gradient scaler."""
        scaler = [self.scaler.state_dict()] if self.scaler.is_enabled() else []
        return [*(optimizer.state_dict() for optimizer in self.parts), *scaler]

    def load(self, states: list[dict[str, object]]) -> None:
        """Go on from what `state` gave."""
        holders: list[Any] = [*self.parts, self.scaler]
        for part, state in zip(holders, states):
            part.load_state_dict(state)


class Alone:
    """A training of one process, and the interface of one among several (`plvm.train.processes.Team`)."""

    main = True  # whether this process writes files and reports

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes."""

    def add(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Sums of figures over all processes."""
        return dict(figures)


class Watch:
    """What looks at a training from outside, after every step; this one sees nothing. Its state is in the checkpoint."""

    done = False  # whether training ends early

    def after(self, step: int, steps: int) -> None:
        """Called when `step` of `steps` have been taken."""

    def state(self) -> dict[str, object]:
        """What is kept in the checkpoint: numbers, texts and truth values."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave when the checkpoint was written."""


def run_stage(
    name: str,
    parts: Mapping[str, nn.Module],
    losses: Losses,
    *,
    folder: Path,
    steps: int,
    lr: float,
    seed: int,
    report: Report,
    floor: float = 0.02,
    warmup: int = 100,
    save_every: float = 60.0,
    report_every: int = 50,
    muon: bool = True,
    clip: float = 1.0,
    scaler: torch.amp.GradScaler | None = None,
    team: Alone | None = None,
    watch: Watch | None = None,
) -> None:
    """Train every parameter of `parts` that wants a gradient on `losses(step, rng)["total"]` for `steps` steps.

    `losses` may also give a step in pieces, one after the other, whose figures add up to the step's. Writes `<name>.pt` (parts,
    optimisers, step) and `<name>.jsonl` (mean figures per `report_every` steps) into `folder`; a finished stage only loads
    its parts. Raises PlvmError where the loss is no number: the step is not taken, the last checkpoint stays.
    """
    path = folder / f"{name}.pt"
    team, watch = team or Alone(), watch or Watch()
    optimizers = Optimizers(parts, lr, muon=muon, clip=clip, scaler=scaler)
    start = saved_step = 0
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        for key, part in parts.items():
            part.load_state_dict(state["parts"][key])
        optimizers.load(state["optimizers"])
        watch.load(state.get("watch", {}))
        start = saved_step = state["step"]

    def save(step: int) -> None:
        if team.main:
            weights = {k: p.state_dict() for k, p in parts.items()}
            state = {"parts": weights, "optimizers": optimizers.state(), "step": step, "watch": watch.state()}
            save_atomically(state, path)

    saved, sums, counts = time.monotonic(), dict[str, float](), dict[str, int]()
    for step in range(start, steps):
        if watch.done:
            return
        rng = random.Random(f"{name}/{seed}/{step}")
        torch.manual_seed(rng.randrange(2**31))
        optimizers.begin(schedule(step, steps, min(warmup, max(1, steps // 5)), floor))
        pieces, own = losses(step, rng), dict[str, float]()
        for piece in [pieces] if isinstance(pieces, Mapping) else pieces:
            optimizers.backward(piece["total"])
            for key, value in piece.items():
                own[key] = own.get(key, 0.0) + float(value.detach())
        figures = team.add(own)
        if not math.isfinite(figures["total"]):
            raise _diverged(name, step, figures["total"], path, saved_step)
        optimizers.finish(team)
        for key, number in figures.items():
            if number == number:
                sums[key], counts[key] = sums.get(key, 0.0) + number, counts.get(key, 0) + 1
        if (step + 1) % report_every == 0 or step + 1 == steps:
            means = {k: round(v / counts[k], 6) for k, v in sums.items()}
            if team.main:
                with (folder / f"{name}.jsonl").open("a") as log:
                    log.write(json.dumps({"step": step + 1, "time": round(time.time(), 1), **means}) + "\n")
            report(name, step + 1, steps, means)
            sums, counts = {}, {}
        watch.after(step + 1, steps)
        if time.monotonic() - saved > save_every or watch.done or step + 1 == steps:
            save(step + 1)
            saved, saved_step = time.monotonic(), step + 1


def _diverged(name: str, step: int, loss: float, path: Path, saved: int) -> PlvmError:
    kept = f"The checkpoint of step {saved} is in {path}" if saved else "There is no checkpoint yet"
    return PlvmError(
        f"{name}: at step {step + 1} the loss is {loss}; the step was not taken.",
        f"{kept}. Begin again in another folder with a lower learning rate, or compute in fp32.",
    )
