"""The encoders of Table 4: each by its stock class from its original's layout, with its own preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import hub
from plvm.errors import CheckpointError
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import fingerprint
from plvm.model.encoder import KINDS, Encoder
from plvm.model.pretrained import load_encoder
from plvm.model.untrained import aligner_config, untrained_aligner, untrained_encoder
from plvm.personal import Personal
from plvm.presets import PRESETS
from plvm.prompt.image_first import Prompt
from plvm_lab.families.mini.parts import build_vlm, image_processor
from toys import RECIPE, K, an_aligner, awake, picture


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {kind: hub.write_encoder(root / kind, kind) for kind in ("dinov2", "clip", "vit", "sam")}


@pytest.fixture(scope="module")
def llava(tokenizer: Any) -> Backbone:
    return Backbone(awake(build_vlm(RECIPE, tokenizer), 1), tokenizer, image_processor(RECIPE.image_size))


# ---- full size, without memory


@pytest.mark.parametrize(
    ("preset", "length", "width", "million"),
    [("paper-7b", 257, 768, 86.6), ("paper-7b-clip", 257, 1024, 303.2), ("paper-7b-vit", 197, 768, 86.4)],
)
def test_sequence_lengths_are_those_of_the_paper(preset: str, length: int, width: int, million: float) -> None:
    model = untrained_encoder(PRESETS[preset])
    side = PRESETS[preset].reference_size
    encoder = Encoder(model, None)
    z_ref = encoder.features(torch.zeros(2, 3, side, side, device="meta"))
    assert tuple(z_ref.shape) == (2, length, width) and encoder.width == width and encoder.global_token
    parameters = sum(p.numel() for n, p in model.named_parameters() if not n.startswith("pooler"))
    assert parameters / 1e6 == pytest.approx(million, abs=0.8)
    assert aligner_config(PRESETS[preset]).encoder_width == width


def test_sam_has_a_grid_of_64_by_64_and_no_global_token() -> None:
    preset = PRESETS["paper-7b-sam"]
    encoder = Encoder(untrained_encoder(preset), None)
    side = preset.reference_size
    assert tuple(encoder.features(torch.zeros(1, 3, side, side, device="meta")).shape) == (1, 64 * 64, 256)
    assert encoder.width == 256 and not encoder.global_token
    aligner = untrained_aligner(preset)
    assert tuple(aligner.resampler.queries.shape) == (16 + 2, 1024)  # type: ignore[union-attr]
    rows = aligner.tokens_from_features(torch.zeros(3, 4096, 256, device="meta"))
    assert [tuple(r.shape) for r in rows] == [(3, 4096), (3, 4096), (3, 16, 4096)]


# ---- small, from folders


@pytest.mark.parametrize(
    ("kind", "shape", "preprocessed"),
    [
        ("dinov2", (17, 32), (3, 56, 56)),
        ("clip", (257, 32), (3, 224, 224)),
        ("vit", (197, 32), (3, 224, 224)),
        ("sam", (64, 16), (3, 64, 64)),
    ],
)
def test_each_is_loaded_from_the_layout_of_its_original(
    folders: dict[str, Path], kind: str, shape: tuple[int, int], preprocessed: tuple[int, ...]
) -> None:
    from transformers import AutoModel

    encoder = load_encoder(folders[kind])
    images = [picture(1), picture(2).resize((90, 60))]
    pixels = encoder.pixels(images)
    assert tuple(pixels.shape[1:]) == preprocessed
    z_ref = encoder.features(pixels)
    assert tuple(z_ref.shape) == (2, *shape) and encoder.global_token is (kind != "sam")
    whole = AutoModel.from_pretrained(folders[kind], **({"add_pooling_layer": False} if kind == "vit" else {})).eval()
    part = {"clip": "vision_model", "sam": "vision_encoder"}.get(kind)
    with torch.no_grad():
        stock = (getattr(whole, part) if part else whole)(pixels).last_hidden_state
    if kind == "sam":  # [N, E, rows, columns]
        stock = torch.stack([stock[:, :, r, c] for r in range(8) for c in range(8)], 1)
    torch.testing.assert_close(z_ref, stock, rtol=1e-5, atol=1e-5)
    assert not any(p.requires_grad for p in encoder.model.parameters())


def test_preprocessing_is_each_encoders_own(folders: dict[str, Path]) -> None:
    wide = Image.new("RGB", (400, 100), (255, 0, 0))
    means = {kind: load_encoder(folder).pixels([wide])[0, 0].mean().item() for kind, folder in folders.items()}
    assert means["dinov2"] == pytest.approx((1 - 0.485) / 0.229, abs=1e-3), "the centre is cut out"
    assert means["clip"] == pytest.approx((1 - 0.48145466) / 0.26862954, abs=1e-3)
    assert means["vit"] == pytest.approx(1.0, abs=1e-3)
    assert means["sam"] == pytest.approx((1 - 0.485) / 0.229 / 4, abs=1e-3), "the whole picture, and padding below it"


@pytest.mark.parametrize("kind", ["dinov2", "clip", "vit", "sam"])
def test_a_person_is_enrolled_through_any_of_them(
    folders: dict[str, Path], llava: Backbone, prompt: Prompt, kind: str
) -> None:
    encoder = load_encoder(folders[kind])
    aligner = an_aligner(llava, "paper", encoder_width=encoder.width, global_token=encoder.global_token)
    vlm = Personal(llava, encoder, aligner, prompt, fingerprint(aligner, prompt.template))
    one, two = vlm.enroll("billie", picture(3)), vlm.enroll("avril", picture(4), picture(5))
    for concept in (one, two):
        assert concept.tokens.context.shape == (K, llava.width) and concept.tokens.key.shape == (encoder.width,)
        assert concept.tokens.key.norm().item() == pytest.approx(1, abs=1e-5)
    assert not torch.allclose(one.tokens.word, two.tokens.word)
    assert vlm.ask(picture(1), "Where is <billie>?", [one, two]).text


def test_another_kind_of_model_is_refused_with_the_known_kinds(folders: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match='loaded as a vision encoder: .*"resnet"') as caught:
        load_encoder(tmp_path)
    assert all(kind in caught.value.hint for kind in KINDS)
