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
from dataclasses import dataclass
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

    def finish(self, team: OneProcess) -> None:
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


class OneProcess:
    """A training of one process; `processes.Team` is one of several."""

    main = True  # whether this process writes files and reports

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes."""

    def add(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Sums of figures over all processes."""
        return dict(figures)


class Callback:
    """What looks at a training from outside, after every step; this one sees nothing. Its state is in the checkpoint."""

    done = False  # whether training ends early

    def after(self, step: int, steps: int) -> None:
        """Called when `step` of `steps` have been taken."""

    def state(self) -> dict[str, object]:
        """What goes into the checkpoint: numbers and texts."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave when the checkpoint was written."""


@dataclass(frozen=True)
class StageSettings:
    """How a stage is trained: `steps` of them; the learning rate rises to `lr` over `warmup` steps and falls to `floor` times it;
    gradients are cut to the length `clip`; with `muon` the matrices of blocks are trained by Muon. A checkpoint is written every
    `save_every` seconds, figures every `report_every` steps."""

    steps: int
    lr: float
    seed: int
    warmup: int = 100
    floor: float = 0.02
    clip: float = 1.0
    muon: bool = True
    save_every: float = 60.0
    report_every: int = 50


class Means:
    """Means of figures over some steps; what is no number does not count."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, figures: Mapping[str, float]) -> None:
        """Count one step's figures in."""
        for key, number in figures.items():
            if number == number:
                self.sums[key] = self.sums.get(key, 0.0) + number
                self.counts[key] = self.counts.get(key, 0) + 1

    def take(self) -> dict[str, float]:
        """The means, rounded; counting begins anew."""
        means = {key: round(total / self.counts[key], 6) for key, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means


class Checkpoint:
    """A stage on disk: `<name>.pt` holds parts, optimisers, the callback's state and how many steps were taken."""

    def __init__(
        self, path: Path, parts: Mapping[str, nn.Module], optimizers: Optimizers, callback: Callback, every: float
    ) -> None:
        self.path, self.parts, self.optimizers, self.callback, self.every = path, parts, optimizers, callback, every
        self.step, self._written = 0, time.monotonic()

    def load(self) -> int:
        """Put everything back as it was; the number of steps taken, 0 where there is no checkpoint."""
        if self.path.exists():
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            for key, part in self.parts.items():
                part.load_state_dict(state["parts"][key])
            self.optimizers.load(state["optimizers"])
            self.callback.load(state.get("watch", {}))
            self.step = state["step"]
        return self.step

    def save(self, step: int, main: bool, last: bool) -> None:
        """Write it where it is time to, or the `last` one; only the `main` process writes."""
        if not last and time.monotonic() - self._written <= self.every:
            return
        if main:
            weights = {key: part.state_dict() for key, part in self.parts.items()}
            state = {"parts": weights, "optimizers": self.optimizers.state(), "step": step, "watch": self.callback.state()}
            save_atomically(state, self.path)
        self.step, self._written = step, time.monotonic()


def run_stage(
    name: str,
    parts: Mapping[str, nn.Module],
    losses: Losses,
    settings: StageSettings,
    *,
    folder: Path,
    report: Report,
    scaler: torch.amp.GradScaler | None = None,
    team: OneProcess | None = None,
    callback: Callback | None = None,
) -> None:
    """Train every parameter of `parts` that wants a gradient on `losses(step, rng)["total"]`.

    `losses` may also give a step in pieces, one after the other, whose figures add up to the step's. Writes `<name>.pt` (the
    checkpoint) and `<name>.jsonl` (mean figures) into `folder`; a finished stage only loads its parts. Raises PlvmError where
    the loss is no number: the step is not taken, the last checkpoint stays.
    """
    team, callback, steps = team or OneProcess(), callback or Callback(), settings.steps
    optimizers = Optimizers(parts, settings.lr, muon=settings.muon, clip=settings.clip, scaler=scaler)
    checkpoint = Checkpoint(folder / f"{name}.pt", parts, optimizers, callback, settings.save_every)
    means = Means()
    for step in range(checkpoint.load(), steps):
        if callback.done:
            return
        rng = random.Random(f"{name}/{settings.seed}/{step}")
        torch.manual_seed(rng.randrange(2**31))
        optimizers.begin(schedule(step, steps, min(settings.warmup, max(1, steps // 5)), settings.floor))
        figures = team.add(_backward(optimizers, losses(step, rng)))
        if not math.isfinite(figures["total"]):
            raise _diverged(name, step, figures["total"], checkpoint)
        optimizers.finish(team)
        means.add(figures)
        if (step + 1) % settings.report_every == 0 or step + 1 == steps:
            found = means.take()
            if team.main:
                _log(folder / f"{name}.jsonl", step + 1, found)
            report(name, step + 1, steps, found)
        callback.after(step + 1, steps)
        checkpoint.save(step + 1, team.main, last=callback.done or step + 1 == steps)


def _backward(optimizers: Optimizers, pieces: Figures | Iterable[Figures]) -> dict[str, float]:
    """Add the gradients of a step's pieces; the sums of their figures."""
    own: dict[str, float] = {}
    for piece in [pieces] if isinstance(pieces, Mapping) else pieces:
        optimizers.backward(piece["total"])
        for key, value in piece.items():
            own[key] = own.get(key, 0.0) + float(value.detach())
    return own


def _log(path: Path, step: int, means: Mapping[str, float]) -> None:
    with path.open("a") as log:
        log.write(json.dumps({"step": step, "time": round(time.time(), 1), **means}) + "\n")


def _diverged(name: str, step: int, loss: float, checkpoint: Checkpoint) -> PlvmError:
    there = f"The checkpoint of step {checkpoint.step} is in {checkpoint.path}"
    return PlvmError(
        f"{name}: at step {step + 1} the loss is {loss}; the step was not taken.",
        f"{there if checkpoint.step else 'There is no checkpoint yet'}. "
        "Begin again in another folder with a lower learning rate, or compute in fp32.",
    )
