"""Stage "codes" of things: what windows of pictures of them look like.

Pictures in which things are small are made: a picture of a thing is cut into a photograph of a person or of another thing. All
pictures of a layout have the thing in the same box, so that window by window they can be mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from plvm.images import open_image
from plvm.model.photo.thing_processor import reference_of
from plvm.runtime import mixed_precision
from plvm.train.loop import Report
from plvm.vision.thing_code import ThingCode, pooled, windows
from plvm_lab.evaluate.thing_pictures import cut_into

STAGE = "things"
PARTS = (1, 2, 3)
_SMALLEST, _LARGEST = 0.3, 0.8  # of the shorter side: how large a thing is there
_WHOLE: tuple[float, ...] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class ThingViews:
    """How many layouts there are beside the one in which a thing fills the picture, pictures of a layout, and pictures of people
    without a thing."""

    layouts: int = 12
    pictures: int = 14
    backgrounds: int = 60


def describe_things(
    net: ThingCode, things: Mapping[str, Sequence[Path]], people: Sequence[Path], path: Path, how: ThingViews, seed: int,
    short: int, report: Report,
) -> None:  # fmt: skip
    """Write to `path` the references `[R, 1280]` of all pictures of `things`, and the windows `[V, 35, 1280]` of pictures with
    and without them; pictures of `people` are behind them or stand alone. A file that is there stays."""
    if path.exists():
        return
    rng, files = np.random.default_rng(seed), [(name, file) for name in sorted(things) for file in things[name]]
    pictures = [open_image(file) for _, file in files]
    reference = np.stack([net.describe(reference_of(p), parts=(1,))[0][0] for p in pictures]).astype(np.float16)
    views = [(i, 0, _WHOLE, "") for i in range(len(files))]
    for layout in range(1, how.layouts + 1):
        share, x, y = rng.uniform(_SMALLEST, _LARGEST), rng.random(), rng.random()
        for i in rng.choice(len(files), min(how.pictures, len(files)), replace=False):
            views.append((int(i), layout, (share, x, y, 0.0), str(rng.integers(2))))
    rows = []
    for number, (i, layout, place, behind) in enumerate(views):
        name, seen, box, other = files[i][0], pictures[i], _WHOLE, ""
        if layout:
            rest = [j for j, (own, _) in enumerate(files) if own != name]
            if behind == "1" and rest:
                other, base = files[j := int(rng.choice(rest))][0], pictures[j]
            else:
                base = open_image(people[int(rng.integers(len(people)))])
            seen, box = cut_into(base, seen, *place[:3])
        rows.append((name, i, layout, box, other, _windows(net, seen, short)))
        report(STAGE, number + 1, len(views) + how.backgrounds, {})
    for number in range(how.backgrounds):
        seen = open_image(people[int(rng.integers(len(people)))])
        rows.append(("", -1, -1, _WHOLE, "", _windows(net, seen, short)))
        report(STAGE, len(views) + number + 1, len(views) + how.backgrounds, {})
    thing, picture, layouts, boxes, others, windows = (np.array(column) for column in zip(*rows, strict=True))
    with open(partial := path.with_suffix(".partial"), "wb") as out:
        np.savez(
            out, owner=[name for name, _ in files], reference=reference, thing=thing, picture=picture, layout=layouts, box=boxes,
            behind=others, windows=windows,
        )  # fmt: skip
    partial.replace(path)


def _windows(net: ThingCode, image: Image.Image, short: int) -> np.ndarray:
    with mixed_precision():
        seen = net.look(image, short)
    return pooled(seen, windows(PARTS)).numpy().astype(np.float16)
