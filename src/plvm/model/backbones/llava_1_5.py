"""LLaVA-1.5."""

from __future__ import annotations

from plvm.model.backbone_family import Family
from plvm.prompt.template import Template


class Llava(Family):
    """LLaVA-1.5: every picture has one size and the same number of image tokens."""

    types = ("llava",)

    def template(self) -> Template:
        return Template(begin=f"{self.tokenizer.bos_token or ''}USER: ", after_image=" \n", first_gap="")


FAMILY = Llava
