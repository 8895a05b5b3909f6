"""What a face looks like, as 128 numbers: the ResNet of dlib (Davis King, CC0) as a torch module.

Two pictures of one person lie closer than .6 (Euclidean), those of two people mostly farther. The weights come from dlib's own
file; what it computes is the same to rounding, and dlib itself need not be installed.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plvm.errors import CheckpointError

SIDE = 150  # pixels of the aligned face it looks at
WIDTH = 128
_MEAN = (122.782, 117.001, 104.298)
_LEVELS = ((32, False, 3), (64, True, 3), (128, True, 2), (256, True, 2), (256, True, 0))  # width, halves first, further blocks
_LAYER = re.compile(rb"con_4|affine_|fc_2")


class FaceCode(nn.Module):
    """Aligned faces `[N, 3, 150, 150]` (RGB, 0..255) -> codes `[N, 128]`. Frozen; has random weights until they are loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, stride=2)
        self.stem_affine = _Affine(32)
        blocks, before = [], 32
        for width, halves, further in _LEVELS:
            if halves:
                blocks.append(_Block(before, width, stride=2))
            blocks.extend(_Block(width, width, stride=1) for _ in range(further))
            before = width
        self.blocks = nn.ModuleList(blocks)
        self.out = nn.Linear(before, WIDTH, bias=False)
        self.requires_grad_(False).eval()

    def both_ways(self, faces: Tensor) -> Tensor:
        """The means `[N, 128]` of the codes of aligned faces and of their mirror images, which say more surely who it is."""
        return self(torch.stack([faces, faces.flip(-1)], 1).flatten(0, 1)).unflatten(0, (-1, 2)).mean(1)

    def forward(self, faces: Tensor) -> Tensor:
        """Aligned faces -> their codes."""
        mean = torch.tensor(_MEAN, dtype=faces.dtype, device=faces.device)[:, None, None]
        x = functional.relu(self.stem_affine(self.stem((faces - mean) / 256)))
        x = functional.max_pool2d(x, 3, stride=2)
        for block in self.blocks:
            x = block(x)
        return self.out(x.mean(dim=(2, 3)))


class _Affine(nn.Module):
    """A batch norm whose statistics were folded in: x * gamma + beta, a pair per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma[:, None, None] + self.beta[:, None, None]


class _Block(nn.Module):
    """Two convolutions beside a way around them. With `stride` 2 that way is an average over 2 x 2; where the two sums differ
    in size or channels, the smaller counts as zero there, as in dlib."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(before, width, 3, stride=stride, padding=1 if stride == 1 else 0)
        self.first_affine = _Affine(width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.second_affine = _Affine(width)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first_affine(self.first(x)))
        y = self.second_affine(self.second(y))
        if self.stride == 2:
            x = functional.avg_pool2d(x, 2)
        size = tuple(max(a, b) for a, b in zip(x.shape[1:], y.shape[1:]))
        return functional.relu(_grown(x, size) + _grown(y, size))


def _grown(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """`x [N, C, H, W]` with zeros behind it in every direction, up to `size`."""
    c, h, w = (after - now for after, now in zip(size, x.shape[1:]))
    return functional.pad(x, (0, w, 0, h, 0, c)) if c or h or w else x


def weights_of(file: Path) -> dict[str, Tensor]:
    """The weights in dlib's `dlib_face_recognition_resnet_model_v1.dat`, under the names that FaceCode gives them.

    Raises CheckpointError if that is another file.
    """
    data = file.read_bytes()
    found: dict[bytes, list[np.ndarray]] = {b"con_4": [], b"affine_": [], b"fc_2": []}
    at = 0
    while (match := _LAYER.search(data, at)) is not None:
        start = match.end()
        for _ in range(2 if match.group() == b"fc_2" else 0):  # it states its two sizes first
            _, start = _integer(data, start)
        numbers, at = _floats(data, start)
        found[match.group()].append(numbers)
    weights = FaceCode().state_dict()
    convolutions, affines = _stages(weights, "weight"), _stages(weights, "gamma")
    sizes = [weights[f"{n}.weight"].numel() + weights[f"{n}.bias"].numel() for n in convolutions]
    if [a.size for a in found[b"con_4"]] != sizes or len(found[b"affine_"]) != len(affines) or len(found[b"fc_2"]) != 1:
        raise CheckpointError(
            f"{file} is not dlib's face descriptor.", "It should be dlib_face_recognition_resnet_model_v1.dat, of 22 MB."
        )
    for name, numbers in zip(convolutions, found[b"con_4"]):
        filters, bias = np.split(numbers, [weights[f"{name}.weight"].numel()])
        weights[f"{name}.weight"] = torch.from_numpy(filters.copy()).view_as(weights[f"{name}.weight"])
        weights[f"{name}.bias"] = torch.from_numpy(bias.copy())
    for name, numbers in zip(affines, found[b"affine_"]):
        gamma, beta = np.split(numbers, 2)
        weights[f"{name}.gamma"], weights[f"{name}.beta"] = torch.from_numpy(gamma.copy()), torch.from_numpy(beta.copy())
    weights["out.weight"] = torch.from_numpy(found[b"fc_2"][0].reshape(-1, WIDTH).T.copy())
    return weights


def _stages(weights: dict[str, Tensor], kind: str) -> list[str]:
    """The names of the layers that have a `kind`, from the picture to the code; the last linear one is left out."""
    return [n.rsplit(".", 1)[0] for n in weights if n.endswith(f".{kind}") and not n.startswith("out.")]


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """The integer at `at` and where it ends: a byte says how many follow, the lowest first."""
    end = at + 1 + (data[at] & 15)
    return int.from_bytes(data[at + 1 : end], "little"), end


def _floats(data: bytes, at: int) -> tuple[np.ndarray, int]:
    """The tensor at `at`, flat, and where it ends: its version, four sizes, then 32-bit numbers."""
    count = 1
    _, at = _integer(data, at)
    for _ in range(4):
        size, at = _integer(data, at)
        count *= size
    return np.frombuffer(data, "<f4", count, at), at + 4 * count
