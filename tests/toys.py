"""A whole personal model in miniature, untrained: every part is real, only small. Fixtures for the tests of the
engine."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from plvm.engine.prefix import ImagePrefix, compute_prefixes
from plvm.model.aligner import Aligner, AlignerConfig, build_aligner
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import fingerprint
from plvm.model.encoder import Encoder
from plvm.personal import Personal
from plvm.prompt.image_first import Prompt
from plvm.types import Concept, ConceptTokens
from plvm_lab.families.mini.parts import build_encoder, build_vlm, image_processor
from plvm_lab.families.mini.recipe import SMOKE
from plvm_lab.families.mini.tokenizer import build_tokenizer

RECIPE = replace(SMOKE, image_size=64, reference_size=56)
K = 4


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return build_tokenizer(count=150)


@pytest.fixture(scope="session")
def backbone(tokenizer: Any) -> Backbone:
    """A tiny LLaVA in float64, wide awake: its logits differ by several units, so that greedy answers differ too."""
    return Backbone(awake(build_vlm(RECIPE, tokenizer), 1).double(), tokenizer, image_processor(RECIPE.image_size))


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder(awake(build_encoder(RECIPE), 2), image_processor(RECIPE.reference_size))


@pytest.fixture(scope="session")
def prompt(tokenizer: Any) -> Prompt:
    return Prompt(tokenizer)


@pytest.fixture(scope="session")
def aligner(backbone: Backbone) -> Aligner:
    return an_aligner(backbone)


@pytest.fixture
def vlm(backbone: Backbone, encoder: Encoder, aligner: Aligner, prompt: Prompt) -> Personal:
    """The object a user holds, with an empty cache."""
    return Personal(backbone, encoder, aligner, prompt, fingerprint(aligner, prompt.template))


@pytest.fixture(scope="session")
def people(backbone: Backbone) -> list[Concept]:
    """Four concepts of no Aligner."""
    return [a_concept(name, i, backbone.width) for i, name in enumerate(("billie", "avril", "my-cat", "zoë"))]


@pytest.fixture(scope="session")
def prefixes(backbone: Backbone, prompt: Prompt) -> list[ImagePrefix]:
    """Two pictures and no picture."""
    return compute_prefixes(backbone, prompt, [picture(1), picture(2), None])


def awake(model: Any, seed: int) -> Any:
    """`model` with weights as large as trained ones: matrices keep the size of what goes through, vectors vary."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name or "lambda" in name:
                p.copy_((1.0 if "weight" in name or "lambda" in name else 0.0) + 0.1 * noise)
            elif p.ndim == 2 and "embed" not in name:
                p.copy_(noise * 1.5 * p.shape[1] ** -0.5)
            else:
                p.copy_(0.5 * noise)
    return model.eval()


def an_aligner(frozen: Backbone, architecture: str = "anchored", **changes: Any) -> Aligner:
    """A small Aligner between the toy encoder and `frozen`, in eval mode."""
    torch.manual_seed(3)
    sizes: dict[str, Any] = dict(  # noqa: C408
        architecture=architecture, encoder_width=RECIPE.encoder_width, width=frozen.width, context_tokens=K,
        mlp_hidden=32, resampler_width=32, blocks=2, heads=4, row_rms=0.5, free_tokens=1, code_width=8,
    )  # fmt: skip
    aligner = build_aligner(AlignerConfig(**(sizes | changes))).eval()
    aligner.use_words(frozen.word_rows.float())
    return aligner


def a_concept(name: str, seed: int, width: int, k: int = K) -> Concept:
    """A concept with random tokens, about as large as the toy's own rows."""
    generator = torch.Generator().manual_seed(100 + seed)

    def rows(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return Concept(name, ConceptTokens(0.5 * rows(width), 0.5 * rows(width), 0.5 * rows(k, width), rows(6)), "toy")


def picture(seed: int, side: int = 80) -> Image.Image:
    """An RGB picture of coarse coloured squares."""
    generator = torch.Generator().manual_seed(seed)
    squares = torch.randint(0, 256, (8, 8, 3), generator=generator, dtype=torch.uint8).numpy()
    return Image.fromarray(squares).resize((side, side), Image.Resampling.NEAREST)


def extended(backbone: Backbone, concepts: Sequence[Concept]) -> Any:
    """A copy of the stock model whose embedding table and LM head were physically extended by the concepts' rows.

    Ids are those of a `ConceptVocabulary`: words from V on, context tokens after them. Heads of context rows are zero.
    """
    model = copy.deepcopy(backbone.model)
    table, head = backbone.word_rows, backbone.head_rows
    words, heads = (torch.stack([getattr(c.tokens, f) for c in concepts]).to(table) for f in ("word", "head"))
    context = torch.cat([c.tokens.context for c in concepts]).to(table)
    model.resize_token_embeddings(len(table) + len(words) + len(context), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.cat([table, words, context]))
        model.get_output_embeddings().weight.copy_(torch.cat([head, heads, torch.zeros_like(context)]))
    return model.eval()
