"""The full-size models by name: where their frozen parts are, and the numbers that decide their shapes.

Data alone. `backbone_config` and `encoder_config` are what the repositories' config.json says about shapes, in the
words of transformers, so that parameters can be counted and untrained models built without a download.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plvm.errors import RequestError
from plvm.types import nearest_names


@dataclass(frozen=True)
class Preset:
    """A backbone and an encoder (Hub ids) and the Aligner between them.

    `aligner` are the fields of its AlignerConfig that differ from the defaults; `reference_size` is the side in pixels
    of a picture as the encoder reads it.
    """

    name: str
    backbone: str
    encoder: str
    architecture: str = "paper"
    aligner: Mapping[str, Any] = field(default_factory=dict)
    backbone_config: Mapping[str, Any] = field(default_factory=dict)
    encoder_config: Mapping[str, Any] = field(default_factory=dict)
    reference_size: int = 224


def _llava(width: int, feed_forward: int, layers: int, heads: int) -> Mapping[str, Any]:
    """LLaVA-1.5: CLIP ViT-L at 336 px, a projector of two layers, Vicuna (Liu et al. 2024).

    32,000 words are Vicuna's own; the repositories in the format of transformers pad both tables to 32,064 rows.
    """
    tower = {
        "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
        "num_attention_heads": 16, "image_size": 336, "patch_size": 14, "projection_dim": 768,
    }  # fmt: skip
    language = {
        "model_type": "llama", "vocab_size": 32_000, "hidden_size": width, "intermediate_size": feed_forward,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    }  # fmt: skip
    return {
        "model_type": "llava", "vision_config": tower, "text_config": language, "image_seq_length": 576,
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "tie_word_embeddings": False,
    }  # fmt: skip


_DINOV2_BASE = {
    "model_type": "dinov2", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "mlp_ratio": 4,
    "image_size": 518, "patch_size": 14,
}  # fmt: skip
_LLAVA_7B, _LLAVA_13B = _llava(4096, 11_008, 32, 32), _llava(5120, 13_824, 40, 40)

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "paper-7b", "llava-hf/llava-1.5-7b-hf", "facebook/dinov2-base",
            backbone_config=_LLAVA_7B, encoder_config=_DINOV2_BASE,
        ),
        Preset(
            "released-7b", "llava-hf/llava-1.5-7b-hf", "facebook/dinov2-base", "released", {"mlp_hidden": 1024},
            backbone_config=_LLAVA_7B, encoder_config=_DINOV2_BASE,
        ),
        Preset(
            "paper-13b", "llava-hf/llava-1.5-13b-hf", "facebook/dinov2-base", aligner={"width": 5120},
            backbone_config=_LLAVA_13B, encoder_config=_DINOV2_BASE,
        ),
    )
}  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of that name. Raises RequestError."""
    if name not in PRESETS:
        near = nearest_names(name, PRESETS)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise RequestError(f'There is no preset "{name[:40]}".', f"{meant}The presets are: {', '.join(PRESETS)}.")
    return PRESETS[name]
