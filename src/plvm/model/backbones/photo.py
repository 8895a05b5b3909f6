"""Photographs of people and things, read by a pretrained language model with matching heads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from plvm.model.backbone_family import Family, ImageTokens, Pixels
from plvm.model.glance import glance_of
from plvm.model.photo.face_places import COLUMNS, NUMBERS, PLACES, places_of
from plvm.model.photo.photo_files import load_photo_model
from plvm.prompt.template import Template
from plvm.types import ConceptTokens

TURNS = 1  # of a dialogue are read: it was taught questions alone, and others before them mislead it (photo_dialogues.py)


class Photo(Family):
    """A photograph is told in words, with a token for each face, which carries its code: "2 people. on the left [face] on the
    right [face]. Views: on the left [window] [window] [window] in the middle ..." So the number of its tokens varies."""

    types = ("plvm_photo",)
    shares = False  # its matching heads look at keys themselves
    grid = False  # a token is a face or a window
    keys_judge = False  # codes are compared by the model alone: keys only choose whom it is asked about
    names = "That is {name}."
    goes_on = ", {name} is"  # "Yes, <anna> is on the left." "No, <anna> is not in this photo."

    @classmethod
    def loaded(cls, folder: Path, dtype: torch.dtype) -> tuple[Any, Any, Any] | None:
        return load_photo_model(folder, dtype)

    def template(self) -> Template:
        begin, end = self.tokenizer.bos_token, self.tokenizer.eos_token
        return Template(
            begin="Photo:", define="{name} is {context}.\n", user="\n", ask=f"{begin}user\n",
            assistant=f"{end}\n{begin}assistant\n", yes="Yes", no="No",
            recognize="Is {name} in this photo?", first_gap="", next_gap="", turns=TURNS,
        )  # fmt: skip

    def pixels(self, images: Sequence[Image.Image]) -> Pixels:
        codes, counts = zip(*(self.image_processor.people.codes(image) for image in images), strict=True)
        windows, columns = zip(*(self.image_processor.things.windows(image) for image in images), strict=True)
        shown = torch.tensor([len(own) for own in codes])
        inputs = {"codes": torch.cat(codes), "shown": shown, "counts": torch.tensor(counts)}
        return Pixels(inputs | {"windows": torch.stack(windows), "columns": torch.stack(columns)})

    def image_tokens(self, pixels: Pixels) -> list[ImageTokens]:
        inputs = pixels.inputs
        each = inputs["codes"].split(inputs["shown"].tolist()), inputs["counts"].tolist(), inputs["windows"], inputs["columns"]
        return [self.tokens_of(*one) for one in zip(*each, strict=True)]

    def tokens_of(self, codes: Tensor, count: int, windows: Tensor, columns: Tensor) -> ImageTokens:
        """What stands for a photograph with `count` faces, of which those with `codes [F, W]` are told apart, and with
        `windows [V, W]` in the columns int64[V], from left to right."""
        words = places_of(len(codes))
        ids = list(self._text(f" {NUMBERS[count]}." if count == len(codes) else f" more than {NUMBERS[-1]}."))
        for word in words:
            ids += [*self._text(f" {word}"), self.image_id]
        ids += self._text(". Views:")
        for number, word in enumerate(COLUMNS):
            ids += [*self._text(f" {word}"), *[self.image_id] * int((columns == number).sum())]
        ids += self._text(".")
        places = torch.tensor([PLACES.index(word) for word in words], dtype=torch.long, device=codes.device)
        rows = self.model.decoder.rows
        everything = torch.cat([rows.of_faces(codes), rows.of_things(windows)])
        found = rows.seen(everything, torch.cat([places, len(PLACES) + columns]))
        asks = tuple(f"Who is {word}?" for word in words)
        return ImageTokens(tuple(ids), found, torch.arange(len(ids))[None], len(ids), glance_of(found.detach()), asks)

    def key_weight(self) -> Tensor:
        return self.model.decoder.rows.basis.T  # a row has its code in these directions, and a key is a code

    def kind_of(self, tokens: ConceptTokens) -> str:
        return self.model.decoder.rows.kind_of(tokens.word)

    def _text(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


FAMILY = Photo
