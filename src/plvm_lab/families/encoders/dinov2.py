"""The objective of DINOv2: a student says of a picture's crops what its own slowly moving average says of large ones.

Of the global token (DINO): from every crop, also small ones, the teacher's sharpened and centred distribution over
prototypes of every other large crop. Of the patches (iBOT): the same at patches that the student cannot see. The teacher is
what is kept.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm_lab.families.encoders.objective import Objective
from plvm_lab.families.encoders.training_pictures import Pictures
from plvm_lab.families.mini.vision import jitter, to_pixels

PROTOTYPES = 512
LARGE, SMALL = 2, 4  # crops of a picture
LARGE_SHARE, SMALL_SHARE = (0.4, 1.0), (0.1, 0.4)  # of its area
STUDENT, TEACHER = 0.1, 0.05  # temperatures
MOMENTUM, CENTRE_MOMENTUM = 0.98, 0.9
MASKED, MASKED_SHARE = 0.5, (0.1, 0.5)  # how many large crops have hidden patches, and of how many


class Prototypes(nn.Module):
    """Feature [.., W] -> logits [.., PROTOTYPES] by likeness to unit prototypes; `centre` is the teacher's mean."""

    def __init__(self, width: int, bottleneck: int = 64) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, 2 * width), nn.GELU(),
            nn.Linear(2 * width, bottleneck),
        )  # fmt: skip
        self.prototypes = nn.Parameter(torch.randn(PROTOTYPES, bottleneck))
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(PROTOTYPES))

    def forward(self, x: Tensor) -> Tensor:
        return (F.normalize(self.mlp(x).float(), dim=-1) @ F.normalize(self.prototypes.float(), dim=-1).T).float()

    @torch.no_grad()
    def targets(self, logits: Tensor) -> Tensor:
        """The teacher's distributions [N, PROTOTYPES]; moves the centre towards these logits."""
        found = ((logits - self.centre) / TEACHER).softmax(-1)
        self.centre.lerp_(logits.mean(0), 1 - CENTRE_MOMENTUM)
        return found


class Distillation(Objective):
    """Student and teacher, each an encoder with two heads: of the global token and of patches."""

    def __init__(self, encoder: Any, pictures: Pictures, batch: int, steps: int) -> None:
        self.pictures, self.batch, self.steps = pictures, batch, steps
        width = encoder.config.hidden_size
        self.size, self.patch = encoder.config.image_size, encoder.config.patch_size
        heads = {"token": Prototypes(width), "patches": Prototypes(width)}
        self.student: Any = nn.ModuleDict({"encoder": encoder, **heads})
        self.teacher: Any = copy.deepcopy(self.student).requires_grad_(False)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {"student": self.student, "teacher": self.teacher}

    @property
    def result(self) -> Any:
        return self.teacher["encoder"]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the teacher towards the student; its momentum rises to 1 along a cosine."""
        momentum = 1 - (1 - MOMENTUM) * (1 + math.cos(math.pi * step / self.steps)) / 2
        for own, theirs in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            own.lerp_(theirs, 1 - momentum)

    def losses(self, step: int, rng: random.Random) -> Mapping[str, Tensor]:
        if step:
            self.follow(step)
        whole = to_pixels(self.pictures.pixels(self.pictures.draw(rng, self.batch)))
        n, side = len(whole), self.size // self.patch
        small_size = side // 2 * self.patch
        large = torch.cat([jitter(crop(whole, LARGE_SHARE, self.size)) for _ in range(LARGE)])
        small = torch.cat([jitter(crop(whole, SMALL_SHARE, small_size)) for _ in range(SMALL)])
        hidden = masks(len(large), side * side)
        with torch.no_grad():
            known = self.teacher["encoder"](large).last_hidden_state
            token_target = self.teacher["token"].targets(self.teacher["token"](known[:, 0]))
            patch_target = self.teacher["patches"].targets(self.teacher["patches"](known[:, 1:][hidden]))
        seen = self.student["encoder"](large, bool_masked_pos=hidden).last_hidden_state
        seen_small = self.student["encoder"](small).last_hidden_state
        said = self.student["token"](torch.cat([seen[:, 0], seen_small[:, 0]])).view(LARGE + SMALL, n, -1)
        token = views_loss(said, token_target.view(LARGE, n, -1))
        patches = cross_entropy(self.student["patches"](seen[:, 1:][hidden]), patch_target)
        spread = torch.special.entr(token_target.mean(0)).sum().exp()  # 1: the teacher says the same of everything
        return {"total": token + patches, "token": token, "patches": patches, "prototypes": spread}


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The mean over N of the student's logits [N, P] against the teacher's distributions [N, P]."""
    return -(target * (logits / STUDENT).log_softmax(-1)).sum(-1).mean()


def views_loss(said: Tensor, target: Tensor) -> Tensor:
    """said [LARGE + SMALL, N, P] against target [LARGE, N, P]; no crop against itself."""
    pairs = [(i, j) for i in range(len(said)) for j in range(len(target)) if i != j]
    return torch.stack([cross_entropy(said[i], target[j]) for i, j in pairs]).mean()


def crop(pixels: Tensor, share: tuple[float, float], size: int) -> Tensor:
    """A random square of each picture [N, 3, H, H], that share of its area, perhaps mirrored -> [N, 3, size, size]."""
    n = len(pixels)
    scale = torch.empty(n).uniform_(*share).sqrt()
    shift = (1 - scale) * torch.empty(2, n).uniform_(-1, 1)
    mirror, zero = torch.where(torch.rand(n) < 0.5, -1.0, 1.0), torch.zeros(n)
    theta = torch.stack([torch.stack([scale * mirror, zero, shift[0]], 1), torch.stack([zero, scale, shift[1]], 1)], 1)
    grid = F.affine_grid(theta, [n, 3, size, size], align_corners=False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def masks(count: int, patches: int) -> Tensor:
    """bool[count, patches]: which patches are hidden; at least one in all."""
    share = torch.empty(count, 1).uniform_(*MASKED_SHARE) * (torch.rand(count, 1) < MASKED)
    hidden = torch.rand(count, patches).argsort(1).argsort(1) < share * patches
    hidden[0, 0] |= ~hidden.any()
    return hidden
