"""A preset in miniature: the same kinds of parts as the full-size ones."""

from __future__ import annotations

from plvm.presets import Preset

MINIATURE = Preset(
    "miniature",
    "nobody/llava",
    "nobody/dinov2",
    aligner={
        "encoder_width": 24, "width": 32, "context_tokens": 4, "mlp_hidden": 16, "resampler_width": 16, "blocks": 1,
        "heads": 2,
    },
    backbone_config={
        "model_type": "llava",
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 56, "patch_size": 14, "projection_dim": 24,
        },
        "text_config": {
            "model_type": "llama", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512,
            "tie_word_embeddings": False,
        },
        "image_seq_length": 16, "image_token_id": 99, "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default", "tie_word_embeddings": False,
    },
    encoder_config={
        "model_type": "dinov2", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2,
        "image_size": 56, "patch_size": 14,
    },
    reference_size=56,
    image_tokens=16,
)  # fmt: skip
