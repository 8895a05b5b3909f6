"""The four encoders of Table 4: each learns by its own objective, and is loaded as its originals are."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("pyarrow")

from plvm.data.spec import Spec
from plvm.errors import RequestError
from plvm.model.pretrained import load_encoder
from plvm_lab.families.encoders import teaching as build
from plvm_lab.families.encoders.clip import caption
from plvm_lab.families.encoders.sam import regions_of
from plvm_lab.families.encoders.training_pictures import Pictures
from plvm_lab.synth.pipeline import synthesize
from toys import RECIPE, picture

SMALL = replace(RECIPE, encoder_batch=6)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    folder = tmp_path_factory.mktemp("encoders") / "data"
    spec = Spec(identities=6, per_identity=1, seed=5, size=56, shard=8, shares=(0.6, 0.2, 0.2), filters=False)
    synthesize(spec, folder)
    return Pictures(folder, SMALL.reference_size)


def quiet(stage: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
    pass


@pytest.mark.parametrize("kind", build.KINDS)
def test_the_loss_falls_on_a_handful_of_pictures(pictures: Pictures, kind: str) -> None:
    make, objective = build.KINDS[kind]
    torch.manual_seed(0)
    settled = 25 if kind == "dinov2" else 0  # its loss first rises, until the teacher's centre has settled
    steps = 120 if kind == "dinov2" else 40
    taught = objective(make(SMALL), pictures, SMALL.encoder_batch, steps)
    wanted = [p for part in taught.parts.values() for p in part.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.AdamW(wanted, lr=1e-3 if settled else 2e-3), []
    for step in range(steps):
        loss = taught.losses(step, random.Random(step))["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.93 * sum(losses[settled : settled + 5]), losses


@pytest.mark.parametrize("kind", build.KINDS)
def test_its_folder_is_loaded_by_the_one_loader_and_sam_has_no_global_token(
    pictures: Pictures, tmp_path: Path, kind: str
) -> None:
    folder = build.teach(kind, pictures, tmp_path, SMALL, steps=2, report=quiet)
    encoder = load_encoder(folder)
    patches = (SMALL.reference_size // SMALL.reference_patch) ** 2
    z_ref = encoder.features(encoder.pixels([picture(1), picture(2)]))
    assert encoder.global_token is (kind != "sam")
    assert tuple(z_ref.shape) == (2, patches + encoder.global_token, SMALL.encoder_width)
    record = json.loads((folder / build.RECORD).read_text())
    assert record["kind"] == kind and record["figures"]["step"] == 2 and record["content"] == pictures.dataset.content
    with pytest.raises(RequestError, match="another training"):
        build.teach(kind, pictures, tmp_path, SMALL, steps=3, report=quiet)


def test_the_teacher_of_dinov2_is_the_students_moving_average_and_gets_no_gradient(pictures: Pictures) -> None:
    taught = build.Distillation(build.build_encoder(SMALL), pictures, 2, 10)
    before = [p.clone() for p in taught.teacher.parameters()]
    with torch.no_grad():
        for p in taught.student.parameters():
            p.add_(1.0)
    taught.losses(5, random.Random(0))["total"].backward()
    momentum = 1 - 0.02 * 0.5  # half way up the cosine
    for old, new in zip(before, taught.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, momentum * old + (1 - momentum) * (old + 1), rtol=1e-4, atol=1e-5)
        assert new.grad is None


def test_captions_and_regions_tell_the_drawn_truth(pictures: Pictures) -> None:
    truth: Any = json.loads(json.dumps(pictures.truths[0]))
    truth["people"][0] |= {"color": "red", "clothes": "hoodie", "activity": "waving", "x": 200, "y": 160, "scale": 1.0}
    assert "wearing a red hoodie, waving" in caption(truth, random.Random(0))
    regions = regions_of(truth, 40)  # cells of 10 units
    assert (regions[16, 20], regions[30, 20], regions[2, 2]) == (1, 2, 0)


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(RequestError, match="mae") as caught:
        build.check_kinds(["mae"])
    assert "dinov2, clip, vit, sam" in caught.value.hint
