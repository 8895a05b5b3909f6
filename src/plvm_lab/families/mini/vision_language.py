"""Stage "vision": projector and language model learn together from real pictures; the tower stays as it is.

The projector comes from the stage "tower", where it learned to say the pictures in words that the language model has read so far.
It goes on saying them here: without that it drops the words that few questions ask for, hats and faces first.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.train.loop import Report, StageSettings, run_stage
from plvm_lab.families.mini.patch_words import WordPictures
from plvm_lab.families.mini.pretrain import Pretrainer
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.families.mini.vision import jitter, to_pixels, tower_features
from plvm_lab.families.mini.world import training_scene
from plvm_lab.portraits.dialogues import DialogueMix
from plvm_lab.portraits.scene import Scene


class Pictures:
    """The drawn training pictures and their truth, by row."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.array = np.load(folder / "scenes.npy", mmap_mode="r")

    def sample(self, rng: random.Random, count: int, portraits: float = 0.0) -> tuple[list[Scene | None], Tensor]:
        """`count` scenes and their pixel values [B, 3, S, S]; `portraits` is the share of single faces, close by."""
        recipe = self.recipe
        first = [recipe.scenes if recipe.portraits and rng.random() < portraits else 0 for _ in range(count)]
        rows = [f + rng.randrange(recipe.portraits if f else recipe.scenes) for f in first]
        return [training_scene(recipe, i) for i in rows], jitter(to_pixels(self.array[rows]))


KINDS = (*DialogueMix().kinds, ("look", 4.0), ("who_named", 2.5))
PORTRAIT_MIX = DialogueMix(
    turns=2, kinds=(("describe_portrait", 3.0), ("recognize", 1.0), ("trait", 0.5), ("named", 0.5), ("who", 0.5))
)


def train_vision(recipe: Recipe, pretrainer: Pretrainer, folder: Path, report: Report) -> None:
    """Train projector, language model, LM head and name rows on real pictures. The tower is frozen."""
    pictures, vlm = Pictures(recipe, folder), pretrainer.backbone.model
    words = WordPictures(recipe.image_size // recipe.patch, recipe.width)

    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        share = step / recipe.vision_steps
        mix = DialogueMix(partial=0.35 - 0.2 * share, kinds=KINDS)
        draw = rng.random()
        if draw < 0.12:
            return pretrainer([None] * recipe.images, None, recipe.packs, mix, rng)
        scenes, pixels = pictures.sample(rng, recipe.images, 1.0 if draw < 0.17 else 0.0)
        with torch.no_grad():
            features = tower_features(vlm, pixels)
        images = vlm.model.multi_modal_projector(features)
        out = pretrainer(scenes, images, recipe.packs, PORTRAIT_MIX if draw < 0.17 else mix, rng)
        target = words.embed([s for s in scenes if s])
        said = F.mse_loss(images.float(), target) / target.var()
        return out | {"words": said, "total": out["total"] + said}

    parts = {
        "projector": vlm.model.multi_modal_projector,
        "language_model": vlm.model.language_model,
        "lm_head": vlm.lm_head,
        "names": pretrainer.names,
        "helpers": pretrainer.helpers,
    }
    for part in parts.values():
        part.requires_grad_(True)
    run_stage(
        "vision", parts, losses, StageSettings(recipe.vision_steps, recipe.learning_rate, recipe.seed), folder=folder,
        report=report,
    )  # fmt: skip
