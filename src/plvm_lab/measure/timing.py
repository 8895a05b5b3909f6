"""How long a full-size model takes here, with random weights: times depend on shapes, not on what was learned."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from plvm.errors import RequestError
from plvm.model.backbone import Backbone
from plvm.model.backbone_family import Pixels
from plvm.model.encoder import Encoder
from plvm.model.untrained import untrained_aligner, untrained_backbone, untrained_encoder
from plvm.presets import Preset
from plvm.products import product
from plvm.runtime import free_memory
from plvm_lab.measure.cost import GIB, parameters

QUESTION = 32  # tokens of a question and what stands around it
_HEADROOM = 1.15  # activations, buffers and the allocator, on top of the weights


def require_memory(preset: Preset, device: str, dtype: torch.dtype) -> None:
    """Raise RequestError where the preset's weights do not fit into what is free on `device`."""
    numbers = sum(parameters(part(preset)) for part in (untrained_backbone, untrained_encoder, untrained_aligner))
    needed, free = _HEADROOM * numbers * dtype.itemsize, free_memory(device)
    if free is not None and needed > free:
        raise RequestError(
            f"{preset.name} needs about {needed / GIB:.1f} GiB in {str(dtype).removeprefix('torch.')}; "
            f"{free / GIB:.1f} GiB are free on {device}.",
            "Measure on a larger machine, or in another number format. Without --measure nothing is loaded.",
        )


def milliseconds(step: Callable[[], Any], device: str, repeat: int = 5, warmup: int = 2) -> float:
    """The median time of `step` in ms, work on a GPU included."""
    times = []
    for i in range(warmup + repeat):
        wait_for(device)
        begun = time.perf_counter()
        step()
        wait_for(device)
        if i >= warmup:
            times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def wait_for(device: str) -> None:
    """Until everything that was asked of `device` is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


@torch.inference_mode()
def measure(preset: Preset, device: str, dtype: torch.dtype, repeat: int = 5) -> dict[str, Any]:
    """Median times in ms of one reference through `encoder` and `aligner`, and of the backbone's `prefill`: one
    picture, a concept and a question; `aligner_share` is the Aligner's part of aligner + prefill.

    Raises RequestError where the machine cannot hold the weights.
    """
    if preset.backbone_config["model_type"] != "llava":
        raise RequestError(
            f"Times are measured with pictures of one size; those of {preset.backbone} differ.",
            "Measure a preset of LLaVA-1.5, or count parameters without --measure.",
        )
    require_memory(preset, device, dtype)
    backbone = Backbone(untrained_backbone(preset, device, dtype), None, None, preset.backbone)
    encoder, aligner = Encoder(untrained_encoder(preset, device, dtype), None), untrained_aligner(preset, device, dtype)
    side = preset.backbone_config["vision_config"]["image_size"]
    picture = Pixels({"pixel_values": torch.zeros(1, 3, side, side, device=device, dtype=dtype)})
    reference = torch.zeros(1, 3, preset.reference_size, preset.reference_size, device=device, dtype=dtype)
    z_ref = encoder.features(reference)
    words = torch.zeros(1, aligner.config.context_tokens + QUESTION, dtype=torch.long, device=device)

    def prefill() -> None:
        rows = torch.nn.functional.embedding(words, backbone.word_rows)
        hidden, _ = backbone.hidden(torch.cat([backbone.image_tokens(picture)[0].rows[None], rows], 1), keep=True)
        _ = product(hidden[:, -1], backbone.head_rows)

    times = {
        "encoder": milliseconds(lambda: encoder.features(reference), device, repeat),
        "aligner": milliseconds(lambda: aligner.tokens_from_features(z_ref), device, repeat),
        "prefill": milliseconds(prefill, device, repeat),
    }
    return {
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "dtype": str(dtype).removeprefix("torch."),
        "repeat": repeat,
        "prefill_tokens": words.shape[1] + backbone.model.config.image_seq_length,
        "milliseconds": {name: round(value, 3) for name, value in times.items()},
        "aligner_share": round(times["aligner"] / (times["aligner"] + times["prefill"]), 4),
    }
