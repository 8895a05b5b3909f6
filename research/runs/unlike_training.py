"""Ours: how well pictures unlike the training are noticed, as query pictures and as references. Fits nothing, only measures.

    python research/runs/unlike_training.py --photos PHOTOS    # research/results/unlike_training.json

PHOTOS is a folder with a folder of photographs for each kind; without it those rows are left out, and that is said. Everything
else is drawn: portraits of the published benchmark, and of further people of its split as they are, resized, compressed, cropped;
noise, flat colours, screenshots of text, drawings of another style.

Claim, of both kinds of pictures: AUC >= .99 between portraits and each of the others; at most 2 % false alarms on portraits.
Hardware: 1 core. Time: 3 minutes.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import plvm
from plvm.errors import PlvmError
from plvm.images import open_image
from plvm.model.familiarity import LIMIT
from plvm.personal import Personal
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.result_table import Table
from plvm_lab.families.mini.familiar_pictures import drawn, query, reference
from plvm_lab.families.mini.recipe import FULL

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result
from unlike_pictures import KINDS

FURTHER = 30_000_000  # from this number on: people whom neither training nor the limit has seen
KIND_OF = ("queries", "references")
Makers = Sequence[Callable[[], Image.Image]]


@torch.no_grad()
def scores(vlm: Personal, makers: Makers, what: str, kinds: Sequence[str] = KIND_OF) -> dict[str, list[float]]:
    """How unlike the training each picture is, as a picture of each kind."""
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    assert vlm.familiarity is not None
    for start in range(0, len(makers), 16):
        pictures = [make() for make in makers[start : start + 16]]
        if "queries" in kinds:
            tokens = vlm.backbone.image_tokens(vlm.backbone.pixels(pictures))
            glances = torch.stack([own.glance for own in tokens if own.glance is not None])
            found["queries"] += vlm.familiarity.queries.scores(glances)
        if "references" in kinds:
            encoded = vlm.encoder.features_and_glance(vlm.encoder.pixels(pictures))[1]
            found["references"] += vlm.familiarity.references.scores(encoded)
        progress(what, min(start + 16, len(makers)), len(makers))
    return found


def resized(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A copy of half to one and a half times the size."""
    side = round(picture.width * rng.uniform(0.5, 1.5))
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def compressed(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A copy that went through a JPEG of quality 40 to 90."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=rng.randint(40, 90))
    return Image.open(file).convert("RGB")


def cropped(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A copy without up to a tenth on each side."""
    side = picture.width
    return picture.crop((*(round(rng.uniform(0, 0.1) * side) for _ in "lt"), *(round(rng.uniform(0.9, 1) * side) for _ in "rb")))


WORN: Mapping[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "as they are": lambda picture, _: picture, "resized": resized, "as JPEG": compressed, "cropped": cropped,
}  # fmt: skip


def familiar(split: str, count: int) -> Iterator[tuple[str, str, Makers]]:
    """(what it is, "queries" or "references", pictures) of what is like the training."""
    album = Drawings(portraits(split, 0), keep=1)
    people, pictures = album.benchmark.names, range(len(album.benchmark.pictures))
    yield "of the benchmark", "queries", [partial(album.query, i) for i in pictures]
    yield "of the benchmark", "references", [partial(album.reference, name) for name in people]
    for kind, of in (("queries", query), ("references", reference)):
        once = lru_cache(maxsize=count)(partial(drawn, of, FULL))  # drawn once for all ways of wearing
        for how, wear in WORN.items():
            yield how, kind, [partial(_worn, once, wear, split, i) for i in range(FURTHER, FURTHER + count)]


def _worn(once: Callable[..., Image.Image], wear: Callable[..., Image.Image], split: str, number: int) -> Image.Image:
    return wear(once((split, number)), random.Random(f"unlike/{number}"))


def photographs(folder: Path, most: int) -> dict[str, Makers]:
    """Up to `most` photographs of each folder of `folder`, drawn at random."""
    found: dict[str, Makers] = {}
    for kind in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        files = sorted(f for f in kind.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
        random.Random(0).shuffle(files)
        found[f"photographs: {kind.name}"] = [partial(open_image, file) for file in files[:most]]
    return found


def auc(like: Sequence[float], unlike: Sequence[float]) -> float:
    """How often a picture of `unlike` has a higher score than one of `like`; ties count half."""
    a, b = torch.tensor(like), torch.tensor(unlike)[:, None]
    return float(((b > a).double() + 0.5 * (b == a).double()).mean())


def measured(vlm: Personal, split: str, count: int, photos: Path | None) -> dict[str, Any]:
    """All figures."""
    like: dict[str, dict[str, list[float]]] = {}
    for how, kind, own in familiar(split, count):
        like.setdefault(how, {}).update(scores(vlm, own, f"{how}, {kind}", (kind,)))
    others: dict[str, Makers] = {name: [partial(make, i) for i in range(count)] for name, make in KINDS.items()}
    others |= photographs(photos, count) if photos is not None else {}
    unlike = {name: scores(vlm, makers, name) for name, makers in others.items()}
    all_like = {kind: [s for own in like.values() for s in own[kind]] for kind in KIND_OF}

    def beyond(found: Sequence[float]) -> dict[str, Any]:
        return {"n": len(found), "warned": sum(s > LIMIT for s in found) / len(found), "median": sorted(found)[len(found) // 2]}

    return {
        kind: {
            "like": {how: beyond(own[kind]) for how, own in like.items()} | {"all": beyond(all_like[kind])},
            "unlike": {name: beyond(own[kind]) | {"auc": auc(all_like[kind], own[kind])} for name, own in unlike.items()},
        }
        for kind in KIND_OF
    }


def shown(figures: Mapping[str, Any]) -> Shown:
    """A table of each kind of picture."""
    tables = []
    for kind, title in (("queries", "pictures that are asked about"), ("references", "reference pictures")):
        own = figures[kind]
        rows = [(f"portraits, {how}", *_cells(found)) for how, found in own["like"].items()]
        rows += [(name, *_cells(found)) for name, found in own["unlike"].items()]
        header = ("pictures", "n", "AUC", "warned", "median score")
        note = "AUC is against all portraits; warned are those beyond the limit; the score is 1 at the limit."
        tables.append(Table(f"Unlike the training: {title}", header, tuple(rows), note))
    return Shown(tuple(tables))


def _cells(found: Mapping[str, Any]) -> tuple[str, ...]:
    auc_of = f"{found['auc']:.4f}" if "auc" in found else "-"
    return f"{found['n']:,}", auc_of, f"{100 * found['warned']:.1f} %", f"{found['median']:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--split", default="test", choices=("test", "val"))
    parser.add_argument("--count", type=int, default=300, help="pictures of a kind")
    parser.add_argument("--photos", type=Path, help="a folder with folders of photographs")
    parser.add_argument("--out", type=Path, default=RESULTS / "unlike_training.json")
    arguments = parser.parse_args()
    if arguments.photos is None or not arguments.photos.is_dir():
        print("No photographs (--photos): their rows are left out.", file=sys.stderr)
        arguments.photos = None
    vlm = plvm.load(arguments.model)
    if vlm.familiarity is None:
        raise PlvmError(f"{arguments.model} cannot tell what is unlike its training.", "Run `plvm mini familiarity FOLDER`.")
    figures = {"split": arguments.split, "aligner": vlm.fingerprint}
    figures |= measured(vlm, arguments.split, arguments.count, arguments.photos)
    write_result(arguments.out, 0, figures, shown(figures))


if __name__ == "__main__":
    main()
