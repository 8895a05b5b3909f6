"""What mini knows: the pictures of its world that its familiarity is fitted on, drawn when they are needed.

Query pictures are scenes with one to four people and, every fifth, somebody close by; references are portraits. Training people
to fit on, validation people for the limit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from PIL import Image

from plvm.model.assembly import load_parts
from plvm.model.checkpoint import save_familiarity
from plvm.train.familiar import MOST, Album, Report, fit_familiarity
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.families.mini.world import portrait_scene_of, reference_scene, scene_of
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import Scene

NAME = "mini"
ADVICE = (
    "mini knows drawn people of its own world only, and its answers about anything else mean nothing; for photographs train an "
    "Aligner on a full-size backbone: `plvm train DATA --preset paper-7b --out FOLDER`."
)
SIZES = (160, 240, 320, 480)  # that pictures are drawn in, before they are worn
STRANGERS = 20_000_000  # numbers of people who are nobody's reference in training


def write_familiarity(aligner: Path, recipe: Recipe, report: Report, most: Mapping[str, int] = MOST) -> None:
    """Fit the familiarity of an exported family and write it into its Aligner's folder; at most `most` pictures of each split and
    kind, fewer of a smaller recipe."""
    parts = load_parts(aligner, "cpu", "float32")
    counts = {split: min(count, recipe.scenes) for split, count in most.items()}
    keys = {split: [(split, i) for i in range(count)] for split, count in counts.items()}
    queries, references = (
        Album(keys["train"], keys["val"], partial(drawn, kind, recipe)) for kind in (query, reference)
    )
    found = fit_familiarity(parts.backbone, parts.encoder, queries, references, name=NAME, advice=ADVICE, report=report)
    save_familiarity(aligner, found)


def query(split: str, number: int, recipe: Recipe) -> Scene:
    """Query picture `number` of a split."""
    return (portrait_scene_of if number % 5 == 4 else scene_of)(number, recipe.seed, split)


def reference(split: str, number: int, recipe: Recipe) -> Scene:
    """Reference picture `number` of a split."""
    return reference_scene(person_of(split, STRANGERS + number, recipe.seed), STRANGERS + number, recipe.seed, split)


def drawn(kind: Callable[[str, int, Recipe], Scene], recipe: Recipe, key: tuple[str, int]) -> Image.Image:
    """Picture (split, number) of a kind, in one of the sizes."""
    split, number = key
    return draw(kind(split, number, recipe), random.Random(f"size/{split}/{number}").choice(SIZES))
