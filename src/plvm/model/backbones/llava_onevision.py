"""LLaVA-OneVision."""

from __future__ import annotations

from plvm.model.backbone_family import Family
from plvm.prompt.template import Template


class Onevision(Family):
    """LLaVA-OneVision: the whole picture, then tiles of it in full resolution, without the padding, each line ended."""

    types = ("llava_onevision",)

    def template(self) -> Template:
        return Template(
            begin="<|im_start|>user ",
            after_image="\n",
            first_gap="",
            next_gap="",
            user="<|im_start|>user \n",
            assistant="<|im_end|><|im_start|>assistant\n",
            yes="Yes",
            no="No",
            end="<|im_end|>",
        )


FAMILY = Onevision
