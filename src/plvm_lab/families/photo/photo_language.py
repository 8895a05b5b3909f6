"""Stage "language": the pretrained language model learns to compare codes, on dialogues about scenes; then it is frozen.

No pixel is seen and no Aligner is there: a scene is the codes of its faces, of its windows and of who and what is introduced. The
dialogues of a step are drawn from its number, so a training that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from plvm.model.backbone import Backbone
from plvm.model.photo.face_places import SEEN
from plvm.model.photo.photo_model import PhotoConfig, PhotoDecoder, PhotoModel
from plvm.model.photo.photo_processor import PhotoProcessor
from plvm.prompt.image_first import Prompt
from plvm.runtime import mixed_precision
from plvm.train.loop import Report, save_atomically, schedule
from plvm_lab.families.photo.code_space import Pool
from plvm_lab.families.photo.low_rank import LowRank, graft
from plvm_lab.families.photo.photo_dialogues import KINDS, LOOKED, Scene, draw_questions, draw_scene, looked_at
from plvm_lab.families.photo.photo_rows import scores_of
from plvm_lab.families.photo.thing_pool import ThingPool

STAGE = "language"
Pools = tuple[Pool, ThingPool]  # people and things to draw from
FIRST_NAMES = " Anna Tom Maria John Peter Julia"
_SCALARS = 5.0  # times the rate of the others: gains and thresholds
_VALIDATION = 10_000_000  # the first number of a validation batch, after all steps


@dataclass(frozen=True)
class Teaching:
    """How the language model is taught: `prefixes` scenes a step with `questions` each; the first word of an answer counts
    `first_word` times, and `looking` is what it counts where head 2 looks. From step `only_looking[0]` up to `[1]` nothing else
    counts, and the layers after it are left out: half the work, and every question is about it. Every `save` steps there is a
    checkpoint."""

    steps: int = 1130
    prefixes: int = 5
    questions: int = 8
    rate: float = 1e-3
    warmup: int = 40
    first_word: float = 3.0
    looking: float = 1.0
    only_looking: tuple[int, int] = (950, 1030)
    save: int = 50
    seed: int = 0


def untaught(language: Any, tokenizer: Any, processor: PhotoProcessor, config: PhotoConfig, seed: int) -> Backbone:
    """The photo model before it has learned anything: places begin at what they are called, names at first names."""
    torch.manual_seed(seed)
    model = PhotoModel(language, config)
    table, decoder = language.get_input_embeddings().weight.detach(), model.decoder
    called = [tokenizer(f" {place}", add_special_tokens=False)["input_ids"] for place in SEEN]
    middle = torch.stack([table[ids].mean(0) for ids in called])
    places, apart = (functional.normalize(x, dim=-1) * table.shape[1] ** 0.5 for x in (middle, middle - middle.mean(0)))
    names = table[tokenizer(FIRST_NAMES, add_special_tokens=False)["input_ids"]].mean(0)
    decoder.rows.begin(table)
    with torch.no_grad():
        decoder.rows.place_rows.copy_(0.05 * places)
        decoder.looks.places.copy_(0.1 * places + 0.1 * apart)
        decoder.names.places.copy_(0.3 * apart)  # what sets "on the left" apart from "on the right" is small in their words
        decoder.rows.word_row.copy_(names)
        decoder.rows.head_row.copy_(names)
    graft(language, config)
    return Backbone(model, tokenizer, processor, "../backbone")


def trained(backbone: Backbone) -> dict[str, nn.Parameter]:
    """What is trained of a photo model, by name: updates, rows and heads."""
    parts = ("rows.", "looks.", "names.")
    decoder = {f"heads.{n}": p for n, p in backbone.model.decoder.named_parameters() if n.startswith(parts)}
    own = {n: p for n, p in backbone.model.language.named_parameters() if n.endswith((".down", ".up"))}
    return decoder | {f"updates.{n}": p for n, p in own.items()}


def teach(backbone: Backbone, pools: Pools, teaching: Teaching, folder: Path, report: Report) -> None:
    """Teach the photo model on people and things of the pools; `folder/language.pt` is its last checkpoint."""
    weights, path = trained(backbone), folder / f"{STAGE}.pt"
    for parameter in weights.values():
        parameter.requires_grad_(True)
    optimizer, prompt = _optimizer(weights, teaching), Prompt(backbone.tokenizer, backbone.template())
    rates, first = [group["lr"] for group in optimizer.param_groups], 0
    if path.exists():
        state = torch.load(path, weights_only=True)
        load_trained(backbone, state["weights"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    with _halved(backbone.model.language):
        for step in range(first, teaching.steps):
            share = schedule(step, teaching.steps, teaching.warmup, 0.05)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * share
            loss = _loss(backbone, prompt, pools, teaching, step + 1)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimizer.step()
            if (step + 1) % teaching.save == 0 or step + 1 == teaching.steps:
                kept = {name: value.detach() for name, value in weights.items()}
                save_atomically({"weights": kept, "optimizer": optimizer.state_dict(), "step": step + 1}, path)
            report(STAGE, step + 1, teaching.steps, {"loss": loss.item()})
    for parameter in weights.values():
        parameter.requires_grad_(False)


def load_trained(backbone: Backbone, weights: Mapping[str, Tensor]) -> None:
    """Put trained weights, by the names of `trained`, into a photo model."""
    with torch.no_grad():
        for name, parameter in trained(backbone).items():
            parameter.copy_(weights[name])


@torch.inference_mode()
def measure(
    backbone: Backbone, pools: Pools, *, held_out: bool, batches: int = 12, teaching: Teaching = Teaching()
) -> dict[str, dict[str, float]]:
    """By kind of question: how many there were ("n"), and the shares of answers whose first word, and all of whose words, are
    the best ones; about real people and things of the pools, in wordings that were trained or held out."""
    prompt, table = Prompt(backbone.tokenizer, backbone.template()), dict[str, list[tuple[bool, bool]]]()
    for number in range(batches):
        scenes, asked = _drawn(pools, teaching, _VALIDATION + number, held_out=held_out, mixed=0.0, single=0.0)
        with mixed_precision():
            scores, words = scores_of(backbone, prompt, scenes, [[q[1:] for q in own] for own in asked])
        right = scores.argmax(-1) == words[:, 0]
        told = [(scene, q) for scene, own in zip(scenes, asked, strict=True) for q in own]
        for i, (scene, (kind, _, answer)) in enumerate(told):
            own = right[words[:, 1] == i]
            table.setdefault(_told(scene, kind, answer), []).append((bool(own[0]), bool(own.all())))
    shares = {kind: np.array(found) for kind, found in sorted(table.items())}
    return {k: {"n": len(f), "first": float(f[:, 0].mean()), "whole": float(f[:, 1].mean())} for k, f in shares.items()}


def _told(scene: Scene, kind: str, answer: str) -> str:
    """A kind, told apart by whether who or what is asked about is there."""
    if kind == "who_at":
        return f"{kind} {'known' if '{' in answer else 'stranger'}"
    if kind in ("presence", "where"):
        (one,) = set(re.findall(r"\{(\d+)\}", answer))
        what = "thing " if int(one) in scene.things else ""
        return f"{what}{kind} {'absent' if 'not in this photo' in answer else 'there'}"
    return kind


def _drawn(
    pools: Pools, teaching: Teaching, number: int, *, held_out: bool = False, looking: bool = False, **drawing: Any
) -> tuple[list[Scene], list[list[tuple[str, str, str]]]]:
    scenes_rng, rng = np.random.default_rng([teaching.seed, number]), random.Random(f"{teaching.seed}/{number}")
    drawn = (draw_scene(*pools, scenes_rng, **drawing) for _ in count())
    scenes = list(islice((scene for scene in drawn if len(scene.who) > 1 or not looking), teaching.prefixes))
    kinds = LOOKED if looking else KINDS
    return scenes, [draw_questions(scene, rng, teaching.questions, kinds, held_out=held_out) for scene in scenes]


def _loss(backbone: Backbone, prompt: Prompt, pools: Pools, teaching: Teaching, number: int) -> Tensor:
    alone, decoder = number in range(*teaching.only_looking), backbone.model.decoder
    scenes, asked = _drawn(pools, teaching, number, looking=alone)
    with mixed_precision(), _seen_by(decoder.names) as seen, _without_later_layers(decoder) if alone else nullcontext():
        scores, words = scores_of(backbone, prompt, scenes, [[q[1:] for q in own] for own in asked])
        looked = decoder.names.looked(*seen[-1][:3])
    faces = [looked_at(scene, *question) for scene, own in zip(scenes, asked, strict=True) for question in own]
    looking = teaching.looking * looking_loss(backbone, looked, words, faces)
    if alone:
        return looking
    loss = functional.cross_entropy(scores, words[:, 0], reduction="none")
    weight = torch.where(words[:, 2] == 0, teaching.first_word, 1.0)
    return (loss * weight).sum() / weight.sum() + looking


@contextmanager
def _without_later_layers(decoder: PhotoDecoder) -> Iterator[None]:
    """The layers that follow head 2 left out, but for the one before which it stands."""
    layers = decoder.language.layers
    decoder.language.layers = layers[: decoder.after[1] + 1]
    try:
        yield
    finally:
        decoder.language.layers = layers


@contextmanager
def _seen_by(head: nn.Module) -> Iterator[list[tuple[Any, ...]]]:
    """The arguments of every call of a head."""
    calls: list[tuple[Any, ...]] = []
    handle = head.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
    try:
        yield calls
    finally:
        handle.remove()


def looking_loss(backbone: Backbone, looked: Tensor, words: Tensor, faces: list[list[int]]) -> Tensor:
    """How far head 2 is from looking at the right face where somebody who stands at a place is said: the mean cross entropy.
    `looked [B, T, N]` is how much it looks at each face and window, `faces` are the right ones of each of the B answers."""
    (someone,) = backbone.tokenizer(" someone", add_special_tokens=False)["input_ids"][:1]
    said = (words[:, 0] >= backbone.vocabulary_size) | (words[:, 0] == someone)
    each = [0.0 * looked.sum()]  # where no answer of a step says a name, nothing is learned
    for number, right in enumerate(faces):
        stands = words[said & (words[:, 1] == number), 3][-len(right) or len(said) :]
        if len(stands) == len(right):
            each += [-looked[number, at, face].float().clamp(min=1e-6).log() for at, face in zip(stands, right, strict=True)]
    return torch.stack(each).sum() / max(1, len(each) - 1)


def _optimizer(weights: Mapping[str, nn.Parameter], teaching: Teaching) -> torch.optim.Optimizer:
    groups = [
        {"params": [p for p in weights.values() if p.ndim], "lr": teaching.rate},
        {"params": [p for p in weights.values() if not p.ndim], "lr": _SCALARS * teaching.rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=0.0, betas=(0.9, 0.98))


@contextmanager
def _halved(language: Any) -> Iterator[None]:
    """The frozen halves of updated layers in bfloat16, where products are taken in it; afterwards as they were."""
    layers = [m.frozen for m in language.modules() if isinstance(m, LowRank)] if mixed_precision()._enabled else []
    whole = [layer.weight.data for layer in layers]
    for layer in layers:
        layer.weight.data = layer.weight.data.bfloat16()
    try:
        yield
    finally:
        for layer, weight in zip(layers, whole, strict=True):
            layer.weight.data = weight
