"""A pack of face models read by insightface itself: what is seen, and what is said of packs that are not whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("insightface")

from face_pack import write_face_pack
from plvm.errors import RequestError
from plvm_lab.synth.arcface import load_arcface


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    write_face_pack(tmp_path / "pack")
    return tmp_path / "pack"


def test_a_face_has_the_detectors_box_in_the_pictures_pixels_and_a_code_of_norm_one(pack: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (100, 80, 3), np.uint8)
    red, blue = (Image.fromarray(np.where(np.arange(3) == c, noise, 0).astype(np.uint8)) for c in (0, 2))
    (first,), (second,) = load_arcface(pack).faces([red, blue])
    # the detector puts its one face at (32, 32) +- 24 of 64 pixels; the picture was made smaller by 64 / 100 for it
    assert first.box == second.box == (12.5, 12.5, 87.5, 87.5)
    assert np.linalg.norm(first.embedding) == pytest.approx(1, abs=1e-5)
    assert abs(float(first.embedding @ second.embedding)) < 0.9, "colours are told apart"


def test_a_pack_that_is_not_whole_says_what_is_missing_and_downloads_nothing(pack: Path, tmp_path: Path) -> None:
    (pack / "w600k_r50.onnx").rename(tmp_path / "aside")
    with pytest.raises(RequestError, match="no recognizer: 1 .onnx files were looked at"):
        load_arcface(pack)
    (pack / "det_10g.onnx").rename(pack / "other.txt")
    (tmp_path / "aside").rename(pack / "w600k_r50.onnx")
    with pytest.raises(RequestError, match="no detector: 1 .onnx files were looked at"):
        load_arcface(pack)
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(RequestError, match="no .onnx files") as caught:
            load_arcface(place)
    assert "--faces" in caught.value.hint


def test_a_damaged_model_is_said_to_be_one(pack: Path) -> None:
    (pack / "det_10g.onnx").write_bytes(b"\x08\x09 no model")
    with pytest.raises(RequestError, match="cannot be loaded"):
        load_arcface(pack)
