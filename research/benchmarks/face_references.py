"""From where on a picture of a face is too poor to be a reference: small, blurred, turned away; and how alike the pictures of
one person are. On people kept for validation. Run by hand.

    python research/benchmarks/face_references.py --model FAMILY/aligner --photos PHOTOS

A picture of each is made worse step by step; its face is found anew, and its code compared with the mean code of the same
person's other pictures, which are as they were. A face is `kept` where that cosine is over .45, which tells people apart. No name
and no picture goes into the result. 2 minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from plvm.images import open_image
from plvm.model.photo.face_processor import FaceProcessor, sharpness, turned
from plvm.model.pretrained import load_encoder
from plvm.vision.face_chip import face_chip
from plvm.vision.face_finder import Face
from plvm.vision.photo_reader import described
from plvm_lab.evaluate.photo_people import SEED, STRANGERS, TEST, VAL, people_in, split_people
from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

SAME = 0.45
SIZES, BLURS = (100, 80, 64, 48, 40, 32, 24), (0.01, 0.02, 0.03, 0.04, 0.06, 0.08)
TURNS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 9.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the Aligner's folder of a photo family")
    parser.add_argument("--photos", type=Path, required=True, help="PHOTOS/NAME/picture.jpg")
    parser.add_argument("--people", type=int, default=VAL, help="people for validation")
    parser.add_argument("--out", type=Path, default=RESULTS / "face_references.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    processor: FaceProcessor = load_encoder(arguments.model.parent / "encoder").image_processor
    people = people_in(arguments.photos)
    names = split_people(people, SEED, test=TEST, val=VAL, strangers=STRANGERS)["val"][: arguments.people]
    seen = []
    for number, name in enumerate(names):
        pictures = [open_image(file) for file in people[name][:6]]
        seen.append([(image, *found) for image in pictures if (found := read(processor, image)) is not None])
        progress("people", number + 1, len(names))
    rows: list[dict[str, Any]] = []
    for number, own in enumerate(seen):
        for image, face, _ in own[:1]:
            others = mean_without(own, 0)
            for kind, amount, worse in worsened(image, face):
                rows.append({"kind": kind, "amount": amount} | measured(processor, worse, others))
        progress("worse pictures", number + 1, len(seen))
    turning = [
        {"amount": turned(face.points), "cosine": cosine(code, mean_without(own, i))}
        for own in seen for i, (_, face, code) in enumerate(own)
    ]  # fmt: skip
    figures = {
        "people": len(seen), "pictures": sum(map(len, seen)), "same": SAME, "worse": summaries(rows), "turned": by_turn(turning),
        "sharpness": catches(rows), "alike": alikeness(seen),
    }  # fmt: skip
    write_result(arguments.out, SEED, figures, shown(figures))


def read(processor: FaceProcessor, image: Image.Image) -> tuple[Face, np.ndarray] | None:
    """The face nearest the picture's middle and its code; None where none is found."""
    middle = np.array(image.size) / 2
    faces = sorted(processor.finder.find(image), key=lambda face: np.hypot(*(face.points.mean(0) - middle)))
    if not faces:
        return None
    return faces[0], processor.space.codes(torch.from_numpy(described(processor.face_code, image, faces[:1])))[0].numpy()


def mean_without(own: Sequence[tuple[Image.Image, Face, np.ndarray]], i: int) -> np.ndarray:
    return np.mean([code for j, (_, _, code) in enumerate(own) if j != i], 0)


def worsened(image: Image.Image, face: Face) -> list[tuple[str, float, Image.Image]]:
    """The picture as it is, smaller, and blurred."""
    def scaled(side: int) -> Image.Image:
        return image.resize([max(8, round(s * side / face.size)) for s in image.size], Image.Resampling.BOX, reducing_gap=None)

    blur: Callable[[float], Image.Image] = lambda share: image.filter(ImageFilter.GaussianBlur(share * face.size))  # noqa: E731
    smaller = [("pixels", float(s), scaled(s)) for s in SIZES if s < face.size]
    return [("as it is", 0.0, image), *smaller, *(("blur", b, blur(b)) for b in BLURS)]


def measured(processor: FaceProcessor, image: Image.Image, others: np.ndarray) -> dict[str, Any]:
    found = read(processor, image)
    if found is None:
        return {"found": False, "cosine": 0.0, "sharpness": 0.0}
    face, code = found
    return {"found": True, "cosine": cosine(code, others), "sharpness": sharpness(face_chip(image, face.points))}


def cosine(code: np.ndarray, others: np.ndarray) -> float:
    return float(code @ others / np.linalg.norm(others))


def summaries(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each way of being worse: how many faces are found, kept, how alike and how sharp they are."""
    kinds = dict.fromkeys((row["kind"], row["amount"]) for row in rows)
    found = []
    for kind, amount in kinds:
        own = [row for row in rows if (row["kind"], row["amount"]) == (kind, amount)]
        there = [row for row in own if row["found"]]
        found.append({
            "kind": kind, "amount": amount, "n": len(own), "found": len(there) / len(own),
            "kept": sum(row["cosine"] > SAME for row in own) / len(own),
            "cosine": round(float(np.median([row["cosine"] for row in there] or [0.0])), 3),
            "sharpness": [round(float(x), 4) for x in np.percentile([row["sharpness"] for row in there] or [0.0], (1, 50, 99))],
        })  # fmt: skip
    return found


def by_turn(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pictures as they are, by how far the face is turned."""
    found = []
    for low, high in zip(TURNS, TURNS[1:], strict=False):
        own = [row for row in rows if low <= row["amount"] < high]
        if own:
            kept, middle = sum(row["cosine"] > SAME for row in own) / len(own), float(np.median([r["cosine"] for r in own]))
            found.append({"from": low, "n": len(own), "kept": kept, "cosine": round(middle, 3)})
    return found


def catches(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each limit of sharpness refuses of pictures as they are, of good ones (kept) and of useless ones among the blurred."""
    there = [row for row in rows if row["found"]]
    plain, blurred = ([r for r in there if r["kind"] == k] for k in ("as it is", "blur"))
    bad, good = [r for r in blurred if r["cosine"] <= SAME], [r for r in blurred if r["cosine"] > SAME]
    return [
        {"limit": round(limit, 3)}
        | {what: sum(r["sharpness"] < limit for r in own) / max(1, len(own))
           for what, own in (("plain", plain), ("useless", bad), ("kept", good))}
        for limit in np.arange(0.01, 0.105, 0.005).tolist()
    ]  # fmt: skip


def alikeness(seen: Sequence[Sequence[tuple[Image.Image, Face, np.ndarray]]]) -> list[dict[str, Any]]:
    """Of references of one person, and one of somebody else's among them: how often its mean cosine to the others is below a
    limit, by how many there are in all."""
    rng, found = np.random.default_rng(SEED), []
    for count in (2, 3, 5):
        own, foreign = [], []
        for number, mine in enumerate(seen):
            codes = [code for _, _, code in mine]
            if len(codes) < count:
                continue
            for _ in range(8):
                chosen = [codes[i] for i in rng.choice(len(codes), count, replace=False)]
                other = seen[(number + int(rng.integers(1, len(seen)))) % len(seen)]
                own.append(to_others(chosen)[-1])
                foreign.append(to_others([*chosen[:-1], other[int(rng.integers(len(other)))][2]])[-1])
        for limit in (0.2, 0.25, 0.3, 0.35, 0.4):
            below = [float(np.mean(np.array(x) < limit)) for x in (own, foreign)]
            found.append({"references": count, "n": len(own), "limit": limit, "own": below[0], "foreign": below[1]})
    return found


def to_others(codes: Sequence[np.ndarray]) -> np.ndarray:
    whole = np.stack(codes) @ np.stack(codes).T
    return (whole.sum(1) - np.diag(whole)) / (len(codes) - 1)


def shown(figures: dict[str, Any]) -> Shown:
    """What the report shows of the result file."""

    def share(x: float) -> str:
        return f"{100 * x:.1f}"

    worse = tuple(
        (r["kind"], f"{r['amount']:g}", str(r["n"]), share(r["found"]), share(r["kept"]), f"{r['cosine']:.2f}")
        for r in figures["worse"]
    )
    sharp = tuple((f"{r['limit']:g}", *(share(r[k]) for k in ("plain", "kept", "useless"))) for r in figures["sharpness"])
    alike = tuple((str(r["references"]), f"{r['limit']:g}", share(r["own"]), share(r["foreign"])) for r in figures["alike"])
    turns = tuple((f"{r['from']:g}", str(r["n"]), share(r["kept"]), f"{r['cosine']:.2f}") for r in figures["turned"])
    note = f"{figures['people']} people kept for validation; a face is kept where the cosine of its code to the mean code of the "
    note += "same person's other pictures is over .45. Sizes are in pixels, blurs in shares of the face's size."
    return Shown((
        Table("A reference that is worse", ("how", "by", "n", "found %", "kept %", "cosine"), worse, note),
        Table("A reference that is turned", ("from", "n", "kept %", "cosine"), turns, note),
        Table("Refused below a limit of sharpness", ("limit", "as they are %", "blurred, kept %", "blurred, not kept %"), sharp),
        Table("References told apart below a limit", ("references", "limit", "own %", "somebody else's %"), alike),
    ))  # fmt: skip


if __name__ == "__main__":
    main()
