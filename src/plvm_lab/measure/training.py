"""Measuring what shared image prefixes save in training, against the naive way: every sample its own whole sequence.

Both ways train the same Aligner on the same samples between parts of the mini family's size with random weights: times and
memory depend on shapes, not on what was learned.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.data.wordings import ASK, NO, YES
from plvm.model.aligner import Aligner, AlignerConfig, build_aligner
from plvm.model.backbone import Backbone
from plvm.model.backbone_family import Pixels
from plvm.prompt.image_first import Prompt
from plvm.train.batch import write_sample
from plvm.train.loss import answer_loss
from plvm.train.memory import peak_bytes
from plvm.train.rows import pad_rows
from plvm.train.step import Packed, image_prefix, rows_of, suffix_logits, vocabulary_from
from plvm.train.tasks import Sample, Turn
from plvm_lab.evaluate.result_table import Table
from plvm_lab.families.mini.parts import build_vlm
from plvm_lab.families.mini.recipe import FULL
from plvm_lab.measure.timing import wait_for

IMAGE_TOKENS, PACKS, W = (64, 576), (1, 4, 8, 16), 20.0


def shared_loss(backbone: Backbone, prompt: Prompt, aligner: Aligner, packed: Packed) -> Tensor:
    """The picture once and without gradients, all suffixes on it."""
    prefix = image_prefix(backbone, prompt, packed.pixels)
    logits = suffix_logits(backbone, prefix, packed, rows_of(aligner, packed))
    return answer_loss(logits, packed.ids, packed.supervise, W)


def naive_loss(backbone: Backbone, prompt: Prompt, aligner: Aligner, packed: Packed) -> Tensor:
    """Every sample its own whole sequence, picture included. `packed` has one picture."""
    assert isinstance(packed.pixels, Pixels)
    count = len(packed.ids)
    vocabulary = vocabulary_from(rows_of(aligner, packed), backbone.vocabulary_size, count)
    values = packed.pixels.inputs["pixel_values"].expand(count, -1, -1, -1)
    with torch.no_grad():
        features = torch.stack([i.rows for i in backbone.image_tokens(Pixels({"pixel_values": values}))])
    before, after = (
        F.embedding(torch.tensor(ids, dtype=torch.long, device=features.device), backbone.word_rows)
        .expand(count, -1, -1)
        for ids in prompt.prefix()
    )  # fmt: skip
    suffix = vocabulary.embed(packed.ids, backbone.word_rows)
    hidden, _ = backbone.hidden(torch.cat([before, features, after, suffix], 1))
    logits = vocabulary.logits(hidden[:, -suffix.shape[1] :], backbone.head_rows)
    return answer_loss(logits[:, :-1][packed.supervise[:, 1:] > 0], packed.ids, packed.supervise, W)


def bench_train(
    tokenizer: Any, report: Callable[[int, int], None], *, image_tokens: Sequence[int] = IMAGE_TOKENS,
    packs: Sequence[int] = PACKS, rounds: int = 5, seed: int = 0, device: str = "cpu",
) -> dict[str, Any]:  # fmt: skip
    """JSON values: `rows`, one per number of image tokens (a square) and of samples M on one picture, with medians over
    `rounds` steps of both ways in turn on `device`. A step is forward and backward; `peak_memory_ratio` is shared to naive of
    what a step holds beyond the weights; `max_gradient_difference` is the largest difference relative to the largest
    gradient."""
    rows, aligner_config = [], _aligner_config()
    for i, count in enumerate(image_tokens):
        backbone = _backbone(tokenizer, count, seed, device)
        prompt, aligner = Prompt(tokenizer), build_aligner(aligner_config).to(device).train()
        for j, m in enumerate(packs):
            packed = _packed(backbone, prompt, aligner_config, m, seed)
            rows.append({"image_tokens": count, "m": m, **_compare(backbone, prompt, aligner, packed, rounds)})
            report(i * len(packs) + j + 1, len(image_tokens) * len(packs))
    about = {"aligner": "paper", "weights": "random", "dtype": "float32", "device": device}
    return {"rows": rows, "n": rounds, **about}


def _compare(backbone: Backbone, prompt: Prompt, aligner: Aligner, packed: Packed, rounds: int) -> dict[str, Any]:
    ways = {"naive": naive_loss, "shared": shared_loss}
    gradients: dict[str, list[Tensor]] = {}
    times: dict[str, list[float]] = {way: [] for way in ways}
    peaks: dict[str, int] = {}

    def step(way: str) -> None:
        aligner.zero_grad(set_to_none=True)
        ways[way](backbone, prompt, aligner, packed).backward()

    for way in ways:  # the first step warms up and counts
        peaks[way] = peak_bytes(lambda way=way: step(way))  # type: ignore[misc]
        gradients[way] = [p.grad.clone() for p in aligner.parameters() if p.grad is not None]
    for _ in range(rounds):
        for way in ways:
            wait_for(str(backbone.device))
            begun = time.perf_counter()
            step(way)
            wait_for(str(backbone.device))
            times[way].append(time.perf_counter() - begun)
    naive, shared = (len(packed.ids) / statistics.median(times[way]) for way in ways)
    differences = [float((a - b).abs().max()) for a, b in zip(gradients["naive"], gradients["shared"], strict=True)]
    largest = max(float(g.abs().max()) for g in gradients["naive"])
    return {
        "naive_per_s": round(naive, 3), "shared_per_s": round(shared, 3), "speedup": round(shared / naive, 3),
        "max_gradient_difference": max(differences) / largest,
        "peak_memory_ratio": round(peaks["shared"] / peaks["naive"], 4),
        "naive_peak_mb": round(peaks["naive"] / 1e6, 1), "shared_peak_mb": round(peaks["shared"] / 1e6, 1),
    }  # fmt: skip


def table_of_rates(found: Mapping[str, Any]) -> Table:
    """The table of what `bench_train` measured, with where it comes from (`provenance`)."""
    keys = ("image_tokens", "m", "naive_per_s", "shared_per_s", "speedup")
    rows = tuple(
        (*(f"{row[k]:g}" for k in keys), f"{100 * row['peak_memory_ratio']:.0f} %", f"{row['max_gradient_difference']:.0e}")
        for row in found["rows"]
    )
    header = ("image tokens", "questions a picture", "naive a second", "shared a second", "speed-up", "memory", "gradients")
    gpu = found.get("device", "cpu") != "cpu"
    machine = found["machine"]["gpu" if gpu else "cpu"]
    note = f"On {machine}; medians of {found['n']} steps. Gradients: the largest difference, relative to the largest one."
    return Table(f"Shared pictures in training, on a {'GPU' if gpu else 'CPU'}", header, rows, note)


def _backbone(tokenizer: Any, image_tokens: int, seed: int, device: str) -> Backbone:
    side = round(image_tokens**0.5)
    torch.manual_seed(seed)
    model = build_vlm(replace(FULL, image_size=side * FULL.patch), tokenizer)
    with torch.no_grad():  # at birth the family's blocks add nothing; here they shall do what trained ones do
        for layer in model.model.language_model.layers:
            for linear in (layer.self_attn.o_proj, layer.mlp.down_proj):
                linear.weight.normal_(std=linear.in_features**-0.5)
    return Backbone(model.to(device), tokenizer, None)


def _aligner_config() -> AlignerConfig:
    return AlignerConfig(
        encoder_width=FULL.encoder_width, width=FULL.width, mlp_hidden=2 * FULL.width,
        resampler_width=2 * FULL.width // 3, heads=4,
    )  # fmt: skip


def _packed(backbone: Backbone, prompt: Prompt, config: AlignerConfig, m: int, seed: int) -> Packed:
    """`m` recognition questions about one picture, each about someone else."""
    rng, generator = random.Random(f"bench/{seed}"), torch.Generator().manual_seed(seed)
    side = backbone.model.config.vision_config.image_size
    written = []
    for i in range(m):
        here = rng.random() < 0.5
        question, answer = (rng.choice(texts).format(x="<n0>") for texts in (ASK, YES if here else NO))
        sample = Sample((str(i),), (Turn(question, answer, here),), (0,))
        written.append(write_sample(prompt, sample, backbone.vocabulary_size, config.context_tokens))
    tokens = (FULL.reference_size // FULL.reference_patch) ** 2 + 1
    device = backbone.device
    return Packed(
        Pixels({"pixel_values": torch.randn(1, 3, side, side, generator=generator).to(device)}),
        m,
        pad_rows([t.ids for t in written], prompt.end_id).to(device),
        pad_rows([t.supervise for t in written], 0).to(device),
        torch.randn(m, 1, tokens, config.encoder_width, generator=generator).to(device),
    )
