"""Training of the judge: a dataset of `plvm synth --no-filters` -> the networks of `plvm_lab.synth.portrait_judge`.

Faces are taught as a heat map; who someone is by traits and by contrast (a reference against a picture of the same person,
all others of the batch being somebody else); what a picture shows by contrast with its prompt. The thresholds are then set
on the validation identities so that each filter loses one good picture in a hundred.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.data.manifest import read_manifest, read_rows
from plvm.data.shards import KEPT, read_pictures
from plvm.errors import RequestError
from plvm.train.loop import Report, StageSettings, run_stage
from plvm_lab.families.mini.world import HEAD_LABELS
from plvm_lab.portraits.person import PHRASES, SLOTS
from plvm_lab.portraits.scene import ACTIVITIES, CANVAS, CLOTHES, COLORS, LIGHTS, PLACES
from plvm_lab.synth.portrait_judge import (
    CROP_SIDE,
    FACE_HEIGHT,
    GRID,
    HEAD_LIFT,
    PICTURE_SIDE,
    WIDTH,
    Judge,
)

LOST = 0.01  # share of good pictures that each threshold may lose
BATCH = 40
JITTER = 8  # how far a crop may be off in training, in pixels of a crop
SHOWN: dict[str, tuple[str, ...]] = {
    "place": tuple(PLACES), "light": tuple(LIGHTS), "activity": tuple(ACTIVITIES), "clothes": tuple(CLOTHES),
    "color": COLORS,
}  # fmt: skip


@dataclass(eq=False)
class FacePictures:
    """Pictures of one split in memory: whole ones uint8[N, 160, 160, 3], faces uint8[N, 96, 96, 3] (a little wider than
    what the networks see), and per picture its row's truth and prompt. `of[i]` are the rows of identity i, reference
    first."""

    whole: np.ndarray
    faces: np.ndarray
    truth: list[dict[str, Any]]
    prompts: list[str]
    of: list[list[int]] = field(default_factory=list)


def crop_box(truth: Mapping[str, Any], size: int, margin: float = 1.0) -> tuple[float, float, float, float]:
    """The square around a head of which the drawn truth is known, in pixels of a picture of `size`."""
    unit = size / CANVAS
    x, y, half = truth["x"], truth["y"] - HEAD_LIFT * truth["scale"], FACE_HEIGHT * truth["scale"] * margin
    return ((x - half) * unit, (y - half) * unit, (x + half) * unit, (y + half) * unit)


def read_face_pictures(folder: Path, split: str) -> FacePictures:
    """All kept pictures of one split of a dataset."""
    rows = {r["picture"]: r for r in read_rows(folder, split=split) if r["kept"]}
    names = [n for n in sorted(read_manifest(folder).shards) if n.rpartition("-")[0] == split]
    side = CROP_SIDE + 2 * JITTER
    loaded = FacePictures(
        np.empty((len(rows), PICTURE_SIDE, PICTURE_SIDE, 3), np.uint8), np.empty((len(rows), side, side, 3), np.uint8),
        [], [],
    )  # fmt: skip
    groups: dict[str, list[int]] = {}
    for key, png in (item for name in names for item in read_pictures(folder / f"{name}{KEPT}")):
        image, row, i = Image.open(io.BytesIO(png)).convert("RGB"), rows[key], len(loaded.truth)
        loaded.truth.append(flat_truth(row["truth"]))
        loaded.prompts.append(row["prompt"])
        loaded.whole[i] = np.asarray(image.resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR))
        box = crop_box(loaded.truth[i], image.width, side / CROP_SIDE)
        crop = image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))
        loaded.faces[i] = np.asarray(crop.resize((side, side), Image.Resampling.BILINEAR))
        groups.setdefault(row["identity"], []).append(i)
    loaded.of = [own for own in groups.values() if len(own) > 1]
    return loaded


def flat_truth(text: str) -> dict[str, Any]:
    """The truth of a picture's row as one mapping: place, light, and everything about the one person in it."""
    truth = json.loads(text or "{}")
    people = truth.pop("people", [])
    if len(people) != 1:
        raise RequestError(
            "The judge learns from drawn pictures of one person.", "Make them with: plvm synth --no-filters"
        )
    return {**truth, **people[0]}


def face_maps(truths: list[dict[str, Any]]) -> tuple[Tensor, Tensor, Tensor]:
    """Heat [B, 20, 20] with 1 at the head's cell and less around it, where the size counts (mask), and log half-sizes."""
    centres = (torch.arange(GRID) + 0.5) / GRID
    heat, size = torch.zeros(len(truths), GRID, GRID), torch.zeros(len(truths), GRID, GRID)
    for i, t in enumerate(truths):
        box = crop_box(t, 1)
        x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, (box[2] - box[0]) / 2
        square = (centres[None] - x) ** 2 + (centres[:, None] - y) ** 2
        heat[i] = torch.exp(-square / (2 * (0.8 / GRID) ** 2))
        size[i] = float(np.log(half))
    return heat, heat > 0.4, size


def augment(pixels: Tensor) -> Tensor:
    """A little brightness and contrast, differing from picture to picture."""
    gain, shift = 1 + 0.1 * torch.randn(len(pixels), 1, 1, 1), 0.06 * torch.randn(len(pixels), 1, 1, 1)
    return (pixels * gain + shift).clamp(-1, 1)


def pixels_of(rows: np.ndarray) -> Tensor:
    """uint8[B, S, S, 3] -> [B, 3, S, S] in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1


def off_crops(faces: np.ndarray, rng: random.Random) -> Tensor:
    """Crops [B, 3, 80, 80], all off by the same few pixels, as a face finder is."""
    x, y = rng.randint(0, 2 * JITTER), rng.randint(0, 2 * JITTER)
    return pixels_of(faces[:, y : y + CROP_SIDE, x : x + CROP_SIDE])


def contrast(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """Row i of `a` belongs to row i of `b` and to no other: the mean cross-entropy in both directions."""
    logits = scale.exp().clamp(max=60) * a @ b.T
    target = torch.arange(len(a))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def train_judge(data: Path, folder: Path, report: Report, *, steps: int = 1500, seed: int = 0) -> dict[str, float]:
    """Train a judge on a portraits dataset, calibrate it and write `judge.safetensors` and `config.json` to `folder`;
    resumable. Returns the figures on the validation identities. Raises RequestError for a dataset without truth."""
    loaded = read_face_pictures(data, "train")
    torch.manual_seed(seed)
    judge = Judge()
    readers = nn.ModuleDict(
        {"traits": nn.Linear(25 * 128, sum(HEAD_LABELS[s] for s in SLOTS)),
         "shown": nn.Linear(WIDTH, sum(map(len, SHOWN.values())))}
    )  # fmt: skip
    scales = nn.ParameterList([nn.Parameter(torch.tensor(2.5)) for _ in range(2)])

    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        people = rng.sample(loaded.of, BATCH)
        pairs = [(own[0], rng.choice(own[1:])) for own in people]
        shown = [b for _, b in pairs] + [a for a, _ in pairs[: BATCH // 4]]  # references too have faces to be found
        maps, seen = judge.looker(augment(pixels_of(loaded.whole[shown])))
        heat, near, size = face_maps([loaded.truth[i] for i in shown])
        weight = 1 + 20 * heat
        find = F.binary_cross_entropy_with_logits(maps[:, 0], heat, weight)
        half = F.mse_loss(maps[:, 1][near], size[near])
        seen = seen[:BATCH]
        told = judge.speller([loaded.prompts[i] for i in shown[:BATCH]])
        logits = readers["shown"](8 * seen).split([len(v) for v in SHOWN.values()], -1)
        scene = [
            F.cross_entropy(x, torch.tensor([values.index(loaded.truth[i][k]) for i in shown[:BATCH]]))
            for x, (k, values) in zip(logits, SHOWN.items(), strict=True)
        ]
        text = contrast(seen, told, scales[0])
        rows = [a for a, _ in pairs] + [b for _, b in pairs]
        crops = torch.cat([off_crops(loaded.faces[half], rng) for half in (rows[:BATCH], rows[BATCH:])])
        features = judge.knower.look(augment(crops))
        codes = F.normalize(judge.knower.code(features), dim=-1)
        guess = readers["traits"](features).split([HEAD_LABELS[s] for s in SLOTS], -1)
        traits = [
            F.cross_entropy(g, torch.tensor([list(PHRASES[s]).index(loaded.truth[i]["traits"][s]) for i in rows]))
            for g, s in zip(guess, SLOTS, strict=True)
        ]
        who, named = contrast(codes[:BATCH], codes[BATCH:], scales[1]), torch.stack(traits).mean()
        side = torch.stack(scene).mean()
        total = find + half + text + 0.5 * side + who + named
        return {"total": total, "find": find, "half": half, "text": text, "shown": side, "who": who, "traits": named}

    parts = {"judge": judge, "readers": readers, "scales": scales}
    for part in parts.values():
        part.train()
    folder.mkdir(parents=True, exist_ok=True)
    run_stage("judge", parts, losses, StageSettings(steps, 2e-3, seed), folder=folder, report=report)
    judge.eval()
    figures = calibrate(judge, read_face_pictures(data, "val"))
    write_judge(judge, folder, {"steps": steps, "seed": seed, "data": read_manifest(data).content, **figures})
    return figures


@torch.no_grad()
def calibrate(judge: Judge, loaded: FacePictures) -> dict[str, float]:
    """Set both thresholds so that one good picture in a hundred is lost; returns them with the share of wrong pairs
    (the next identity's picture, the next picture's prompt) that they catch."""
    pictures = [Image.fromarray(p) for p in loaded.whole]
    codes: list[np.ndarray | None] = []
    for start in range(0, len(pictures), 50):
        codes += [f[0].embedding if f else None for f in judge.faces(pictures[start : start + 50])]
    pairs = [(own[0], i) for own in loaded.of for i in own[1:]]
    good = [float(a @ b) for i, j in pairs if (a := codes[i]) is not None and (b := codes[j]) is not None]
    turned = pairs[5:] + pairs[:5]
    bad = [
        float(a @ b)
        for (i, _), (_, j) in zip(pairs, turned, strict=True)
        if (a := codes[i]) is not None and (b := codes[j]) is not None
    ]
    told = [j for _, j in pairs]
    fitting = judge.similarity([pictures[j] for j in told], [loaded.prompts[j] for j in told])
    wrong = judge.similarity([pictures[j] for j in told], [loaded.prompts[j] for _, j in turned])
    judge.face_threshold = round(float(np.quantile(good, LOST)), 3)
    judge.text_threshold = round(float(np.quantile(fitting, LOST)), 3)
    return {
        "face_threshold": judge.face_threshold, "text_threshold": judge.text_threshold,
        "faces_found": round(sum(c is not None for c in codes) / len(codes), 4),
        "others_caught": round(float(np.mean(np.array(bad) < judge.face_threshold)), 4),
        "scenes_caught": round(float(np.mean(np.array(wrong) < judge.text_threshold)), 4),
    }  # fmt: skip


def write_judge(judge: Judge, folder: Path, record: Mapping[str, Any]) -> None:
    """Save as float16 safetensors with the thresholds and the training record."""
    from safetensors.torch import save_file

    weights = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in judge.state_dict().items()}
    save_file(weights, folder / "judge.safetensors")
    (folder / "config.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
