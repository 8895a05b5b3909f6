"""A model that is asked often holds its large weights laid out for products, and says the same."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from plvm import products
from plvm.model.backbone import OFTEN, Backbone
from plvm.personal import Personal
from plvm.products import Linear
from plvm.train.features import fingerprint_of
from plvm.types import Concept, SamplingParams
from toys import picture

SHORT = SamplingParams(max_tokens=8)
QUESTION = "Is <billie> next to <avril>?"


@pytest.fixture
def own(vlm: Personal, wide: None, monkeypatch: pytest.MonkeyPatch) -> Personal:
    """A model in float32 of this test alone, for weights of which 64 numbers are many."""
    monkeypatch.setattr(products, "SMALL", 64)
    old = vlm.backbone
    backbone = Backbone(copy.deepcopy(old.model).float(), old.tokenizer, old.image_processor)
    return Personal(backbone, vlm.encoder, vlm.aligner, vlm.prompt, vlm.fingerprint)


def laid(vlm: Personal) -> set[bool]:
    """Whether weights of the language model's layers are laid out."""
    return {m.weight.is_mkldnn for m in vlm.backbone.language_model.layers.modules() if isinstance(m, Linear)}


def known(vlm: Personal, people: list[Concept]) -> list[Concept]:
    return [replace(c, aligner=vlm.fingerprint) for c in people[:2]]


def test_after_so_many_passes_answers_and_prefixes_are_computed_with_weights_laid_out(
    own: Personal, people: list[Concept]
) -> None:
    two, backbone = known(own, people), own.backbone
    before, named = own.ask(picture(1), QUESTION, two, SHORT), fingerprint_of(backbone.model, backbone.image_processor)
    while backbone._passes < OFTEN:
        assert laid(own) == {False}
        own.ask(picture(2), QUESTION, two, SHORT)
    assert laid(own) == {True}
    own.engine.prefixes.forget()
    assert own.ask(picture(1), QUESTION, two, SHORT).text == before.text
    assert laid(own) == {True}, "a picture's prefix is computed with them, too"
    assert fingerprint_of(backbone.model, backbone.image_processor) == named


def test_training_never_lays_weights_out_and_finds_plain_ones(own: Personal) -> None:
    backbone = own.backbone
    x = torch.randn(1, 5, backbone.width, requires_grad=True)
    with torch.no_grad():
        for _ in range(OFTEN + 1):
            backbone.hidden(x)
    assert laid(own) == {False}
    backbone.prepack()
    assert laid(own) == {True}
    backbone.hidden(x)[0].sum().backward()
    assert laid(own) == {False} and x.grad is not None
