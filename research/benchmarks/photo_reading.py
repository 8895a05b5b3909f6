"""What a photograph costs, and how small a face may be: faces found in collages of four people of the test split; reading a
photograph of 12 megapixels, enrolling from one, a caption with names.

    python research/benchmarks/photo_reading.py --model FAMILY/aligner --photos PHOTOS    # research/results/photo_reading.json

One thread. Claims: a photograph of 12 megapixels is read in at most 1.5 s and 1.2 GB, enrolling takes at most .4 s. No name and
no picture goes into the result. 5 minutes on one core.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from plvm import personal
from plvm.errors import ImageError
from plvm.images import open_image
from plvm.model.photo.face_processor import FaceProcessor
from plvm.types import Concept
from plvm_lab.evaluate.face_pictures import part_of
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.photo_people import SEED, STRANGERS, TEST, VAL, people_in, split_people
from plvm_lab.evaluate.result_table import Table, lasting
from plvm_lab.measure.in_turn import in_turn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

SIZES = (100, 64, 40, 28)  # pixels of a face
COLLAGE, LARGE = (1024, 768), (4000, 3000)
LARGE_FACE = 1 / 8  # of its width
KNOWN, ROUNDS = 10, 5
READ = """
import sys, torch
from plvm import personal
from plvm.cli.quick import quick
from plvm.images import open_image
torch.set_num_threads(1)
with quick():
    vlm = personal.load(sys.argv[1], device="cpu")
vlm.backbone.pixels([open_image(sys.argv[2])])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
Box = tuple[float, float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the Aligner's folder of a photo family")
    parser.add_argument("--photos", type=Path, required=True, help="PHOTOS/NAME/picture.jpg")
    parser.add_argument("--people", type=int, nargs=3, metavar=("TEST", "VAL", "STRANGERS"), default=(TEST, VAL, STRANGERS),
                        help="how the people were split, if not as usual")  # fmt: skip
    parser.add_argument("--large", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), default=LARGE, help="of the photograph")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--work", type=Path, default=Path("build/photo_reading"), help="where the large photograph is written")
    parser.add_argument("--out", type=Path, default=RESULTS / "photo_reading.json")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    vlm = personal.load(chosen.model, device="cpu")
    family: Any = vlm.backbone.family
    processor: FaceProcessor = family.image_processor.people
    people = people_in(chosen.photos)
    test, val, strangers = chosen.people
    names = split_people(people, SEED, test=test, val=val, strangers=strangers)["test"]
    parts = [part for name in names if (part := portrait(processor, people[name])) is not None]
    large = chosen.work / "large.jpg"
    chosen.work.mkdir(parents=True, exist_ok=True)
    collage(parts[:4], round(LARGE_FACE * chosen.large[0]), chosen.large, random.Random(SEED))[0].save(large, quality=90)
    known = [concept for n, name in enumerate(names) for concept in enrolled(vlm, f"friend{n}", people[name])][:KNOWN]
    reference = next(file for name in names for file in people[name] if enrolled(vlm, "a", [file]))
    ways = {
        "read": lambda: vlm.backbone.pixels([open_image(large)]),
        "enroll": lambda: vlm.enroll("a", reference),
        "enroll_large": lambda: vlm.enroll("a", large, face=1),
        "caption": lambda: vlm.describe(open_image(large), known),
    }
    times = in_turn({name: (step, 1.0) for name, step in ways.items()}, chosen.rounds)
    everything = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    memory = {"read": memory_of_reading(chosen.model, large), "all": everything}
    figures = {
        "people": len(parts), "known": len(known), "rounds": chosen.rounds, "large": list(chosen.large),
        "found": dict(found_faces(processor, parts)), "times": times, "memory_gib": memory,
    }  # fmt: skip
    write_result(chosen.out, SEED, figures, shown(figures))
    print({name: round(own["seconds"], 3) for name, own in times.items()}, {what: round(n, 2) for what, n in memory.items()})


def memory_of_reading(model: Path, picture: Path) -> float:
    """GiB that a process takes at most which loads the model as the command line does, and reads one photograph."""
    told = subprocess.run([sys.executable, "-c", READ, model, picture], capture_output=True, text=True, check=True)
    return int(told.stdout.split()[-1]) / 2**20


def portrait(processor: FaceProcessor, files: Sequence[Path]) -> tuple[Image.Image, float] | None:
    """The first picture of somebody whose face can be cut out, cut out; with the face's size in it."""
    for file in files:
        image = open_image(file)
        faces = sorted(processor.faces(image), key=lambda face: -face.size)
        if faces and (box := part_of(image, faces[0], faces[1:])) is not None:
            return image.crop(box), faces[0].size
    return None


def enrolled(vlm: personal.Personal, name: str, files: Sequence[Path]) -> list[Concept]:
    """Somebody, from the first picture that can be a reference; nobody where there is none."""
    for file in files:
        try:
            return [vlm.enroll(name, file)]
        except ImageError:
            continue
    return []


def collage(
    parts: Sequence[tuple[Image.Image, float]], size: int, canvas: tuple[int, int], rng: random.Random
) -> tuple[Image.Image, list[Box]]:
    """Four people on grey, their faces `size` pixels large, each somewhere in a column of its own; and where they are."""
    picture, boxes = Image.new("RGB", canvas, (80, 80, 80)), []
    for number, (part, face) in enumerate(parts):
        sides = [max(1, round(side * size / face)) for side in part.size]
        own = part.resize(sides, Image.Resampling.BOX if size < face else Image.Resampling.BICUBIC)
        x = number * canvas[0] // 4 + rng.randint(0, canvas[0] // 4 - own.width)
        y = rng.randint(0, canvas[1] - own.height)
        picture.paste(own, (x, y))
        boxes.append((x, y, x + own.width, y + own.height))
    return picture, boxes


def found_faces(processor: FaceProcessor, parts: Sequence[tuple[Image.Image, float]]) -> Iterator[tuple[str, Any]]:
    """By size: the share of faces that are found, and how many are found in a collage where nobody is."""
    for number, size in enumerate(SIZES):
        there, wrong, collages = [], 0, 0
        rng = random.Random(f"plvm-photo-reading/{size}")
        for first in range(0, len(parts) - 3, 4):
            picture, boxes = collage(parts[first : first + 4], size, COLLAGE, rng)
            faces = processor.faces(picture)
            hits = [[inside(face.box, box) and size / 2 < face.size < 2 * size for face in faces] for box in boxes]
            there += [any(own) for own in hits]
            wrong += sum(not any(own[f] for own in hits) for f in range(len(faces)))
            collages += 1
        yield str(size), {"found": accuracy(there, list(range(len(there)))), "wrong": wrong / collages, "n": len(there)}
        progress("sizes", number + 1, len(SIZES))


def inside(box: Box, whole: Box) -> bool:
    """Whether the middle of `box` is in `whole`."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return whole[0] <= x <= whole[2] and whole[1] <= y <= whole[3]


def shown(figures: Mapping[str, Any]) -> Shown:
    """What the report shows of the result file."""
    found = tuple((f"{size} px", own["found"], f"{own['wrong']:.2f}") for size, own in figures["found"].items())
    width, height = figures["large"]
    told = {
        "read": f"a photograph of {width} x {height} pixels is read: decoded, faces and windows described",
        "enroll": "somebody is enrolled from a photograph of 250 pixels",
        "enroll_large": "the same from the large one, one face of four",
        "caption": f"its caption with names, {figures['known']} people enrolled",
    }
    taken = {name: [lasting(own[key]) for key in ("seconds", "low", "high")] for name, own in figures["times"].items()}
    times = tuple((what, *taken[name]) for name, what in told.items())
    note = f"{figures['people']} people, four in each collage of 1024 x 768 pixels."
    memory = figures["memory_gib"]
    cost = (
        f"One thread, medians and quartiles of {figures['rounds']}. At most {memory['read']:.2f} GiB in a process that loads the "
        f"model and reads the large one, {memory['all']:.2f} GiB for all of it."
    )
    return Shown((
        Table("Faces found in collages of four", ("a face's size", "found", "found where nobody is, a collage"), found, note),
        Table("What a photograph costs", ("", "median", "low", "high"), times, cost),
    ))  # fmt: skip


if __name__ == "__main__":
    main()
