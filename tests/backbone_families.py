"""Every family of backbones in miniature, and the stock models they are compared with: for the tests of the families."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import hub
import plvm
from plvm.engine.prefix import ImagePrefix, compute_prefixes
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import save_aligner
from plvm.model.pretrained import load_backbone
from plvm.personal import Personal
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, SamplingParams
from toys import a_concept, an_aligner, picture

NAMES = ("billie", "avril", "zoë")
SHORT = SamplingParams(max_tokens=8)
QUESTION = "Who is on the left?"


def pictures() -> list[Image.Image]:
    """A square one, a wide one and a tall one."""
    return [picture(1, 100), picture(2, 160).resize((150, 70)), picture(3, 160).resize((60, 130))]


@pytest.fixture(scope="module", params=list(hub.FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """backbone/, encoder/ and aligner/ of one family, each as the Hub has it."""
    root = tmp_path_factory.mktemp(request.param)
    backbone = load_backbone(hub.write_backbone(root / "backbone", request.param))
    encoder = hub.write_encoder(root / "encoder", "dinov2")
    aligner = an_aligner(backbone, "paper", encoder_width=32, backbone="../backbone", encoder=f"../{encoder.name}")
    save_aligner(root / "aligner", aligner, backbone.template(), {})
    return root


@pytest.fixture(scope="module")
def vlm(folder: Path) -> Personal:
    return plvm.load(folder / "aligner", device="cpu")


@pytest.fixture(scope="module")
def exact(folder: Path) -> Backbone:
    """The backbone in float64."""
    return load_backbone(folder / "backbone", dtype=torch.float64)


@pytest.fixture(scope="module")
def prompt(exact: Backbone) -> Prompt:
    return Prompt(exact.tokenizer, exact.template())


@pytest.fixture(scope="module")
def people(exact: Backbone) -> list[Concept]:
    return [a_concept(name, i, exact.width) for i, name in enumerate(NAMES)]


@pytest.fixture(scope="module")
def prefixes(exact: Backbone, prompt: Prompt) -> list[ImagePrefix]:
    """Those of the three pictures, computed together, and that of no picture."""
    return compute_prefixes(exact, prompt, [*pictures(), None])


def stock_inputs(
    backbone: Backbone, prompt: Prompt, image: Image.Image | None, suffix: Sequence[int]
) -> dict[str, Any]:
    """What the stock model takes for a whole sequence with one picture, image tokens written out."""
    before, after = prompt.prefix()
    pixels = None if image is None else backbone.pixels([image])
    middle = () if pixels is None else backbone.image_tokens(pixels)[0].ids
    ids = torch.tensor([[*before, *middle, *after, *suffix]])
    inputs: dict[str, Any] = {"input_ids": ids} | ({} if pixels is None else dict(pixels.inputs))
    if backbone.family.axes == 3:
        inputs["mm_token_type_ids"] = (ids == backbone.image_id).int()
    return inputs


def stock_logits(model: Any, inputs: dict[str, Any]) -> Tensor:
    """Logits [T, columns]; a stock model may remember positions of the sequence before, which must not count here."""
    if hasattr(model.model, "rope_deltas"):
        model.model.rope_deltas = None
    return model(**inputs).logits[0]
