"""A face turned upright and brought to one size, as its descriptor wants it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from plvm.vision.face_code import SIDE

# Eyes, nose and corners of the mouth in an aligned face of 150 pixels, as FaceFinder sees them in the faces that dlib aligned
# for its descriptor: medians over 200 photographs.
UPRIGHT = np.array([[47.8, 46.3], [101.6, 45.9], [74.4, 77.9], [50.9, 104.8], [98.8, 104.8]])


def fitted(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The 2 x 3 matrix that turns, scales, moves `points [N, 2]` as near to `onto [N, 2]` as can be: least squares, no mirror."""
    a, b = points - points.mean(0), onto - onto.mean(0)
    spread = (a**2).sum()
    along, across = (a * b).sum() / spread, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / spread
    turn = np.array([[along, -across], [across, along]])
    return np.concatenate([turn, (onto.mean(0) - turn @ points.mean(0))[:, None]], 1)


def face_chip(image: Image.Image, points: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The face whose `points [5, 2]` are given (Face.points), upright, as `[side, side, 3]` RGB bytes.

    What is beyond the picture's edges is black. A large face is averaged, not sampled.
    """
    matrix = fitted(points, UPRIGHT * (side / SIDE))
    size = np.hypot(*matrix[:, 0])
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], float)
    turn = np.linalg.inv(matrix[:, :2])
    there = (corners - matrix[:, 2]) @ turn.T
    factor = max(1, int(1 / size))
    low = np.maximum(np.floor(there.min(0)) - 2 * factor, 0).astype(int)
    high = np.minimum(np.ceil(there.max(0)) + 2 * factor, image.size).astype(int)
    if (high <= low).any():
        return np.zeros((side, side, 3), np.uint8)
    part = image.crop((*low.tolist(), *high.tolist()))
    part = part.reduce(factor) if factor > 1 else part
    inverse = np.concatenate([turn, (-turn @ matrix[:, 2] - low)[:, None]], 1) / factor
    return np.asarray(part.transform((side, side), Image.Transform.AFFINE, inverse.ravel().tolist(), Image.Resampling.BILINEAR))
