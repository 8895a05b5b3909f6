"""Stage "language": the small language model learns to match, bind and answer on pictures in words."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from plvm.train.loop import Report, StageSettings, run_stage
from plvm_lab.families.mini.patch_words import WordPictures
from plvm_lab.families.mini.pretrain import Pretrainer
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.families.mini.world import scene_of
from plvm_lab.portraits.dialogues import DialogueMix
from plvm_lab.portraits.scene import Scene

# Whole descriptions: what has to match is then plain to see.
MIX = DialogueMix(partial=0.1, kinds=(*DialogueMix().kinds, ("look", 2.5), ("who_named", 1.0)))


def train_language(recipe: Recipe, pretrainer: Pretrainer, folder: Path, report: Report) -> None:
    """Train the language model, LM head, name rows and helpers of `pretrainer`; the tower and the projector rest."""
    words = WordPictures(recipe.image_size // recipe.patch, recipe.width)
    model = pretrainer.backbone.model

    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        scenes: list[Scene | None] = [scene_of(rng.randrange(recipe.scenes), recipe.seed) for _ in range(recipe.images)]
        if rng.random() < 0.12:
            return pretrainer([None] * recipe.images, None, recipe.packs, MIX, rng)
        images = words.embed([s for s in scenes if s], forget=0.1)
        return pretrainer(scenes, images, recipe.packs, MIX, rng)

    model.model.language_model.requires_grad_(True)
    model.lm_head.requires_grad_(True)
    parts = {
        "language_model": model.model.language_model,
        "lm_head": model.lm_head,
        "names": pretrainer.names,
        "helpers": pretrainer.helpers,
    }
    run_stage(
        "language", parts, losses,
        StageSettings(recipe.language_steps, recipe.learning_rate, recipe.seed, floor=0.5), folder=folder, report=report,
    )  # fmt: skip
