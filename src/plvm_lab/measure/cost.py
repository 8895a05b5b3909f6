"""What a full-size model costs: its parameters, part by part, and the memory it needs. Nothing is loaded for it.

Parameters are counted on models without memory. The bytes are those of weights, keys and values and stored concepts;
what libraries and activations need besides is an allowance (`RESERVE`), not a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from plvm.model.untrained import aligner_config, untrained_aligner, untrained_backbone, untrained_encoder
from plvm.presets import Preset

GIB = 2**30
RESERVE = 2 * GIB
LEAST = 1024  # tokens that there must be room for: a picture and a short dialogue
MACHINES = (8, 12, 16, 24, 40, 80)  # GiB that GPUs and laptops come with
FORMATS = ("float32", "bfloat16", "int8", "int4")
_BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.5 + 4 / 64}  # int4 keeps a float32 for every 64
_KV_BYTES = 2  # keys and values stay in 16 bits whatever the weights are


def cost(preset: Preset) -> dict[str, Any]:
    """JSON values: parameters per part (`aligner_trainable`, `encoder`, `aligner_with_encoder`, `backbone`,
    `backbone_parts`, `aligner_share` of the backbone) and `memory` in bytes."""
    aligner, encoder, backbone = untrained_aligner(preset), untrained_encoder(preset), untrained_backbone(preset)
    parts = {**dict(backbone.model.named_children()), "lm_head": backbone.lm_head}
    own, reads = parameters(aligner), parameters(encoder)
    return {
        "preset": preset.name,
        "backbone_id": preset.backbone,
        "encoder_id": preset.encoder,
        "architecture": preset.architecture,
        "aligner_trainable": own,
        "encoder": reads,
        "aligner_with_encoder": own + reads,
        "backbone": parameters(backbone),
        "backbone_parts": {name: parameters(part) for name, part in parts.items()},
        "aligner_share": round(own / parameters(backbone), 6),
        "memory": memory(preset, backbone, reads, own),
    }


def parameters(model: nn.Module) -> int:
    """How many numbers a model's weights are."""
    return sum(p.numel() for p in model.parameters())


def memory(preset: Preset, backbone: Any, encoder: int, aligner: int) -> dict[str, Any]:
    """Bytes: `weights` of everything by the backbone's number format, `kv_per_token`, `image_prefix` (keys and values
    of one picture), `concept` (one concept's tokens as they are stored), `training` (the Aligner's gradients and
    AdamW's two moments, beside the weights), and `plan` (what fits on which machine). `encoder` and `aligner` are parameter
    counts."""
    text, config = backbone.config.text_config, aligner_config(preset)
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    per_token = 2 * text.num_hidden_layers * text.num_key_value_heads * head * _KV_BYTES
    image = preset.image_tokens
    weights = {kind: backbone_bytes(backbone, kind) + 4 * aligner + _float_bytes(kind) * encoder for kind in FORMATS}
    rows = 2 + config.context_tokens
    return {
        "weights": weights,
        "kv_per_token": per_token,
        "image_tokens": image,
        "image_prefix": image * per_token,
        "concept": 4 * (rows * config.width + config.encoder_width),
        "training": 12 * aligner,
        "plan": plan(weights, per_token),
    }


def backbone_bytes(backbone: nn.Module, kind: str) -> int:
    """Bytes of the backbone's weights in a number format of `FORMATS`.

    int8 and int4 hold the matrices of all linear layers but the LM head; the rest stays in 16 bits.
    """
    linear = sum(
        m.weight.numel() for name, m in backbone.named_modules() if isinstance(m, nn.Linear) and name != "lm_head"
    )
    rest = parameters(backbone) - linear
    return round(linear * _BYTES[kind] + rest * _float_bytes(kind))


def _float_bytes(kind: str) -> int:
    return 4 if kind == "float32" else 2


def plan(weights: Mapping[str, int], kv_per_token: int) -> list[dict[str, Any]]:
    """What fits where: for each of `MACHINES` (GiB) the most exact 16-, 8- or 4-bit format of the backbone that leaves
    room for `LEAST` tokens and `RESERVE`, and for how many tokens there is room then; format None where none does."""
    rows = []
    for gib in MACHINES:
        room = {kind: (gib * GIB - RESERVE - weights[kind]) // kv_per_token for kind in FORMATS[1:]}
        kind = next((kind for kind in FORMATS[1:] if room[kind] >= LEAST), None)
        rows.append({"gib": gib, "format": kind, "kv_tokens": room[kind] if kind else 0})
    return rows
