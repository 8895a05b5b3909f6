"""SmolVLM and Idefics3."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from plvm.model.backbone_family import Family, Pixels
from plvm.prompt.template import Template


class Smol(Family):
    """SmolVLM and Idefics3: a picture is cut into tiles and also seen whole; tokens say which tile follows."""

    types = ("smolvlm", "idefics3")

    def template(self) -> Template:
        return Template(
            begin=f"{self.tokenizer.bos_token or ''}User:",
            after_image="",
            first_gap="",
            user="\nUser:",
            assistant="<end_of_utterance>\nAssistant:",
            end="<end_of_utterance>",
        )

    def pixels(self, images: Sequence[Image.Image]) -> Pixels:
        inputs = self._processed([[image] for image in images], return_row_col_info=True)
        rows, columns = inputs.pop("rows"), inputs.pop("cols")
        return Pixels(inputs, tuple((int(r[0]), int(c[0])) for r, c in zip(rows, columns, strict=True)))

    def _ids(self, pixels: Pixels, index: int, count: int) -> tuple[int, ...]:
        height, width = pixels.tiles[index]
        around, whole, image = "<fake_token_around_image>", "<global-img>", "<image>"
        text = "".join(
            "".join(f"{around}<row_{r + 1}_col_{c + 1}>{image}" for c in range(width)) + "\n" for r in range(height)
        )
        text += ("\n" if height else "") + f"{around}{whole}{image}{around}"
        each = count // (height * width + 1)
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return tuple(i for one in ids for i in ([one] * each if one == self.image_id else [one]))


FAMILY = Smol
