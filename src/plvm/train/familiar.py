"""Fitting a familiarity: how unlike the training a picture is, learned from training pictures and marked on validation pictures.

Every second picture is worn as pictures are that went through other hands, cut a little, resized or compressed, so that this
alone makes none unlike. All is a function of the pictures and their order: fitted twice, it is the same.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from PIL import Image
from torch import Tensor

from plvm.data.dataset import Dataset, Split
from plvm.data.shards import REFERENCE
from plvm.errors import ImageError, RequestError
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.model.familiarity import Density, Familiarity, fit_density

NAME = "this Aligner"
ADVICE = "It knows pictures like those alone; for others train an Aligner on pictures like them: `plvm train`."
MOST: Mapping[str, int] = {"train": 1000, "val": 800}  # pictures of each kind at most
BATCH = 8
Report = Callable[[int, int], None]  # pictures done, pictures in all
T = TypeVar("T")


@dataclass(frozen=True)
class Album(Generic[T]):
    """Pictures to fit on: what is opened, of training and of validation, and how."""

    train: Sequence[T]
    validation: Sequence[T]
    open: Callable[[T], Image.Image]

    def __len__(self) -> int:
        return len(self.train) + len(self.validation)


def fit_familiarity(
    backbone: Backbone, encoder: Encoder, queries: Album[T], references: Album[T], *, name: str, advice: str, report: Report
) -> Familiarity:
    """The familiarity of query pictures and references between these frozen parts, with its `name` and `advice`. Raises
    RequestError where there are fewer than two pictures of a kind."""

    def seen(pictures: list[Image.Image]) -> Tensor:
        with torch.no_grad():
            tokens = backbone.image_tokens(backbone.pixels(pictures))
        return torch.stack([own.glance for own in tokens if own.glance is not None])

    def encoded(pictures: list[Image.Image]) -> Tensor:
        try:
            return encoder.features_and_glance(encoder.pixels(pictures))[1]
        except ImageError:  # a reference that is worn may be refused: it is left out
            return torch.cat([encoded([one]) for one in pictures]) if len(pictures) > 1 else torch.zeros(0, encoder.glance_width)

    total = len(queries) + len(references)
    first = _density(queries, seen, lambda done: report(done, total))
    second = _density(references, encoded, lambda done: report(len(queries) + done, total))
    return Familiarity(first, second, name, advice)


def _density(album: Album[T], compute: Callable[[list[Image.Image]], Tensor], report: Callable[[int], None]) -> Density:
    features, done = [], 0
    for some in (album.train, album.validation):
        if len(some) < 2:
            raise RequestError(f"{len(some)} pictures are too few to fit on.", "Take a dataset with more identities.")
        rows = []
        for start in range(0, len(some), BATCH):
            batch = [worn(album.open(own), i) for i, own in enumerate(some[start : start + BATCH], start)]
            rows.append(compute(batch).cpu())
            done += len(batch)
            report(done)
        features.append(torch.cat(rows).clone())
    return fit_density(*features)


def fit_on_dataset(
    backbone: Backbone, encoder: Encoder, dataset: Dataset, splits: Mapping[str, Split], report: Report
) -> Familiarity:
    """The familiarity of an Aligner that was trained on `dataset`: of at most 1,000 training and 800 validation pictures of
    each kind, evenly taken from all."""
    pictures = {name: evenly([key for key, _ in split.pictures], MOST[name]) for name, split in splits.items()}
    people = {name: evenly([f"{p}-{REFERENCE}" for p in split.people], MOST[name]) for name, split in splits.items()}
    queries, references = (Album(own["train"], own["val"], dataset.image) for own in (pictures, people))
    return fit_familiarity(backbone, encoder, queries, references, name=NAME, advice=ADVICE, report=report)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly taken from all, in their order."""
    step = max(1.0, len(items) / most)
    return [items[int(i * step)] for i in range(min(len(items), most))]


def worn(picture: Image.Image, number: int) -> Image.Image:
    """Every second picture as it is, of the others a copy that was cut by up to a tenth on each side, is of another size
    and was compressed as a JPEG."""
    if number % 2 == 0:
        return picture
    rng = random.Random(f"worn/{number}")
    w, h = picture.size
    left, top, right, bottom = (rng.uniform(0, 0.1) for _ in range(4))
    picture = picture.crop((round(left * w), round(top * h), round((1 - right) * w), round((1 - bottom) * h)))
    share = rng.uniform(0.6, 1.6)
    size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
    file = io.BytesIO()
    copy = picture.resize(size, rng.choice((Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)))
    copy.save(file, "JPEG", quality=rng.randint(40, 95))
    return Image.open(file).convert("RGB")
