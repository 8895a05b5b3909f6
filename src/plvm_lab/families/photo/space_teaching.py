"""The directions in which faces are compared, taught by who is who.

They begin where people differ most. From there on each of many people's pictures has to be found among those of all by
another one of the same person: the cross entropy of cosines, of either by the other (InfoNCE; van den Oord et al., 2018). What
varies from one picture of somebody to the next then counts less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from plvm.train.loop import schedule
from plvm_lab.families.photo.code_space import CodeSpace


@dataclass(frozen=True)
class SpaceTeaching:
    """`people` at a time; the second picture is a worse copy with the chance `worse`; cosines are over `softness`, and the
    squared distance of the directions from where they began counts `stay`."""

    steps: int = 300
    people: int = 1024
    worse: float = 0.4
    rate: float = 1e-3
    softness: float = 0.07
    stay: float = 0.03
    seed: int = 0


def teach_space(space: CodeSpace, good: Sequence[np.ndarray], worse: Sequence[np.ndarray], how: SpaceTeaching) -> CodeSpace:
    """`space` taught with the descriptors `[n, 128]` of people's pictures, and of worse copies of them; those with one picture
    are left out, and with fewer than two others it stays as it is."""
    many = [number for number, own in enumerate(good) if len(own) > 1]
    count, rng = min(how.people, len(many)), np.random.default_rng(how.seed)
    if count < 2:
        return space
    begun = torch.from_numpy(space.directions)
    mean, directions = (torch.nn.Parameter(torch.from_numpy(x).clone()) for x in (space.mean, space.directions))
    optimizer, same = torch.optim.Adam([mean, directions], lr=how.rate), torch.arange(count)
    for step in range(how.steps):
        optimizer.param_groups[0]["lr"] = how.rate * schedule(step, how.steps, 0, 0.02)
        pairs = np.stack([_pair(good[n], worse[n], rng, how.worse) for n in rng.choice(many, count, replace=False)])
        ours, theirs = functional.normalize((torch.from_numpy(pairs) - mean) @ directions, dim=-1).unbind(1)
        alike = ours @ theirs.T / how.softness
        loss = (functional.cross_entropy(alike, same) + functional.cross_entropy(alike.T, same)) / 2
        loss = loss + how.stay * (directions - begun).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return CodeSpace(mean.detach().numpy(), directions.detach().numpy())


def _pair(good: np.ndarray, worse: np.ndarray, rng: np.random.Generator, chance: float) -> np.ndarray:
    """The descriptors of two pictures of a person `[2, 128]`."""
    first, second = rng.choice(len(good), 2, replace=False)
    return np.stack([good[first], (worse if rng.random() < chance else good)[second]])
