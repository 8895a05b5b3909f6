"""What differs between families of vision-language models; the rest of the code does not know which one it runs.

    family      model types             image tokens                                  positions   pictures
    Llava       llava                   P in a row                                    1 axis      one size
    Onevision   llava_onevision         base picture, then tiles with line ends       1 axis      any size, tiled
    Qwen        qwen2_5_vl              between <|vision_start|> and <|vision_end|>   3 axes      any size
    Smol        smolvlm, idefics3       one run per tile, each after a token that     1 axis      any size, tiled
                                        says which tile it is

A family turns pictures into its model's pixel inputs, those into the tokens that stand for them in a prompt, and says how its
dialogues are written. All models are stock transformers classes with their own image processors; the image comes first in
every family's template, so that its keys and values depend on no concept.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from plvm.errors import CheckpointError
from plvm.prompt.template import Template


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pictures as a backbone's vision half takes them: `inputs` are arguments of its stock forward; `tiles[i]` are the (rows,
    columns) that picture i was cut into, for families that write them into the prompt."""

    inputs: Mapping[str, Tensor]
    tiles: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class ImageTokens:
    """One picture as the language model takes it.

    ids [T]: what stands for it in a prompt, image tokens written out; rows [P, D]: embeddings of the image tokens among them;
    places int64[A, T]: position of each id on every axis, relative to the first; advance: the next token's position, likewise.
    """

    ids: tuple[int, ...]
    rows: Tensor
    places: Tensor
    advance: int


class Family(ABC):
    """What all families share. `model` is the stock model, frozen; `axes` is how many numbers a token's position has."""

    types: ClassVar[tuple[str, ...]] = ()
    axes: ClassVar[int] = 1

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.image_id: int = model.config.image_token_id

    @abstractmethod
    def template(self) -> Template:
        """How this family's dialogues are written, as its chat template does it."""

    def pixels(self, images: Sequence[Image.Image]) -> Pixels:
        """Pictures -> pixel inputs, by the family's own image processor, on the CPU."""
        return Pixels(self._processed(list(images)))

    def rows(self, pixels: Pixels) -> list[Tensor]:
        """Pixel inputs -> embeddings [P, D] of each picture's image tokens."""
        return list(self.model.get_image_features(**pixels.inputs).pooler_output)

    def image_tokens(self, pixels: Pixels) -> list[ImageTokens]:
        """Pixel inputs -> what stands for each picture in a prompt."""
        found = []
        for i, rows in enumerate(self.rows(pixels)):
            ids = self._ids(pixels, i, len(rows))
            found.append(ImageTokens(ids, rows, *self._places(ids, pixels, i)))
        return found

    def _ids(self, pixels: Pixels, index: int, count: int) -> tuple[int, ...]:
        """The ids that stand for picture `index`, which has `count` image tokens."""
        return (self.image_id,) * count

    def _places(self, ids: Sequence[int], pixels: Pixels, index: int) -> tuple[Tensor, int]:
        """(places, advance) of `ImageTokens`."""
        return torch.arange(len(ids)).expand(self.axes, -1), len(ids)

    def _processed(self, images: Any, **options: Any) -> dict[str, Tensor]:
        return dict(self.image_processor(images=images, return_tensors="pt", **options))


class Llava(Family):
    """LLaVA-1.5: every picture has one size and the same number of image tokens."""

    types = ("llava",)

    def template(self) -> Template:
        return Template(begin=f"{self.tokenizer.bos_token or ''}USER: ", after_image=" \n", first_gap="")


ASSISTANT = "<|im_start|>assistant\n"
CHATML = Template(after_image="", first_gap="", next_gap="", yes="Yes", no="No", end="<|im_end|>")


class Onevision(Family):
    """LLaVA-OneVision: the whole picture, then tiles of it in full resolution, without the padding, each line ended."""

    types = ("llava_onevision",)

    def template(self) -> Template:
        start = "<|im_start|>user "
        return replace(CHATML, begin=start, after_image="\n", user=start + "\n", assistant="<|im_end|>" + ASSISTANT)


class Qwen(Family):
    """Qwen2.5-VL: positions have three axes (M-RoPE). All tokens of a picture share one time; their rows and columns count
    on from it, and the text after them continues where the longer side ends."""

    types = ("qwen2_5_vl",)
    axes = 3

    def template(self) -> Template:
        begin = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        return replace(CHATML, begin=begin, user="\n<|im_start|>user\n", assistant="<|im_end|>\n" + ASSISTANT)

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


FAMILIES: tuple[type[Family], ...] = (Llava, Onevision, Qwen, Smol)
TYPES: Mapping[str, type[Family]] = {t: family for family in FAMILIES for t in family.types}


def family_of(model: Any, tokenizer: Any, image_processor: Any) -> Family:
    """The family of a stock model. Raises CheckpointError where plvm has none for its type."""
    kind = model.config.model_type
    if kind not in TYPES:
        raise CheckpointError(
            f'plvm cannot use a model of type "{kind}" as a backbone.', f"It can use: {', '.join(TYPES)}."
        )
    return TYPES[kind](model, tokenizer, image_processor)
