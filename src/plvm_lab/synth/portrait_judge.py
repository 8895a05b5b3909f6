"""Our own judge of drawn pictures: finds faces, tells who is who, and compares a picture with a prompt.

A small convolutional network in three parts that plays, for portraits, the roles of a face detector, ArcFace and CLIP.
`plvm_lab.families.mini.judge_training` trains it; its thresholds were set on validation identities and are stored beside the
weights.

Shapes: pictures [B, 3, 160, 160] and face crops [B, 3, 80, 80] in [-1, 1]; embeddings [B, 96], of norm 1.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.errors import CheckpointError
from plvm_lab.synth.filters import Face

WEIGHTS = Path(__file__).parent / "weights" / "judge"
PICTURE_SIDE, CROP_SIDE, GRID, WIDTH, WORDS = 160, 80, 20, 96, 1024
FACE_HEIGHT, HEAD_LIFT = 62, 8  # half a crop, and how far it is above the face's centre, at scale 1 on the canvas
SURE = 0.0  # logit from which a peak is a face


def block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """A convolution with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class PictureEncoder(nn.Module):
    """A picture -> where faces are (logit and log half-size per cell, [B, 2, 20, 20]) and what it shows, [B, 96]."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(block(3, 24, 2, 5), block(24, 48, 2), block(48, 96, 2))
        self.coarse = nn.Sequential(block(96, 128, 2), block(128, 128))
        self.faces = nn.Sequential(block(96 + 128, 64, 1, 1), block(64, 64), nn.Conv2d(64, 2, 1))
        self.shown = nn.Sequential(block(128, 128, 2), nn.Flatten(), nn.Linear(25 * 128, WIDTH))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(pixels)
        coarse = self.coarse(fine)
        both = torch.cat([fine, F.interpolate(coarse, scale_factor=2.0)], 1)
        return self.faces(both), F.normalize(self.shown(coarse), dim=-1)


class FaceEncoder(nn.Module):
    """A face crop -> who it is, [B, 96]."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(block(3, 32, 2), block(32, 64, 2), block(64, 96, 2), block(96, 128, 2), nn.Flatten())
        self.code = nn.Linear(25 * 128, WIDTH)

    def forward(self, crops: Tensor) -> Tensor:
        return F.normalize(self.code(self.look(crops)), dim=-1)


class PromptEncoder(nn.Module):
    """A prompt's words and pairs of words, as ids -> what it tells, [B, 96]."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(WORDS, 128, mode="mean")
        self.code = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, WIDTH))

    def forward(self, prompts: Sequence[str]) -> Tensor:
        ids = [word_ids(p) for p in prompts]
        starts = np.cumsum([0, *(len(i) for i in ids[:-1])])
        return F.normalize(self.code(self.words(torch.tensor(sum(ids, [])), torch.tensor(starts))), dim=-1)


def word_ids(prompt: str) -> list[int]:
    """Numbers of a prompt's words and pairs of neighbouring words."""
    words = prompt.lower().replace(",", " ").replace(".", " ").split() or [""]
    pairs = [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)]
    return [zlib.crc32(w.encode()) % WORDS for w in (*words, *pairs)]


def to_pixels(pictures: Sequence[Image.Image], side: int) -> Tensor:
    """RGB pictures -> [B, 3, side, side] in [-1, 1]."""
    rows = [np.asarray(p.resize((side, side), Image.Resampling.BILINEAR)) for p in pictures]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1


class Judge(nn.Module):
    """The three networks as a TextMatcher and a FaceReader of `plvm_lab.synth.filters`; each has a threshold of its own."""

    def __init__(self, text_threshold: float = 0.0, face_threshold: float = 0.0) -> None:
        super().__init__()
        self.looker, self.knower, self.speller = PictureEncoder(), FaceEncoder(), PromptEncoder()
        self.text_threshold, self.face_threshold = text_threshold, face_threshold

    @torch.inference_mode()
    def similarity(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        """The cosine of every picture with its prompt."""
        shown = self.looker(to_pixels(pictures, PICTURE_SIDE))[1]
        return [float(s) for s in (shown * self.speller(prompts)).sum(-1)]

    @torch.inference_mode()
    def faces(self, pictures: Sequence[Image.Image]) -> list[list[Face]]:
        """The faces of every picture, largest first."""
        maps = self.looker(to_pixels(pictures, PICTURE_SIDE))[0]
        boxes = [find_boxes(m, p.size) for m, p in zip(maps, pictures, strict=True)]
        crops = [
            p.crop((round(b[0]), round(b[1]), round(b[2]), round(b[3])))
            for p, own in zip(pictures, boxes, strict=True)
            for b in own
        ]
        if not crops:
            return [[] for _ in pictures]
        codes = iter(self.knower(to_pixels(crops, CROP_SIDE)).numpy())
        return [[Face(box, next(codes)) for box in own] for own in boxes]


def find_boxes(maps: Tensor, size: tuple[int, int]) -> list[tuple[float, float, float, float]]:
    """Peaks of a face map [2, 20, 20] as boxes in pixels of a picture of `size`, largest first."""
    logit = maps[0]
    peaks = (logit == F.max_pool2d(logit[None], 3, 1, 1)[0]) & (logit > SURE)
    found: list[tuple[float, float, float]] = []  # x, y, half of the box, all as shares of the picture
    for y, x in sorted(torch.nonzero(peaks).tolist(), key=lambda p: -float(logit[p[0], p[1]])):
        share = torch.softmax(logit[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].flatten(), 0)
        ys, xs = torch.meshgrid(
            torch.arange(max(0, y - 1), min(GRID, y + 2)), torch.arange(max(0, x - 1), min(GRID, x + 2)), indexing="ij"
        )
        cx = (float((share * xs.flatten()).sum()) + 0.5) / GRID
        cy = (float((share * ys.flatten()).sum()) + 0.5) / GRID
        half = float(maps[1, y, x].clamp(-4, 0).exp())
        if all(max(abs(cx - a), abs(cy - b)) > 0.6 * max(half, h) for a, b, h in found):
            found.append((cx, cy, half))
    width, height = size
    return [
        ((x - h) * width, (y - h) * height, (x + h) * width, (y + h) * height)
        for x, y, h in sorted(found, key=lambda f: -f[2])
    ]


def load_judge(folder: str | Path | None = None) -> Judge:
    """The shipped judge, or one that `plvm mini judge` trained into `folder`. Raises CheckpointError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    place = WEIGHTS if folder is None else Path(folder)
    try:
        config = json.loads((place / "config.json").read_text(encoding="utf-8"))
        judge = Judge(float(config["text_threshold"]), float(config["face_threshold"]))
        judge.load_state_dict({k: v.float() for k, v in load_file(place / "judge.safetensors").items()})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{place} holds no judge of portraits ({type(error).__name__}).",
            "Train one with `plvm mini judge`, or make the dataset with --no-filters.",
        ) from None
    return judge.eval()
