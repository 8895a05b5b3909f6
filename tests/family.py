"""A whole model folder in miniature, untrained, as `plvm.load` takes it: for tests of what a user types."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plvm.model.backbone import Backbone
from plvm.model.checkpoint import save_aligner
from plvm.prompt.template import Template
from plvm_lab.families.mini.parts import build_encoder, build_vlm, image_processor
from plvm_lab.families.mini.tokenizer import build_tokenizer
from toys import RECIPE, an_aligner, awake


def write_family(folder: Path) -> Path:
    """backbone/, encoder/, aligner/ and other/ (another Aligner between the same parts); returns the aligner folder."""
    tokenizer = build_tokenizer(count=150)
    vlm, encoder = awake(build_vlm(RECIPE, tokenizer), 1), awake(build_encoder(RECIPE), 2)
    vlm.save_pretrained(folder / "backbone")
    tokenizer.save_pretrained(folder / "backbone")
    image_processor(RECIPE.image_size).save_pretrained(folder / "backbone")
    encoder.save_pretrained(folder / "encoder")
    image_processor(RECIPE.reference_size).save_pretrained(folder / "encoder")
    backbone = Backbone(vlm, tokenizer, image_processor(RECIPE.image_size))
    for name in ("aligner", "other"):
        aligner = an_aligner(backbone, backbone="../backbone", encoder="../encoder")
        if name == "other":
            with torch.no_grad():
                aligner.tag.add_(0.25)  # type: ignore[operator, union-attr]
        save_aligner(folder / name, aligner, Template(), {})
    return folder / "aligner"


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The aligner folder of an untrained family; `family.parent / "other"` is another Aligner."""
    return write_family(tmp_path_factory.mktemp("family"))
