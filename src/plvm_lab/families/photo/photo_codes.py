"""Stage "codes": the people of a folder of photographs, split before anything else, and the descriptors of their faces.

PHOTOS/<person>/*.jpg. Of a picture the face nearest its middle counts, once as it is and once as a worse picture would have it.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from plvm.images import open_image
from plvm.model.photo.face_processor import FaceProcessor
from plvm.train.loop import Report
from plvm.vision.face_chip import face_chip
from plvm.vision.face_finder import Face
from plvm_lab.evaluate.photo_people import Split
from plvm_lab.families.photo.code_space import CodeSpace, Pool
from plvm_lab.families.photo.space_teaching import SpaceTeaching, teach_space

STAGE = "codes"
SPACE = "space.npz"
_CHUNK = 300  # pictures of a file
_KEPT = 40  # pictures of anybody


def describe_people(processor: FaceProcessor, people: Mapping[str, Sequence[Path]], folder: Path, report: Report) -> None:
    """Write the descriptors of all pictures to `folder`, in files of 300 pictures; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [file for name in sorted(people) for file in people[name]]
    for start in range(0, len(pictures), _CHUNK):
        path = folder / f"photo_{start // _CHUNK:03d}.npz"
        if not path.exists():
            rows = [row for file in pictures[start : start + _CHUNK] if (row := _described(processor, file)) is not None]
            names, codes, worse = zip(*rows, strict=True) if rows else ((), (), ())
            with open(partial := path.with_suffix(".partial"), "wb") as out:
                np.savez(out, picture=names, code=np.array(codes), code_worse=np.array(worse), main=np.ones(len(rows), bool))
            partial.replace(path)
        report(STAGE, min(start + _CHUNK, len(pictures)), len(pictures), {})


def _described(processor: FaceProcessor, file: Path) -> tuple[str, np.ndarray, np.ndarray] | None:
    """(its name, descriptor, that of a worse copy) of a picture's main face; None where it has no face."""
    image = open_image(file)
    middle = np.array(image.size) / 2
    faces = sorted(processor.finder.find(image), key=lambda face: np.hypot(*(face.points.mean(0) - middle)))
    if not faces:
        return None
    name = f"{file.parent.name}/{file.name}"
    chips = [face_chip(image, faces[0].points), worse_chip(image, faces[0], np.random.default_rng(zlib.crc32(name.encode())))]
    with torch.inference_mode():
        good, worse = processor.face_code.both_ways(torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float()).numpy()
    return name, good, worse


def worse_chip(image: Image.Image, face: Face, rng: np.random.Generator) -> np.ndarray:
    """The aligned face of a copy of the picture in which it is 28 to 90 pixels wide, compressed, its points a little off."""
    pixels = int(rng.integers(28, 91))
    scale = pixels / face.size
    how = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BOX
    small, file = image.resize([max(8, round(s * scale)) for s in image.size], how), io.BytesIO()
    small.save(file, "JPEG", quality=int(rng.integers(30, 96)))
    return face_chip(Image.open(file).convert("RGB"), face.points * scale + rng.normal(0, 0.015 * pixels, (5, 2)))


def pools(folder: Path, split: Split, width: int, how: SpaceTeaching) -> tuple[CodeSpace, Pool, Pool]:
    """The space of codes, taught on the people to train on, and two pools: these people, and those for validation. The space is
    kept in the folder."""
    good, worse = _written(folder)
    path = folder / SPACE
    if not path.exists():
        people = [name for name in split["train"] if name in good]
        first, second = ([which[name] for name in people] for which in (good, worse))
        space = teach_space(CodeSpace.of(first, width), first, second, how)
        with open(partial := path.with_suffix(".partial"), "wb") as out:
            np.savez(out, mean=space.mean, directions=space.directions)
        partial.replace(path)
    with np.load(path) as held:
        space = CodeSpace(held["mean"], held["directions"])

    def pool(*kinds: str) -> Pool:
        names = [name for kind in kinds for name in split[kind] if name in good]
        return Pool.of(*({n: space.codes(which[n]) for n in names} for which in (good, worse)))

    return space, pool("train"), pool("val", "val_strangers")


def _written(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The descriptors `[n, 128]` of people's pictures that `describe_people` wrote, and of worse copies of them, by name."""
    good, worse = dict[str, list[np.ndarray]](), dict[str, list[np.ndarray]]()
    for path in sorted(folder.glob("photo_*.npz")):
        with np.load(path) as held:
            for picture, code, bad, main in zip(*(held[k] for k in ("picture", "code", "code_worse", "main")), strict=True):
                if main:
                    name = str(picture).partition("/")[0]
                    good.setdefault(name, []).append(code)
                    worse.setdefault(name, []).append(bad)
    few_good, few_worse = ({name: np.stack(own[:_KEPT]) for name, own in which.items()} for which in (good, worse))
    return few_good, few_worse
