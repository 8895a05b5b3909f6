"""Stage "draw": the training pictures, drawn into a dataset by the pipeline of `plvm synth`, and the arrays made of them.

drawn/           the dataset: every scene once, and a reference of everybody in it
scenes.npy       uint8[scenes + portraits, S, S, 3], row i showing `training_scene(recipe, i)`
references.npy   uint8[references, R, R, 3], row i showing `reference_people(recipe)[i]`
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
from PIL import Image

from plvm.data.files import whole_file
from plvm.data.manifest import read_manifest
from plvm.data.shards import KEPT, REFERENCE, read_pictures
from plvm.data.spec import Identity, Spec
from plvm.errors import PlvmError
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.families.mini.world import reference_people, reference_scene, training_scene
from plvm_lab.synth.generator import Failure, Generator, Sample
from plvm_lab.synth.pipeline import synthesize
from plvm_lab.synth.portraits_generator import Group

DATA = "drawn"
SHARD = 250  # scenes: what an interruption can cost each worker
Report = Callable[[str, int, int], None]  # what, done, in all


class World(Generator):
    """The generator of a recipe's training pictures. "000012_1" is the second person from the left in scene 12; a scene's
    people are pictured together there and nowhere else."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def keys(self) -> Sequence[str]:
        return [f"{i:06}_0" for i in range(self.recipe.scenes + self.recipe.portraits)]

    def inputs(self) -> Mapping[str, str]:
        return {}

    def make(self, identity: Identity) -> tuple[list[Sample], list[Failure]]:
        recipe, row = self.recipe, int(identity.key.partition("_")[0])
        scene, first = training_scene(recipe, row), first_references(recipe)[row]
        references = {
            f"{row:06}_{j}": reference_scene(figure.person, first + j, recipe.seed)
            for j, figure in enumerate(scene.figures)
        }
        return Group(references, [scene]).samples(recipe.image_size, recipe.reference_size), []

    def describe(self) -> Mapping[str, str]:
        return {"generator": "mini: the training world of the mini family, drawn by plvm", "recipe": self.recipe.name}


@lru_cache(maxsize=2)
def first_references(recipe: Recipe) -> tuple[int, ...]:
    """The number of the reference of each scene's first person; references are numbered through all scenes."""
    rows = range(recipe.scenes + recipe.portraits)
    return tuple(accumulate((len(training_scene(recipe, i).figures) for i in rows), initial=0))


def spec_of(recipe: Recipe, shard: int = SHARD) -> Spec:
    """The spec of a recipe's dataset: all of it for training, nothing refused, since it is drawn as its truth says."""
    scenes = recipe.scenes + recipe.portraits
    told = {"scenes": recipe.scenes, "portraits": recipe.portraits, "reference_size": recipe.reference_size}
    return Spec(
        "mini", scenes, 1, recipe.seed, recipe.image_size, shard, shares=(1.0, 0.0, 0.0), filters=False, options=told
    )


def draw_world(recipe: Recipe, folder: Path, workers: int, report: Report, *, shard: int = SHARD) -> None:
    """Draw what is missing of the dataset in `folder / "drawn"` and make the arrays that are missing of it. Raises
    PlvmError where the disk is full or a worker died; what was finished by then is kept."""
    rows = {"scenes": recipe.scenes + recipe.portraits, "references": len(reference_people(recipe))}
    sides = {"scenes": recipe.image_size, "references": recipe.reference_size}
    for kind, count in rows.items():
        if not is_drawn(folder, kind, count):
            synthesize(
                spec_of(recipe, shard), folder / DATA, generator=World(recipe), workers=workers,
                report=lambda done, total: report("draw", done, total),
            )  # fmt: skip
            with whole_file(folder / f"{kind}.npy") as part:
                write_array(part, (count, sides[kind], sides[kind], 3), rows_of(recipe, folder / DATA, kind, count))
            (folder / f"{kind}.done").write_text(str(count))
        report(f"draw {kind}", count, count)


def is_drawn(folder: Path, kind: str, count: int) -> bool:
    """Whether an array is whole: its marker, written after it, tells how many rows it has."""
    marker = folder / f"{kind}.done"
    return (folder / f"{kind}.npy").exists() and marker.exists() and marker.read_text() == str(count)


def rows_of(recipe: Recipe, data: Path, kind: str, count: int) -> Iterator[np.ndarray]:
    """The rows of an array out of the finished dataset: its pictures are in the order of the rows. Raises PlvmError where
    one is missing."""
    pictures = (item for name in sorted(read_manifest(data).shards) for item in read_pictures(data / f"{name}{KEPT}"))
    chosen = ((key, png) for key, png in pictures if key.endswith(f"-{REFERENCE}") == (kind == "references"))
    if kind == "scenes":
        wanted = [f"{i:06}_0-0" for i in range(count)]
    else:
        wanted = [f"{i:06}_{j}-{REFERENCE}" for i, j in reference_people(recipe)]
    for want in wanted:
        key, png = next(chosen, ("", b""))
        if key != want:
            raise PlvmError(f"{data} lacks the picture {want}.", f"Remove {data}, then start the same command again.")
        yield np.asarray(Image.open(io.BytesIO(png)))


def write_array(path: Path, shape: tuple[int, ...], rows: Iterator[np.ndarray]) -> None:
    """Write uint8 `rows` one after the other as a .npy file of `shape`: nothing has to fit into memory."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for row in rows:
            file.write(row.tobytes())
