"""Stages "tower" and "encoder": the two vision models learn to see the portraits world.

Both are taught the truth of the pictures they look at. The tower: from the mean of a person's head patches who it is, from the
mean of the body patches what it wears and does, from all patches where it is; as a side term, the same from single patches;
and, through the projector, from every patch its picture in words, which the language model is going to read. The encoder:
from its global token and from the mean of its patch tokens the person's traits and geometry.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.runtime import mixed_precision
from plvm.train.loop import Report, StageSettings, run_stage
from plvm_lab.families.mini.patch_words import WordPictures
from plvm_lab.families.mini.recipe import Recipe
from plvm_lab.families.mini.world import (
    BODY_LABELS,
    HEAD_LABELS,
    SCENE_LABELS,
    figure_labels,
    patch_figures,
    reference_people,
    scene_labels,
    scene_of,
    training_scene,
)
from plvm_lab.portraits.person import GEOMETRY, SLOTS


class Reader(nn.Module):
    """Linear read-outs of several labels from one feature: [N, W] -> loss against {label: int64[N]}."""

    def __init__(self, labels: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.labels = dict(labels)
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, sum(labels.values()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits [N, values] per label."""
        parts = self.linear(self.norm(x)).split(list(self.labels.values()), dim=-1)
        return dict(zip(self.labels, parts, strict=True))

    def loss(self, x: Tensor, target: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(mean cross-entropy over the labels, mean accuracy over the labels)."""
        logits = self(x)
        losses = [F.cross_entropy(logits[k], target[k]) for k in self.labels]
        hits = [(logits[k].argmax(-1) == target[k]).float().mean() for k in self.labels]
        return torch.stack(losses).mean(), torch.stack(hits).mean()


def to_pixels(rows: np.ndarray) -> Tensor:
    """uint8[B, S, S, 3] -> pixel values [B, 3, S, S] in [-1, 1], as the image processor gives them."""
    return torch.as_tensor(np.array(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1


def jitter(pixels: Tensor) -> Tensor:
    """A little brightness, contrast and softness, differing from picture to picture: drawn pictures get resized by users."""
    n = len(pixels)
    gain, shift = 1 + 0.1 * torch.randn(n, 1, 1, 1), 0.06 * torch.randn(n, 1, 1, 1)
    soft = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = torch.rand(n, 1, 1, 1) * (torch.rand(n, 1, 1, 1) < 0.4) * 0.8
    return ((pixels + amount * (soft - pixels)) * gain + shift).clamp(-1, 1)


def tower_features(vlm: Any, pixels: Tensor) -> Tensor:
    """The features the projector receives: [B, P, W]."""
    return vlm.model.vision_tower(pixel_values=pixels).last_hidden_state[:, 1:]


def _mean_over(owner: Tensor, features: Tensor, figures: int) -> tuple[Tensor, Tensor]:
    """Mean feature of each figure's patches [figures, W] and which figures have any: owner int64[P] of one picture."""
    hot = F.one_hot(owner.clamp(min=0), figures).float() * (owner >= 0).unsqueeze(-1)
    count = hot.sum(0)
    return hot.T @ features / count.clamp(min=1).unsqueeze(-1), count > 0


def train_tower(recipe: Recipe, vlm: Any, folder: Path, report: Report) -> None:
    """Train the vision tower and the projector on the drawn scenes; the read-outs are dropped afterwards."""
    array = np.load(folder / "scenes.npy", mmap_mode="r")
    side = recipe.image_size // recipe.patch
    tables = {"head": HEAD_LABELS, "body": BODY_LABELS, "scene": SCENE_LABELS}
    readers = {k: Reader(labels, recipe.tower_width) for k, labels in tables.items()}
    words = WordPictures(side, recipe.width)

    @mixed_precision()
    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        rows = [rng.randrange(len(array)) for _ in range(recipe.tower_batch)]
        scenes = [training_scene(recipe, i) for i in rows]
        features = tower_features(vlm, jitter(to_pixels(array[rows])))
        found: dict[str, list[Tensor]] = {"head": [], "body": [], "head_one": [], "body_one": []}
        labels: dict[str, list[dict[str, np.ndarray]]] = {k: [] for k in found}
        for b, scene in enumerate(scenes):
            truth = figure_labels(scene)
            for part, grid in zip(("head", "body"), patch_figures(scene, side), strict=True):
                owner = torch.as_tensor(grid.astype(np.int64))
                mean, present = _mean_over(owner, features[b], len(scene.figures))
                found[part].append(mean[present])
                labels[part].append({k: v[present.cpu().numpy()] for k, v in truth.items()})
                spots = torch.nonzero(owner >= 0).flatten()
                if len(spots):
                    spots = spots[torch.randperm(len(spots))[:6]]
                    found[part + "_one"].append(features[b, spots])
                    labels[part + "_one"].append({k: v[owner[spots].cpu().numpy()] for k, v in truth.items()})

        def loss_of(part: str) -> tuple[Tensor, Tensor]:
            reader = readers[part.split("_")[0]]
            target = {k: torch.as_tensor(np.concatenate([x[k] for x in labels[part]])) for k in reader.labels}
            return reader.loss(torch.cat(found[part]), target)

        out: dict[str, Tensor] = {}
        total = torch.zeros(())
        for part, weight in (("head", 1.0), ("body", 0.5), ("head_one", 0.4), ("body_one", 0.2)):
            loss, out[part] = loss_of(part)
            total = total + weight * loss
        whole = [scene_labels(s) for s in scenes]
        loss, out["scene"] = readers["scene"].loss(
            features.mean(1), {k: torch.tensor([w[k] for w in whole]) for k in SCENE_LABELS}
        )
        target = words.embed(scenes)
        out["words"] = F.mse_loss(vlm.model.multi_modal_projector(features).float(), target) / target.var()
        return {"total": total + 0.3 * loss + 3.0 * out["words"], **out}

    parts = {
        "tower": vlm.model.vision_tower,
        "projector": vlm.model.multi_modal_projector,
        "readers": nn.ModuleDict(readers),
    }
    for part in parts.values():
        part.requires_grad_(True).train()
    run_stage(
        "tower", parts, losses, StageSettings(recipe.tower_steps, recipe.learning_rate, recipe.seed, warmup=300),
        folder=folder, report=report,
    )  # fmt: skip
    for part in parts.values():
        part.requires_grad_(False).eval()


def train_encoder(recipe: Recipe, encoder: nn.Module, folder: Path, report: Report) -> None:
    """Train the reference encoder on the drawn reference pictures; the read-outs are dropped afterwards."""
    array = np.load(folder / "references.npy", mmap_mode="r")
    people = reference_people(recipe)
    labels = {s: HEAD_LABELS[s] for s in SLOTS}
    readers = {k: Reader(labels, recipe.encoder_width) for k in ("token", "patches")}
    geometry = nn.Linear(recipe.encoder_width, len(GEOMETRY))

    @mixed_precision()
    def losses(step: int, rng: random.Random) -> Mapping[str, Tensor]:
        rows = [rng.randrange(len(array)) for _ in range(recipe.encoder_batch)]
        shown = [scene_of(people[i][0], recipe.seed).figures[people[i][1]].person for i in rows]
        z = encoder(jitter(to_pixels(array[rows]))).last_hidden_state
        target = {s: torch.tensor([list_index(s, p[s]) for p in shown]) for s in SLOTS}
        token, token_hit = readers["token"].loss(z[:, 0], target)
        patches, patch_hit = readers["patches"].loss(z[:, 1:].mean(1), target)
        sizes = F.mse_loss(geometry(z[:, 0]), torch.tensor([p.geometry for p in shown]))
        return {"total": token + patches + 0.5 * sizes, "token": token_hit, "patches": patch_hit, "geometry": sizes}

    encoder.requires_grad_(True).train()
    parts = {"encoder": encoder, "readers": nn.ModuleDict(readers), "geometry": geometry}
    run_stage(
        "encoder", parts, losses, StageSettings(recipe.encoder_steps, recipe.learning_rate, recipe.seed, warmup=300),
        folder=folder, report=report,
    )  # fmt: skip
    encoder.requires_grad_(False).eval()


def list_index(slot: str, value: str) -> int:
    """The class number of a trait value."""
    from plvm_lab.portraits.person import PHRASES

    return list(PHRASES[slot]).index(value)
