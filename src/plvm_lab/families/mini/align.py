"""Stage "align": an Aligner trained on the frozen family by the trainer of `plvm train`, on people nobody has seen before.

Arms, so that every claim has its counterpart:

    paper      the paper's form and tasks: one recognition question or one attribute question (no picture), 1:1, w = 20
    bounded    the same tasks; rows start at the mean name and keep the size of the frozen rows
    anchored   ours: word-anchored context tokens, coded names, and grounded questions about one to three concepts
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plvm.data.dataset import Dataset
from plvm.data.spec import Spec
from plvm.model.aligner import AlignerConfig
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.prompt.image_first import Prompt
from plvm.prompt.template import Template
from plvm.train.features import Cache, Features
from plvm.train.initialization import Names, untrained
from plvm.train.prepare import show_references
from plvm.train.processes import Team
from plvm.train.settings import Data, Settings, Shape, Steps
from plvm.train.trainer import RUN, Trainer
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.portraits.person import SLOTS

TURNS = 16  # of a dialogue are read: of more, answers are no better (research/benchmarks/dialogues.py)
ARMS: dict[str, Settings] = {
    "paper": Settings(),
    "bounded": Settings(aligner=Shape(bounded=True)),
    "anchored": Settings(
        Data("grounded", p=0.55, recognition=0.85, attribute=0.15),
        Shape("anchored", blocks=2),
        Steps(w=4.0, anchor=4.0),
    ),
}


def spec_of(recipe: Recipe) -> Spec:
    """The spec of the dataset that Aligners are trained on: one to four friends in a picture, a reference of each."""
    return Spec(
        "portraits", recipe.people, recipe.pictures_each, recipe.seed, recipe.image_size, filters=False,
        options={"people": [1, 4]},
    )  # fmt: skip


def settings_of(arm: str, recipe: Recipe) -> Settings:
    """All settings of an arm at the recipe's amounts."""
    settings = ARMS[arm]
    train = replace(
        settings.train, steps=recipe.aligner_steps, pictures=recipe.images, packs=recipe.packs, optimizer="muon",
        lr=recipe.learning_rate, warmup=50, seed=recipe.seed, validate=-(-recipe.aligner_steps // 4), save=60.0,
        trackers="",
    )  # fmt: skip
    return replace(settings, train=train)


def widths_of(recipe: Recipe) -> AlignerConfig:
    """The widths of the family's Aligners."""
    return AlignerConfig(
        width=recipe.width, mlp_hidden=2 * recipe.width, resampler_width=max(64, 2 * recipe.width // 3), heads=4,
        free_tokens=Shape().K - len(SLOTS), code_width=recipe.code,
    )  # fmt: skip


def prepare_arm(
    arm: str, recipe: Recipe, backbone: Backbone, encoder: Encoder, names: Names, folder: Path, device: str | None
) -> Trainer:
    """The training of one arm, on the dataset `people/` of a build folder; its Aligner goes to `aligner-<arm>/`."""
    settings, out = settings_of(arm, recipe), folder / f"aligner-{arm}"
    album = Dataset(folder / "people")
    features = Features(backbone, encoder, album, Cache(folder / "cache", settings.train.cache * 1e9))
    aligner = untrained(settings.aligner, widths_of(recipe), backbone, encoder, recipe.seed, names)
    team = Team(device, settings.train.trackers, out / RUN)
    prompt = Prompt(backbone.tokenizer, Template(turns=TURNS))
    trainer = Trainer(features, out, settings, prompt=prompt, aligner=aligner, team=team, model="mini")
    show_references(aligner, features, trainer.splits["train"].people)
    return trainer
