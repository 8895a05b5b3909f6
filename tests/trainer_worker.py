"""A trainer between toy parts, for the tests; as a script it is one process of several: trainer_worker.py DATA OUT "shard"|""."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch.distributed.tensor import DTensor

from plvm.config import changed
from plvm.data.dataset import Dataset
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.prompt.image_first import Prompt
from plvm.train.features import Cache, Features
from plvm.train.processes import Team
from plvm.train.settings import Settings
from plvm.train.trainer import RUN, Trainer
from plvm_lab.families.mini.parts import build_encoder, build_vlm, image_processor
from plvm_lab.families.mini.tokenizer import build_tokenizer
from toys import RECIPE, an_aligner, awake


@lru_cache
def parts() -> tuple[Backbone, Encoder]:
    """Toy parts in float32."""
    tokenizer = build_tokenizer(count=150)
    vlm, encoder = awake(build_vlm(RECIPE, tokenizer), 1), awake(build_encoder(RECIPE), 2)
    return (
        Backbone(vlm, tokenizer, image_processor(RECIPE.image_size), "backbone"),
        Encoder(encoder, image_processor(RECIPE.reference_size), "encoder"),
    )


def small(changes: Mapping[str, Any] | None = None) -> Settings:
    """Six steps of four questions, a checkpoint after each."""
    own = {
        "train.steps": 6, "train.packs": 2, "train.lr": 1e-3, "train.save": 0.0, "train.validate": 2,
        "train.report": 1, "train.precision": "fp32", "train.trackers": "", "data.validation": 8,
    }  # fmt: skip
    return changed(Settings(), own | dict(changes or {}))


def a_trainer(data: Path, out: Path, settings: Settings, model: str = "toy", cache: Path | None = None) -> Trainer:
    backbone, encoder = parts()
    team = Team("cpu", settings.train.trackers, out / RUN)
    form = settings.aligner.architecture
    aligner = an_aligner(backbone, form, backbone="../backbone", encoder="../encoder")
    if settings.train.shard:
        team.shard(backbone)
    features = Features(backbone, encoder, Dataset(data), Cache(cache, 1e9) if cache is not None else None)
    return Trainer(features, out, settings, prompt=Prompt(backbone.tokenizer), aligner=aligner, team=team, model=model)


if __name__ == "__main__":
    trainer = a_trainer(Path(sys.argv[1]), Path(sys.argv[2]), small({"train.shard": bool(sys.argv[3])}))
    layer = trainer.backbone.language_model.layers[0]
    assert all(isinstance(p, DTensor) for p in layer.parameters()) == trainer.settings.train.shard
    trainer.estimate()
    trainer.run(lambda *_: None)
