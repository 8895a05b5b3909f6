"""The reference picture itself in the prompt, with no training of anything: "billie is <the picture's tokens>."

The tokens that the backbone's own tower and projector make of the reference stand where PLVM has context tokens, as
many as a picture has. On backbones whose positions have several axes (Qwen2.5-VL) a picture in the middle of words is
not offered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from PIL import Image, ImageOps

from plvm.errors import RequestError
from plvm.model.backbone_family import ImageTokens
from plvm.model.photo.photo_processor import PhotoProcessor
from plvm.personal import Personal
from plvm_lab.systems.llava import FrozenBackbone, Names
from plvm_lab.systems.plvm import Learned

SIDE = 448  # references are made square and of one size, so that all have as many tokens


class InContext(FrozenBackbone):
    """The backbone, shown the reference. `names`: "rows" writes the name with the Aligner's rows, "plain" as ordinary text."""

    name = "in-context"

    def __init__(self, vlm: Personal, *, names: Names = "rows") -> None:
        if vlm.backbone.family.axes > 1:
            raise RequestError(
                f"{vlm.backbone.name or 'This backbone'} takes no second picture in the middle of a prompt.",
                "Its positions have several axes; measure another system, or take a LLaVA or SmolVLM backbone.",
            )
        super().__init__(vlm, names=names)

    @property
    def facts(self) -> dict[str, Any]:
        return super().facts | {"picture_tokens": len(self.picture(Image.new("RGB", (SIDE, SIDE))))}

    def learn(self, name: str, *images: Image.Image) -> Learned:
        concept = self.named(name, images)
        rows = torch.cat([self.picture(image) for image in images]).float().cpu()
        return Learned(replace(concept, tokens=replace(concept.tokens, context=rows)))

    def picture(self, image: Image.Image) -> torch.Tensor:
        """The backbone's own tokens [P, D] of a picture."""
        backbone = self.vlm.backbone
        family: Any = backbone.family
        with torch.no_grad():
            if isinstance(family.image_processor, PhotoProcessor):
                return backbone.features(_of_one(family, image))
            square = ImageOps.pad(image, (SIDE, SIDE))
            return backbone.features(backbone.image_tokens(backbone.pixels([square]))[0])

    def bytes_of(self, known: Learned) -> int:
        """The rows: a picture could be kept instead, and looked at again for every prompt."""
        tokens = known.concept.tokens
        named = (tokens.word, tokens.head) if self.names == "rows" else ()
        return sum(t.numel() * t.element_size() for t in (*named, tokens.context))


def _of_one(family: Any, image: Image.Image) -> ImageTokens:
    """The tokens of a photograph with the one face that it is a reference of: with all faces they would differ in number."""
    people, faces = family.image_processor.people, family.image_processor.people.faces(image)
    own = [people.reference(image, faces)] if faces else []
    tokens: ImageTokens = family.tokens_of(
        people.space.codes(people.descriptors(image, own)), len(own), *family.image_processor.things.windows(image)
    )
    return tokens
