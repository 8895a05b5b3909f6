"""Where faces are in a picture: the three small nets of MTCNN (Zhang et al. 2016) in torch, each stricter than the one before it.

The first looks at every place of the picture in many sizes, the second at what is left, the third finds eyes, nose and mouth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

LONGEST = 1600  # pixels of the longer side that is searched: a 28-pixel face there is 70 pixels wide in a 12-megapixel photo
SMALLEST = 20  # pixels of the smallest face that is looked for, in the picture as it is searched
_WINDOW, _STRIDE = 12, 2  # of the first net, in pixels of a scaled picture
_STRIP = 32  # rows of places that it looks at together
_SHRINK = 0.709  # from one size of the picture to the next: half the area
_SURE = (0.6, 0.7, 0.7)  # what the three nets must give a face, as their authors have it
_AT_ONCE = 64  # crops


@dataclass(frozen=True, eq=False)
class Face:
    """A face that was found: `box` (left, top, right, bottom) and `points [5, 2]` (the eye on the picture's left, the one on
    its right, the tip of the nose, the two corners of the mouth; x before y) in pixels of the picture; `sure`: 0..1."""

    box: tuple[float, float, float, float]
    points: np.ndarray
    sure: float

    @property
    def size(self) -> float:
        """The longer side of its box, in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


class FaceFinder(nn.Module):
    """Pictures -> the faces in them. Frozen; has random weights until MTCNN's are loaded, under the names of its torch port."""

    def __init__(self, *, smallest: int = SMALLEST, longest: int = LONGEST, sure: Sequence[float] = _SURE) -> None:
        super().__init__()
        self.smallest, self.longest, self.sure = smallest, longest, sure
        self.pnet = _net((3, 10, 3, "2"), (10, 16, 3, ""), (16, 32, 3, ""))
        self.pnet.update({"conv4_1": nn.Conv2d(32, 2, 1), "conv4_2": nn.Conv2d(32, 4, 1)})
        self.rnet = _net((3, 28, 3, "3"), (28, 48, 3, "3"), (48, 64, 2, ""))
        self.rnet.update({"dense4": nn.Linear(576, 128), "prelu4": nn.PReLU(128)})
        self.rnet.update({"dense5_1": nn.Linear(128, 2), "dense5_2": nn.Linear(128, 4)})
        self.onet = _net((3, 32, 3, "3"), (32, 64, 3, "3"), (64, 64, 3, "2"), (64, 128, 2, ""))
        self.onet.update({"dense5": nn.Linear(1152, 256), "prelu5": nn.PReLU(256), "dense6_1": nn.Linear(256, 2)})
        self.onet.update({"dense6_2": nn.Linear(256, 4), "dense6_3": nn.Linear(256, 10)})
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor], third: Mapping[str, Tensor]) -> FaceFinder:
        """Itself, with the weights of the three nets."""
        for net, weights in ((self.pnet, first), (self.rnet, second), (self.onet, third)):
            net.load_state_dict(weights)
        return self

    @torch.inference_mode()
    def find(self, image: Image.Image) -> list[Face]:
        """The faces of an RGB picture, from left to right."""
        scale = min(1.0, self.longest / max(image.size))
        seen = image if scale == 1 else image.resize([max(1, round(s * scale)) for s in image.size], Image.Resampling.BOX)
        x = torch.from_numpy(np.array(seen)).permute(2, 0, 1).contiguous().float().sub_(127.5).div_(128)
        boxes, points, sure = self._third(x, self._second(x, self._first(x)))
        order = boxes[:, 0].add(boxes[:, 2]).argsort().tolist()
        whole = boxes.div(scale).tolist()
        return [Face(tuple(whole[i]), points[i].div(scale).numpy(), float(sure[i])) for i in order]

    def _first(self, x: Tensor) -> Tensor:
        """Boxes `[N, 4]` of the picture `x [3, H, W]` that may be faces, squares."""
        net, scale = self.pnet, _WINDOW / self.smallest
        boxes, sure = [], []
        while min(x.shape[1:]) * scale >= _WINDOW:
            size = [int(s * scale + 1) for s in x.shape[1:]]
            y = in_strips(net, functional.interpolate(x[None], size, mode="area"))
            score = net["conv4_1"](y)[0].softmax(0)[1]
            rows, columns = (score >= self.sure[0]).nonzero(as_tuple=True)
            corner = torch.stack([columns, rows], 1) * _STRIDE
            square = torch.cat([corner, corner + _WINDOW], 1) / scale
            square = square + net["conv4_2"](y)[0][:, rows, columns].T * (_WINDOW / scale)
            kept = suppress(square, score[rows, columns], 0.5)
            boxes.append(square[kept])
            sure.append(score[rows, columns][kept])
            scale *= _SHRINK
        if not boxes:
            return x.new_zeros(0, 4)
        together, scores = torch.cat(boxes), torch.cat(sure)
        return _squared(together[suppress(together, scores, 0.7)])

    def _second(self, x: Tensor, boxes: Tensor) -> Tensor:
        """Those of `boxes` that the second net takes for faces, moved and made square."""
        net, crops = self.rnet, _crops(x, boxes, 24)
        y = torch.cat([_dense(net, _convolved(net, part, (3, 3, 0)), 4) for part in crops.split(_AT_ONCE)])
        sure = net["dense5_1"](y).softmax(1)[:, 1]
        boxes = boxes + net["dense5_2"](y) * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
        good = sure >= self.sure[1]
        boxes, sure = boxes[good], sure[good]
        return _squared(boxes[suppress(boxes, sure, 0.7)])

    def _third(self, x: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes `[N, 4]`, points `[N, 5, 2]` and certainty `[N]` of what the third net takes for faces."""
        net, crops = self.onet, _crops(x, boxes, 48)
        y = torch.cat([_dense(net, _convolved(net, part, (3, 3, 2, 0)), 5) for part in crops.split(_AT_ONCE)])
        sure = net["dense6_1"](y).softmax(1)[:, 1]
        size = boxes[:, 2:] - boxes[:, :2]
        points = boxes[:, None, :2] + net["dense6_3"](y).view(-1, 2, 5).transpose(1, 2) * size[:, None]
        boxes = boxes + net["dense6_2"](y) * size.repeat(1, 2)
        good = sure >= self.sure[2]
        boxes, points, sure = boxes[good], points[good], sure[good]
        kept = suppress(boxes, sure, 0.7, of_smaller=True)
        return boxes[kept], points[kept], sure[kept]


def suppress(boxes: Tensor, sure: Tensor, most: float, *, of_smaller: bool = False) -> Tensor:
    """The indices of `boxes [N, 4]` to keep, the surest first: none shares more than `most` of the union of both, or of the
    smaller one, with a surer one."""
    order = sure.argsort(descending=True)
    corners = boxes[order].numpy()
    area = (corners[:, 2:] - corners[:, :2]).clip(min=0).prod(1)
    left, kept = np.arange(len(corners)), []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(first)
        low, high = np.maximum(corners[first, :2], corners[rest, :2]), np.minimum(corners[first, 2:], corners[rest, 2:])
        shared = (high - low).clip(min=0).prod(1)
        whole = np.minimum(area[first], area[rest]) if of_smaller else area[first] + area[rest] - shared
        left = rest[shared <= most * whole]
    return order[torch.tensor(kept, dtype=torch.long)]


def _net(*layers: tuple[int, int, int, str]) -> nn.ModuleDict:
    """The convolutions of a net: (channels in, out, side of the filter, side of the pool behind it), each with its own slopes."""
    parts: dict[str, nn.Module] = {}
    for i, (before, after, side, _) in enumerate(layers, 1):
        parts[f"conv{i}"], parts[f"prelu{i}"] = nn.Conv2d(before, after, side), nn.PReLU(after)
    return nn.ModuleDict(parts)


def _convolved(net: nn.ModuleDict, x: Tensor, pools: tuple[int, ...]) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)  # convolved and pooled several times as fast, on one core
    for i, side in enumerate(pools, 1):
        x = net[f"prelu{i}"](net[f"conv{i}"](x))
        if side:
            x = functional.max_pool2d(x, side, stride=2, ceil_mode=True)
    return x


def in_strips(net: nn.ModuleDict, x: Tensor) -> Tensor:
    """`x [1, 3, H, W]` through the first net, some rows after the other: they stay in the processor's caches."""
    firsts = range(0, x.shape[2] - _WINDOW + _STRIDE, _STRIP * _STRIDE)
    return torch.cat([_convolved(net, x[:, :, a : a + _STRIP * _STRIDE + _WINDOW - _STRIDE], (2, 0, 0)) for a in firsts], 2)


def _dense(net: nn.ModuleDict, x: Tensor, layer: int) -> Tensor:
    """`x [N, C, H, W]` through the dense layer, which counts columns before rows before channels."""
    return net[f"prelu{layer}"](net[f"dense{layer}"](x.permute(0, 3, 2, 1).flatten(1)))


def _squared(boxes: Tensor) -> Tensor:
    """`boxes [N, 4]` grown to squares about their middles."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) / 2
    return torch.cat([middle - half, middle + half], 1)


def _crops(x: Tensor, boxes: Tensor, side: int) -> Tensor:
    """`[N, 3, side, side]` cut out of the picture `x [3, H, W]` (black beyond its edges)."""
    crops = x.new_empty(len(boxes), 3, side, side)
    height, width = x.shape[1:]
    for i, (left, top, right, bottom) in enumerate(boxes.round().int().tolist()):
        inside = x[:, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        out = (max(-left, 0), max(right - max(width, left), 0), max(-top, 0), max(bottom - max(height, top), 0))
        if inside.numel() == 0:
            crops[i] = -1
            continue
        crop = functional.pad(inside, out, value=-1.0) if any(out) else inside
        crops[i] = functional.interpolate(crop[None], (side, side), mode="area")[0]
    return crops
