"""Faces in photographs by insightface: its `FaceAnalysis` finds them (SCRFD, Guo et al. 2021), turns them upright and makes their
codes (ArcFace, Deng et al. 2019).

A pack is a folder of `.onnx` files such as `buffalo_l`. Nothing is downloaded here: the folder has to be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plvm.errors import RequestError
from plvm_lab.synth.filters import Face

PARTS = {"detection": "detector", "recognition": "recognizer"}  # what insightface calls them, and we
SIDE = 640  # pixels of the detector's input
HINT = (
    "Get a pack with: python -c \"from insightface.app import FaceAnalysis; FaceAnalysis('buffalo_l')\" "
    "and name its folder with --faces ~/.insightface/models/buffalo_l, or use --no-filters."
)


class ArcFace:
    """insightface's `FaceAnalysis`, ready to run, as a FaceReader; the threshold is the paper's."""

    face_threshold = 0.5

    def __init__(self, analysis: Any) -> None:
        self.analysis = analysis

    def faces(self, pictures: Sequence[Image.Image]) -> list[list[Face]]:
        """The faces of every picture, largest first."""
        return [self._faces(picture) for picture in pictures]

    def _faces(self, picture: Image.Image) -> list[Face]:
        pixels = np.ascontiguousarray(np.asarray(picture.convert("RGB"))[:, :, ::-1])  # it takes BGR, as OpenCV does
        found = [Face(_box(f.bbox), np.asarray(f.normed_embedding)) for f in self.analysis.get(pixels)]
        return sorted(found, key=lambda face: -_area(face.box))


def _box(values: np.ndarray) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, values)
    return left, top, right, bottom


def _area(box: tuple[float, float, float, float]) -> float:
    left, top, right, bottom = box
    return (right - left) * (bottom - top)


def load_arcface(folder: object, device: object = None) -> ArcFace:
    """The detector and recogniser of a pack. Raises RequestError where insightface or the models are missing."""
    if not folder:
        raise RequestError("Face similarity needs ArcFace models, and none are named.", HINT)
    try:
        from insightface.app import FaceAnalysis
        from onnxruntime import get_available_providers
    except ImportError:
        raise RequestError(
            "Face similarity needs insightface.", 'Install it with: pip install "plvm[faces]", or use --no-filters.'
        ) from None
    place = Path(str(folder)).expanduser()
    count = len(list(place.glob("*.onnx"))) if place.is_dir() else 0
    if not count:  # insightface would take the name for one of its packs, and download it
        raise RequestError(f"{place} has no .onnx files.", HINT)
    wanted = ["CUDAExecutionProvider"] if str(device or "").startswith("cuda") else []
    here = [p for p in (*wanted, "CPUExecutionProvider") if p in get_available_providers()]
    try:
        analysis = FaceAnalysis(str(place), allowed_modules=list(PARTS), providers=here)
    except AssertionError:  # how it says that there is no detector
        raise _incomplete(place, [PARTS["detection"]], count) from None
    except Exception as error:  # onnxruntime has an exception of its own for each of a dozen troubles
        raise RequestError(f"{place} cannot be loaded ({type(error).__name__}).", HINT) from None
    if missing := [ours for theirs, ours in PARTS.items() if theirs not in analysis.models]:
        raise _incomplete(place, missing, count)
    analysis.prepare(ctx_id=0 if len(here) > 1 else -1, det_size=(SIDE, SIDE))
    return ArcFace(analysis)


def _incomplete(place: Path, missing: Sequence[str], count: int) -> RequestError:
    return RequestError(f"{place} has no {' and no '.join(missing)}: {count} .onnx files were looked at.", HINT)
