"""How an Aligner is before its first step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from plvm.model.aligner import AlignerConfig
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.model.forms.anchored import AnchoredAligner
from plvm.model.forms.paper import PaperAligner
from plvm.train.initialization import read_names, untrained, write_names
from plvm.train.settings import Shape
from plvm_lab.families.mini.align import widths_of
from plvm_lab.families.mini.pretrain import NameRows
from toys import RECIPE


def correlated(n: int, width: int) -> np.ndarray:
    """Numbers [n, width] that are anything but white: mixed, stretched and far from 0."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) * rng.uniform(0.2, 3, width) + 7


def assert_white(codes: np.ndarray, tolerance: float) -> None:
    np.testing.assert_allclose(codes.mean(0), 0, atol=tolerance)
    np.testing.assert_allclose(np.cov(codes.T, ddof=0), np.eye(codes.shape[1]), atol=tolerance)


def coder() -> AnchoredAligner:
    config = AlignerConfig("anchored", encoder_width=12, width=8, code_width=5, resampler_width=8, heads=2)
    return AnchoredAligner(config).double()


def test_after_seeing_references_codes_have_the_unit_covariance() -> None:
    z, aligner = correlated(500, 12), coder()
    aligner.see_references(torch.from_numpy(z))
    assert_white(z @ aligner.code.weight.detach().numpy().T + aligner.code.bias.detach().numpy(), 1e-9)


def test_the_codes_coordinates_are_those_of_the_largest_variance() -> None:
    z, aligner = correlated(500, 12), coder()
    aligner.see_references(torch.from_numpy(z))
    values, vectors = np.linalg.eigh(np.cov(z.T, ddof=0))
    largest = vectors[:, np.argsort(values)[::-1][:5]]
    rows = aligner.code.weight.detach().numpy()
    np.testing.assert_allclose(rows @ largest @ largest.T, rows, atol=1e-9)


@pytest.mark.parametrize("architecture", ["anchored", "paper"])
def test_it_starts_from_the_names_of_pretraining_whatever_was_written_and_read_between(
    architecture: str, backbone: Backbone, encoder: Encoder, tmp_path: Path
) -> None:
    names = NameRows(RECIPE)
    write_names(names.state_dict(), tmp_path)
    shape = Shape(architecture, bounded=architecture == "paper", blocks=1)
    aligner = untrained(shape, widths_of(RECIPE), backbone, encoder, 0, read_names(str(tmp_path)))
    if isinstance(aligner, AnchoredAligner):
        code = torch.randn(4, RECIPE.code)
        assert torch.equal(aligner.word(code), names.word(code)) and torch.equal(aligner.head(code), names.head(code))
    else:
        assert isinstance(aligner, PaperAligner)
        rows = aligner.tokens_from_features(torch.randn(3, 5, encoder.width))
        mean = names.word.linear.bias / names.word.linear.bias.square().mean().sqrt() * names.word.scale
        torch.testing.assert_close(rows.word, mean.expand(3, -1), rtol=1e-4, atol=1e-5)


def test_without_names_it_starts_at_the_mean_of_all_words(backbone: Backbone, encoder: Encoder, tmp_path: Path) -> None:
    assert read_names(str(tmp_path)) is None and read_names("org/on-the-hub") is None
    aligner = untrained(Shape(bounded=True, blocks=1), widths_of(RECIPE), backbone, encoder, 0)
    head = aligner.tokens_from_features(torch.randn(1, 5, encoder.width)).head[0]
    mean = backbone.head_rows.float().mean(0)
    assert torch.nn.functional.cosine_similarity(head, mean, dim=0) > 0.999


def test_the_same_seed_starts_the_same_aligner_and_another_seed_another(backbone: Backbone, encoder: Encoder) -> None:
    first, same, other = (
        untrained(Shape("anchored", blocks=1), widths_of(RECIPE), backbone, encoder, seed) for seed in (1, 1, 2)
    )
    pairs = zip(first.parameters(), same.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
