"""The training world of the mini family: which scenes exist, and where in a picture each person is.

Scene number i is a value that its number and the recipe's seed determine, so truth is never stored: only pixels are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.portraits.person import PHRASES, SLOTS, Person, person_of
from plvm_lab.portraits.scene import (
    ACTIVITIES,
    CANVAS,
    CLOTHES,
    COLORS,
    EXPRESSIONS,
    GLASSES,
    HATS,
    LIGHTS,
    PLACES,
    Scene,
    draw_portrait,
    draw_scene,
    people_count,
)


@lru_cache(maxsize=60_000)
def scene_of(index: int, seed: int, split: str = "train") -> Scene:
    """Scene number `index` of a split, with people nobody else has."""
    rng = random.Random(f"plvm-scene/{split}/{seed}/{index}")
    people = [person_of(split, 4 * index + j, seed) for j in range(people_count(rng))]
    return draw_scene(people, rng)


@lru_cache(maxsize=10_000)
def portrait_scene_of(index: int, seed: int, split: str = "train") -> Scene:
    """Portrait number `index`: a stranger alone, close by, for learning to describe a face."""
    rng = random.Random(f"plvm-portrait/{split}/{seed}/{index}")
    return draw_portrait(person_of(split, 10_000_000 + index, seed), rng)


def training_scene(recipe: Recipe, index: int) -> Scene:
    """The scene whose pixels are row `index` of the pixel array."""
    if index < recipe.scenes:
        return scene_of(index, recipe.seed)
    return portrait_scene_of(index - recipe.scenes, recipe.seed)


@lru_cache(maxsize=4)
def reference_people(recipe: Recipe) -> tuple[tuple[int, int], ...]:
    """(scene, figure) of each reference picture, in the order of the reference array."""
    pairs: list[tuple[int, int]] = []
    for i in range(recipe.scenes):
        pairs += [(i, j) for j in range(len(scene_of(i, recipe.seed).figures))]
        if len(pairs) >= recipe.references:
            break
    return tuple(pairs[: recipe.references])


def reference_scene(person: Person, index: int, seed: int, split: str = "train") -> Scene:
    """The scene of reference picture number `index`, showing `person` alone."""
    return draw_portrait(person, random.Random(f"plvm-reference/{split}/{seed}/{index}"))


# ---------------------------------------------------------------- where things are in a picture


def patch_figures(scene: Scene, side: int) -> tuple[np.ndarray, np.ndarray]:
    """For a side x side grid of patches: which figure's head and which figure's body is there; int8[side * side], -1: none."""
    return patch_places([(f.x, f.y, f.scale) for f in scene.figures], side)


def patch_places(places: Sequence[tuple[float, float, float]], side: int) -> tuple[np.ndarray, np.ndarray]:
    """For a side x side grid of patches and figures at these (x, y, scale): which figure's head and which figure's body is in
    each patch; int8[side * side], -1: none. Nearer figures (drawn later) cover the ones behind them."""
    step = CANVAS / side
    centres = (np.arange(side) + 0.5) * step
    x, y = np.tile(centres, side), np.repeat(centres, side)
    head, body = np.full(side * side, -1, np.int8), np.full(side * side, -1, np.int8)
    for i in sorted(range(len(places)), key=lambda i: places[i][1]):
        left, top, scale = places[i]
        dx, dy = np.abs(x - left) / scale, (y - top) / scale
        in_head = (dx < 58) & (dy > -88) & (dy < 58)  # hair and earrings too
        in_body = (dx < 62) & (dy >= 40) & (dy < 190) & ~in_head
        head[in_head], body[in_head] = i, -1
        head[in_body], body[in_body] = -1, i
    return head, body


def figure_labels(scene: Scene) -> dict[str, np.ndarray]:
    """Per figure the class numbers of everything a picture shows of it: traits, then the look; int64[F] each."""
    rows: dict[str, list[int]] = {}
    for f in scene.figures:
        for slot in SLOTS:
            rows.setdefault(slot, []).append(list(PHRASES[slot]).index(f.person[slot]))
        look = f.look
        rows.setdefault("expression", []).append(list(EXPRESSIONS).index(look.expression))
        rows.setdefault("hat", []).append(["none", *HATS].index(look.hat))
        rows.setdefault("glasses", []).append(["none", *GLASSES].index(look.glasses))
        rows.setdefault("clothes", []).append(list(CLOTHES).index(look.clothes))
        rows.setdefault("color", []).append(COLORS.index(look.color))
        rows.setdefault("activity", []).append(list(ACTIVITIES).index(look.activity))
    return {k: np.asarray(v, np.int64) for k, v in rows.items()}


HEAD_LABELS: dict[str, int] = {s: len(PHRASES[s]) for s in SLOTS} | {
    "expression": len(EXPRESSIONS),
    "hat": len(HATS) + 1,
    "glasses": len(GLASSES) + 1,
}
BODY_LABELS: dict[str, int] = {"clothes": len(CLOTHES), "color": len(COLORS), "activity": len(ACTIVITIES)}
SCENE_LABELS: dict[str, int] = {"place": len(PLACES), "light": len(LIGHTS), "count": 4}


def scene_labels(scene: Scene) -> dict[str, int]:
    """Class numbers of what the whole picture shows."""
    return {
        "place": list(PLACES).index(scene.place),
        "light": list(LIGHTS).index(scene.light),
        "count": len(scene.figures) - 1,
    }
