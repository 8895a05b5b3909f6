"""Photographs of people, read by a pretrained language model with matching heads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from plvm.model.backbone_family import Family, ImageTokens, Pixels
from plvm.model.glance import glance_of
from plvm.model.photo.face_places import NUMBERS, PLACES, places_of
from plvm.model.photo.photo_files import load_photo_model
from plvm.prompt.template import Template


class Photo(Family):
    """A photograph is told in words, with a token for each face, which carries its code: "2 people. on the left [face] on the
    right [face]." So the number of its tokens varies."""

    types = ("plvm_photo",)

    @classmethod
    def loaded(cls, folder: Path, dtype: torch.dtype) -> tuple[Any, Any, Any] | None:
        return load_photo_model(folder, dtype)

    def template(self) -> Template:
        begin, end = self.tokenizer.bos_token, self.tokenizer.eos_token
        return Template(
            begin="Photo:", define="{name} is {context}.\n", user="\n", ask=f"{begin}user\n",
            assistant=f"{end}\n{begin}assistant\n", yes="Yes", no="No",
            recognize="Is {name} in this photo?", first_gap="", next_gap="",
        )  # fmt: skip

    def pixels(self, images: Sequence[Image.Image]) -> Pixels:
        codes, counts = zip(*(self.image_processor.codes(image) for image in images), strict=True)
        shown = torch.tensor([len(own) for own in codes])
        return Pixels({"codes": torch.cat(codes), "shown": shown, "counts": torch.tensor(counts)})

    def image_tokens(self, pixels: Pixels) -> list[ImageTokens]:
        shown = pixels.inputs["shown"].tolist()
        found = []
        for codes, count in zip(pixels.inputs["codes"].split(shown), pixels.inputs["counts"].tolist(), strict=True):
            found.append(self.tokens_of(codes, count))
        return found

    def tokens_of(self, codes: Tensor, count: int) -> ImageTokens:
        """What stands for a photograph with `count` faces, of which those with `codes [F, W]` are told apart."""
        words = places_of(len(codes))
        ids = list(self._text(f" {NUMBERS[count]}." if count == len(codes) else f" more than {NUMBERS[-1]}."))
        for word in words:
            ids += [*self._text(f" {word}"), self.image_id]
        ids += self._text(".")
        places = torch.tensor([PLACES.index(word) for word in words], dtype=torch.long, device=codes.device)
        rows = self.model.decoder.rows.faces(codes, places)
        glance = glance_of(rows.detach()) if len(rows) else torch.zeros(self.glance_width)
        return ImageTokens(tuple(ids), rows, torch.arange(len(ids))[None], len(ids), glance)

    def _text(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


FAMILY = Photo
