"""How unlike the training a picture is: a value beside an Aligner's weights, made of features that are computed anyway.

    aligner/familiarity.safetensors    two densities, of query pictures and of references; in its header whom it is of

A picture's features are a glance at it: mean and spread of its tokens halfway up the vision half of the backbone, or up the
encoder. A Gaussian was fitted to those of training pictures: exact along as many axes as there were pictures for, alike
along all others. The score of a picture is 0 where it is no farther from the middle than half of the validation pictures,
and 1 at the limit that 1 % of them passed; beyond it goes on in the same units.

The score says that a picture is of another kind, never that an answer about it is wrong, or about another one right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from plvm.errors import CheckpointError

VERSION = "1"
PER_AXIS = 4  # training pictures that an axis takes, for its variance to be known
AXES = 512  # of a wide model that would be most of the file
FALSE_ALARMS = 0.01  # share of the validation pictures beyond the limit
LIMIT = 1.0  # the score from which on a picture is said to be unlike the training
PARTS = ("centre", "scale", "axes", "spread", "rest", "marks")
AGAIN = "Copy or download the folder again, or remove this file: pictures are then not judged."
FLOOR = 1e-4  # of the mean variance; what varies less is rounding


@dataclass(frozen=True, eq=False)
class Density:
    """Where the features of training pictures lie: round `centre` [F] and, in units of `scale` [F], along the orthonormal
    `axes` [A, F] with the variances `spread` [A]; along all other directions with the variance `rest` []. `marks` [2] are the
    distances of score 0 and score 1."""

    centre: Tensor
    scale: Tensor
    axes: Tensor
    spread: Tensor
    rest: Tensor
    marks: Tensor

    def distances(self, features: Tensor) -> Tensor:
        """features [N, F] -> how far from the middle, in standard deviations of training pictures: float32[N]."""
        away = (features.float().cpu() - self.centre) / self.scale
        along = away @ self.axes.T
        inside = (along.square() / self.spread).sum(1)
        outside = (away.square().sum(1) - along.square().sum(1)).clamp_min(0) / self.rest
        full = len(self.spread) == away.shape[1]
        return ((inside if full else inside + outside) / away.shape[1]).sqrt()

    def scores(self, features: Tensor) -> list[float]:
        """features [N, F] -> how unlike the training each is."""
        zero, one = self.marks
        return ((self.distances(features) - zero) / (one - zero)).clamp_min(0).tolist()


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How unlike the training a query picture or a reference is. `name` is what the model is called; `advice`, whole sentences,
    says what it is made for and what to use instead."""

    queries: Density
    references: Density
    name: str = "this Aligner"
    advice: str = ""

    @property
    def widths(self) -> tuple[int, int]:
        """The widths of the glances that it is made for."""
        return len(self.queries.centre), len(self.references.centre)

    def warning(self, scores: Mapping[str, float | None]) -> str:
        """One sentence about pictures, {what each is called: its score}, that are unlike the training, and the advice; "" where
        none is."""
        far = {called: score for called, score in scores.items() if score is not None and score > LIMIT}
        if not far:
            return ""
        called = list(far)[:3]
        more = f" and {len(far) - 3} more" if len(far) > 3 else ""
        verb, most = ("is", "") if len(far) == 1 else ("are", "up to ")
        worst = f"{most}{max(far.values()):.1f} times the limit"
        told = f"{', '.join(called)}{more} {verb} unlike the pictures that {self.name} was trained on ({worst})."
        return f"{told} {self.advice}".strip()


def fit_density(train: Tensor, validation: Tensor) -> Density:
    """The density of the features train [N, F] of training pictures, with marks from those of validation pictures [M, F];
    N, M >= 2.

    It is rounded as it is stored, so that what is read back is what was fitted.
    """
    centre, scale = train.mean(0), train.std(0).clamp_min(1e-6)
    away = (train - centre) / scale
    _, singular, rows = torch.linalg.svd(away.double(), full_matrices=False)
    variances = singular.square() / (len(train) - 1)
    count = max(1, min(train.shape[1], len(train) // PER_AXIS, AXES))
    left = train.shape[1] - count
    rest = variances[count:].sum() / left if left else torch.ones(())
    axes, spread = rows[:count].half().float(), variances[:count].clamp_min(FLOOR).float()
    unmarked = Density(centre, scale, axes, spread, rest.clamp_min(FLOOR).float(), torch.tensor([0.0, 1.0]))
    distances = unmarked.distances(validation)
    zero, one = distances.quantile(0.5), distances.quantile(1 - FALSE_ALARMS)
    one = torch.maximum(one, 1.01 * zero + 1e-6)  # of equal pictures all would be at the limit
    return replace(unmarked, marks=torch.stack([zero, one]))


def written(familiarity: Familiarity) -> bytes:
    """It as the bytes of a safetensors file."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    for kind in ("queries", "references"):
        own = {part: getattr(getattr(familiarity, kind), part).contiguous() for part in PARTS}
        tensors |= {f"{kind}.{part}": t.half() if part == "axes" else t for part, t in own.items()}
    about = {"version": VERSION, "name": familiarity.name, "advice": familiarity.advice}
    return save(tensors, {"familiarity": json.dumps(about, sort_keys=True)})


def read(path: Path) -> Familiarity:
    """What `written` gave, from its file. Raises CheckpointError where it is damaged or of another version."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["familiarity"])
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        version = about["version"]
        queries, references = (
            Density(**{part: tensors[f"{kind}.{part}"] for part in PARTS}) for kind in ("queries", "references")
        )
        found = Familiarity(queries, references, str(about["name"]), str(about["advice"]))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}.", AGAIN) from None
    if version != VERSION:
        raise CheckpointError(f"{path} has version {version!r}; this plvm reads {VERSION!r}.", "Use the plvm that made it.")
    if not (_fits(queries) and _fits(references)):
        raise CheckpointError(f"{path} is damaged: its numbers do not fit each other.", AGAIN)
    return found


def _fits(density: Density) -> bool:
    axes, width = len(density.spread), len(density.centre)
    shapes = [tuple(getattr(density, part).shape) for part in PARTS]
    finite = all(bool(getattr(density, part).isfinite().all()) for part in PARTS)
    positive = all(bool((getattr(density, part) > 0).all()) for part in ("scale", "spread", "rest"))
    zero, one = density.marks.flatten()[:2]
    return shapes == [(width,), (width,), (axes, width), (axes,), (), (2,)] and finite and positive and bool(one > zero)
