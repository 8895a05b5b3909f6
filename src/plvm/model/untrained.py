"""The untrained parts of a preset, for counting and timing: on the device "meta" they have shapes and need no memory."""

from __future__ import annotations

from typing import Any

import torch

from plvm.model.aligner import Aligner, AlignerConfig, build_aligner
from plvm.presets import Preset


def aligner_config(preset: Preset) -> AlignerConfig:
    """The shape of the preset's Aligner, and what it stands between."""
    return AlignerConfig(preset.architecture, **preset.aligner, backbone=preset.backbone, encoder=preset.encoder)


def untrained_aligner(preset: Preset, device: str = "meta", dtype: torch.dtype = torch.float32) -> Aligner:
    """The preset's Aligner with random weights, in eval mode."""
    with torch.device(device):
        return build_aligner(aligner_config(preset)).to(dtype).eval()


def untrained_backbone(preset: Preset, device: str = "meta", dtype: torch.dtype = torch.float32) -> Any:
    """The preset's vision-language model with random weights, as transformers builds it, in eval mode."""
    from transformers import AutoModelForImageTextToText

    return _built(AutoModelForImageTextToText, dict(preset.backbone_config), device, dtype)


def untrained_encoder(preset: Preset, device: str = "meta", dtype: torch.dtype = torch.float32) -> Any:
    """The preset's reference encoder with random weights, as transformers builds it, in eval mode."""
    from transformers import AutoModel

    return _built(AutoModel, dict(preset.encoder_config), device, dtype)


def _built(kind: Any, shape: dict[str, Any], device: str, dtype: torch.dtype) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.for_model(shape.pop("model_type"), **shape)
    with torch.device(device):
        return kind.from_config(config, dtype=dtype).eval().requires_grad_(False)
