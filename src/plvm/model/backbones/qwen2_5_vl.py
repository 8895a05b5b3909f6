"""Qwen2.5-VL."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from plvm.model.backbone_family import Family, Pixels
from plvm.prompt.template import Template


class Qwen(Family):
    """Qwen2.5-VL: positions have three axes (M-RoPE). All tokens of a picture share one time; their rows and columns count
    on from it, and the text after them continues where the longer side ends."""

    types = ("qwen2_5_vl",)
    axes = 3

    def template(self) -> Template:
        return Template(
            begin="<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
            after_image="",
            first_gap="",
            next_gap="",
            user="\n<|im_start|>user\n",
            assistant="<|im_end|>\n<|im_start|>assistant\n",
            yes="Yes",
            no="No",
            end="<|im_end|>",
        )

    @property
    def marker(self) -> str:
        return f"<|vision_start|>{super().marker}<|vision_end|>"

    def _ids(self, pixels: Pixels, index: int, count: int) -> tuple[int, ...]:
        config = self.model.config
        return (config.vision_start_token_id, *(self.image_id,) * count, config.vision_end_token_id)

    def _places(self, ids: Sequence[int], pixels: Pixels, index: int) -> tuple[Tensor, int]:
        merge = self.model.config.vision_config.spatial_merge_size
        _, height, width = (int(n) for n in pixels.inputs["image_grid_thw"][index])
        height, width = height // merge, width // merge
        row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        image = 1 + torch.stack([torch.zeros_like(row), row, column]).flatten(1)  # 1: after <|vision_start|>
        after = 1 + max(height, width)
        return torch.cat([torch.zeros(3, 1).long(), image, torch.full((3, 1), after)], 1), after + 1


FAMILY = Qwen
