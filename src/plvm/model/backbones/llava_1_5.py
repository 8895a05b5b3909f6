"""LLaVA-1.5."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from plvm.model.backbone_family import Family, Pixels
from plvm.model.glance import glance_of
from plvm.prompt.template import Template


class Llava(Family):
    """LLaVA-1.5: every picture has one size and the same number of image tokens."""

    types = ("llava",)

    def template(self) -> Template:
        return Template(begin=f"{self.tokenizer.bos_token or ''}USER: ", after_image=" \n", first_gap="")

    def looked(self, pixels: Pixels) -> Any:
        return self.model.get_image_features(**pixels.inputs, output_hidden_states=True)

    @property
    def glance_width(self) -> int:
        return 2 * int(self.model.config.vision_config.hidden_size)

    def glance(self, looked: Any, index: int) -> Tensor:
        """Of the patches halfway up the tower: there pictures of another kind are farther away than at its end, which
        says of every picture what it was trained to say."""
        halfway = looked.hidden_states[len(looked.hidden_states) // 2][index]
        return glance_of(halfway[1:].detach())


FAMILY = Llava
