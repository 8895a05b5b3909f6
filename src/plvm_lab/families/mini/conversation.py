"""Stage "conversation": the language model learns manners, everyday wordings, and to read pictures in the middle of a prompt.

It goes on from the stage "vision" with the same questions in many more wordings, and beside them: captions with names, greetings,
plain refusals of what lies outside its world, dialogues without anybody known, and people who are introduced by a reference
picture in place of words, as multi-image models are. Pictures are drawn as they are needed, none of them twice. The
helpers of the earlier stages are not needed any more.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.train.loop import Report, StageSettings, run_stage
from plvm_lab.families.mini.patch_words import WordPictures
from plvm_lab.families.mini.pretrain import CONCEPTS, Pretrainer
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.families.mini.vision import jitter, to_pixels, tower_features
from plvm_lab.families.mini.vision_language import KINDS, PORTRAIT_MIX
from plvm_lab.families.mini.world import portrait_scene_of, scene_of
from plvm_lab.portraits.dialogues import DialogueMix
from plvm_lab.portraits.everyday import LEARNED
from plvm_lab.portraits.person import Person
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import Scene, draw_portrait

FRESH = 20_000_000  # scenes from this number on belong to this stage
MIX = DialogueMix(partial=0.15, kinds=(*KINDS, ("manners", 8.0)), wordings=LEARNED, typed=True)
SHOWN_MIX = DialogueMix(
    partial=0.0, wordings=LEARNED, typed=True,
    kinds=(
        ("recognize", 5.0), ("named", 2.5), ("who", 1.5), ("who_named", 2.0), ("trait", 2.0), ("who_present", 0.7),
        ("manners", 1.0),
    ),
)  # fmt: skip
COUNTS = {0: 0.12, **{count: 0.88 * share for count, share in CONCEPTS.items()}}  # how many people a dialogue names
CHAT_MIX = DialogueMix(
    turns=7, partial=1.0, wordings=LEARNED, typed=True,
    kinds=(("manners", 6.0), ("who_present", 1.0), ("scene", 1.0), ("recognize", 0.7), ("named", 1.3), ("who", 0.5)),
)  # fmt: skip
GROUP_MIX = DialogueMix(
    present=0.9, partial=0.15, wordings=LEARNED, typed=True,
    kinds=(("who_present", 3.0), ("who", 1.5), ("who_named", 2.5), ("named", 1.0), ("recognize", 1.0), ("manners", 2.0)),
)  # fmt: skip
MIXES = {"portraits": PORTRAIT_MIX, "shown": SHOWN_MIX, "chat": CHAT_MIX, "group": GROUP_MIX}
WHOM = {"portraits": CONCEPTS, "group": {2: 0.3, 3: 0.4, 4: 0.3}, "shown": {1: 0.65, 2: 0.35}, "chat": {0: 0.25, 1: 0.5, 2: 0.25}}
# Shares of steps: without a picture; single faces; people introduced by a picture; much talk, little told of anybody; several
# people known of whom most are there; as before.
STEPS = {"text": 0.1, "portraits": 0.04, "shown": 0.12, "chat": 0.2, "group": 0.16, "usual": 0.38}


def train_conversation(recipe: Recipe, pretrainer: Pretrainer, folder: Path, report: Report) -> None:
    """Train projector, language model, LM head and name rows of `pretrainer` on. The tower is frozen."""
    vlm = pretrainer.backbone.model
    words = WordPictures(recipe.image_size // recipe.patch, recipe.width)

    def seen(scenes: Sequence[Scene]) -> Tensor:
        pixels = np.stack([np.asarray(draw(scene, recipe.image_size)) for scene in scenes])
        with torch.no_grad():
            return tower_features(vlm, jitter(to_pixels(pixels)))

    def show(people: Sequence[Person], rng: random.Random) -> Tensor:
        portraits = {person: draw_portrait(person, rng) for person in dict.fromkeys(people)}
        tokens = vlm.model.multi_modal_projector(seen(list(portraits.values())))
        return tokens[[list(portraits).index(person) for person in people]]

    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        kind = rng.choices(*zip(*STEPS.items(), strict=True))[0]
        if kind == "text":
            return pretrainer([None] * recipe.images, None, recipe.packs, MIX, rng, COUNTS, read_outs=False)
        scene = portrait_scene_of if kind == "portraits" else scene_of
        scenes = [scene(FRESH + rng.randrange(FRESH), recipe.seed) for _ in range(recipe.images)]
        images = vlm.model.multi_modal_projector(seen(scenes))
        out = pretrainer(
            list(scenes), images, recipe.packs, MIXES.get(kind, MIX), rng, WHOM.get(kind, COUNTS),
            show=show if kind == "shown" else None, read_outs=False,
        )  # fmt: skip
        target = words.embed(scenes)
        said = F.mse_loss(images.float(), target) / target.var()
        told = {f"{k}_{kind}": out[k] for k in ("yes_no", "first")}
        return out | told | {"words": said, "total": out["total"] + said}

    parts = {
        "projector": vlm.model.multi_modal_projector,
        "language_model": vlm.model.language_model,
        "lm_head": vlm.lm_head,
        "names": pretrainer.names,
    }
    for part in parts.values():
        part.requires_grad_(True)
    settings = StageSettings(recipe.conversation_steps, 0.8 * recipe.learning_rate, recipe.seed)
    run_stage("conversation", parts, losses, settings, folder=folder, report=report)
