"""Faces in photographs with ONNX models in the layout of insightface's packs: an SCRFD detector and an ArcFace network.

A pack is a folder of `.onnx` files such as `buffalo_l`; the detector is the one with nine outputs (scores, boxes and five
landmarks at strides 8, 16 and 32, two anchors a cell), the recogniser the one that takes 112 x 112 pixels.
Detection, alignment and comparison follow Guo et al. 2021 (SCRFD) and Deng et al. 2019 (ArcFace).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plvm.errors import RequestError
from plvm_lab.synth.filters import Face

STRIDES, ANCHORS = (8, 16, 32), 2
SCORE, OVERLAP, SIDE = 0.5, 0.4, 640
# Where ArcFace's training wants eyes, nose and the corners of the mouth in its 112 x 112 pixels.
LANDMARKS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
HINT = (
    "Get a pack with: python -c \"import insightface; insightface.app.FaceAnalysis('buffalo_l')\" "
    "and name its folder with --faces ~/.insightface/models/buffalo_l, or use --no-filters."
)


class ArcFace:
    """The two networks as a FaceReader; the threshold is the paper's. `detector` and `recognizer` are ONNX sessions."""

    face_threshold = 0.5

    def __init__(self, detector: Any, recognizer: Any) -> None:
        self.detector, self.recognizer = detector, recognizer
        side = detector.get_inputs()[0].shape[-1]
        self.side = side if isinstance(side, int) else SIDE

    def faces(self, pictures: Sequence[Image.Image]) -> list[list[Face]]:
        """The faces of every picture, largest first."""
        return [self._faces(picture) for picture in pictures]

    def _faces(self, picture: Image.Image) -> list[Face]:
        share = self.side / max(picture.size)
        small = picture.resize(
            (max(1, round(picture.width * share)), max(1, round(picture.height * share))), Image.Resampling.BILINEAR
        )
        canvas = Image.new("RGB", (self.side, self.side))
        canvas.paste(small)
        boxes, points = detect(self._run(self.detector, (np.asarray(canvas, np.float32) - 127.5) / 128), self.side)
        order = sorted(range(len(boxes)), key=lambda i: -float(np.prod(boxes[i, 2:] - boxes[i, :2])))
        return [Face(_box(boxes[i] / share), self._embed(picture, points[i] / share)) for i in order]

    def _embed(self, picture: Image.Image, points: np.ndarray) -> np.ndarray:
        crop = np.asarray(align(picture, points), np.float32)
        code = self._run(self.recognizer, (crop - 127.5) / 127.5)[0][0]
        return code / max(float(np.linalg.norm(code)), 1e-12)

    def _run(self, session: Any, pixels: np.ndarray) -> list[np.ndarray]:
        batch = pixels.transpose(2, 0, 1)[None].astype(np.float32)
        return session.run(None, {session.get_inputs()[0].name: batch})


def _box(values: np.ndarray) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, values)
    return left, top, right, bottom


def detect(outputs: Sequence[np.ndarray], side: int) -> tuple[np.ndarray, np.ndarray]:
    """SCRFD's nine outputs -> boxes [N, 4] and landmarks [N, 5, 2] in pixels of the square input, best first."""
    scores, boxes, points = [], [], []
    for i, stride in enumerate(STRIDES):
        cells = side // stride
        y, x = np.divmod(np.arange(cells * cells), cells)
        centre = np.repeat(np.stack([x, y], -1) * stride, ANCHORS, 0).astype(np.float32)
        found = outputs[i].reshape(-1) >= SCORE
        edges, marks = outputs[3 + i].reshape(-1, 4) * stride, outputs[6 + i].reshape(-1, 5, 2) * stride
        scores.append(outputs[i].reshape(-1)[found])
        boxes.append(np.concatenate([centre - edges[:, :2], centre + edges[:, 2:]], -1)[found])
        points.append((centre[:, None] + marks)[found])
    score, box, point = np.concatenate(scores), np.concatenate(boxes), np.concatenate(points)
    keep = suppress(box, score)
    return box[keep], point[keep]


def suppress(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Non-maximum suppression: the best boxes [N, 4] that overlap none of the better ones by more than 0.4."""
    kept: list[int] = []
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), -1)
    for i in np.argsort(-scores, kind="stable"):
        corner = np.maximum(boxes[i, :2], boxes[kept, :2]), np.minimum(boxes[i, 2:], boxes[kept, 2:])
        common = np.prod(np.maximum(corner[1] - corner[0], 0), -1)
        if not kept or float((common / np.maximum(area[i] + area[kept] - common, 1e-9)).max()) <= OVERLAP:
            kept.append(int(i))
    return kept


def align(picture: Image.Image, points: np.ndarray) -> Image.Image:
    """The face with landmarks `points` [5, 2] turned, scaled and moved to ArcFace's places, 112 x 112."""
    a, b, x, y = similarity_to(LANDMARKS, points)  # PIL asks where each pixel of the result comes from
    return picture.transform((112, 112), Image.Transform.AFFINE, (a, -b, x, b, a, y), Image.Resampling.BILINEAR)


def similarity_to(source: np.ndarray, target: np.ndarray) -> tuple[float, float, float, float]:
    """(a, b, x, y) of the similarity (u, v) -> (a u - b v + x, b u + a v + y) that brings `source` [N, 2] nearest to
    `target`."""
    rows = [[u, -v, 1, 0] for u, v in source] + [[v, u, 0, 1] for u, v in source]
    solved = np.linalg.lstsq(np.array(rows), target.T.reshape(-1), rcond=None)[0]
    a, b, x, y = map(float, solved)
    return a, b, x, y


def load_arcface(folder: object, device: object = None) -> ArcFace:
    """The detector and recogniser of a pack. Raises RequestError where onnxruntime or the models are missing."""
    if not folder:
        raise RequestError("Face similarity needs ArcFace models, and none are named.", HINT)
    try:
        import onnxruntime
    except ImportError:
        raise RequestError(
            "Face similarity needs onnxruntime.",
            'Install it with: pip install "plvm[ip-adapter]", or use --no-filters.',
        ) from None
    place = Path(str(folder)).expanduser()
    files = sorted(place.glob("*.onnx")) if place.is_dir() else []
    wanted = ["CUDAExecutionProvider"] if str(device or "").startswith("cuda") else []
    here = [p for p in (*wanted, "CPUExecutionProvider") if p in onnxruntime.get_available_providers()]
    found: dict[str, Any] = {}
    for file in files:
        try:
            session = onnxruntime.InferenceSession(str(file), providers=here)
        except Exception as error:  # onnxruntime has an exception of its own for each of a dozen troubles
            raise RequestError(f"{file} cannot be loaded ({type(error).__name__}).", HINT) from None
        shape = session.get_inputs()[0].shape
        if len(session.get_outputs()) == 9:
            found["detector"] = session
        elif len(session.get_outputs()) == 1 and list(shape[2:]) == [112, 112]:
            found["recognizer"] = session
    if set(found) != {"detector", "recognizer"}:
        missing = " and no ".join(p for p in ("detector", "recognizer") if p not in found)
        raise RequestError(f"{place} has no {missing}: {len(files)} .onnx files were looked at.", HINT)
    return ArcFace(**found)
