"""What differs between families of vision-language models; the rest of the code does not know which one it runs.

A family turns pictures into its model's pixel inputs, those into the tokens that stand for them in a prompt, and says how its
dialogues are written. All models are stock transformers classes with their own image processors; the image comes first in
every family's template, so that its keys and values depend on no concept. The families are the files of
`plvm.model.backbones`; a new one is a new file.
"""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from plvm.errors import CheckpointError
from plvm.model import backbones
from plvm.model.glance import glance_of
from plvm.model.resized import pixel_inputs
from plvm.prompt.template import Template
from plvm.types import ConceptTokens


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
    places int64[A, T]: position of each id on every axis, relative to the first; advance: the next token's position, likewise;
    glance [F]: features of the whole picture, where the family computed them with the rows; asks: of as many rows as it has such
    questions for, the first ones, the question who it shows.
    """

    ids: tuple[int, ...]
    rows: Tensor
    places: Tensor
    advance: int
    glance: Tensor | None = None
    asks: tuple[str, ...] = ()


class Family(ABC):
    """A family of vision-language models. A family says `types` and `template`, and whatever else it does in its own way.

    types: the model types (`model_type` of a config) it is for; axes: how many numbers a token's position has; shares: whether
    its language model takes keys and values that rows of a batch share; grid: whether a picture's tokens, a square number of
    them, lie in a square; keys_judge: whether evidence that somebody is there may come from keys too, beside the model's own
    answer; names: how it answers a question of `ImageTokens.asks`; goes_on: how it goes on after Yes and No alike, before words
    that a training set does not have; an Aligner is then trained on so much of such an answer; `model` is the stock model,
    frozen.
    """

    types: ClassVar[tuple[str, ...]] = ()
    axes: ClassVar[int] = 1
    shares: ClassVar[bool] = True
    grid: ClassVar[bool] = True
    keys_judge: ClassVar[bool] = True
    names: ClassVar[str] = ""
    goes_on: ClassVar[str] = ""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.image_id: int = model.config.image_token_id

    @classmethod
    def loaded(cls, folder: Path, dtype: torch.dtype) -> tuple[Any, Any, Any] | None:
        """(model, tokenizer, image processor) of a folder, on the CPU; None where transformers loads them as they are."""
        return None

    @abstractmethod
    def template(self) -> Template:
        """How this family's dialogues are written, as its chat template does it."""

    @property
    def marker(self) -> str:
        """The text that stands for a picture in a prompt before it is known how many tokens that has."""
        return str(self.tokenizer.convert_ids_to_tokens(self.image_id))

    def pixels(self, images: Sequence[Image.Image]) -> Pixels:
        """Pictures -> pixel inputs, by the family's own image processor, on the CPU."""
        return Pixels(self._processed(list(images)))

    def looked(self, pixels: Pixels) -> Any:
        """Pixel inputs -> what the vision half says of them: `pooler_output` holds embeddings [P, D] of each picture's tokens."""
        return self.model.get_image_features(**pixels.inputs)

    def key_weight(self) -> Tensor | None:
        """[D, E] that reads off a picture's token the key of a reference of what it shows; None where that has to be learned."""
        return None

    def kind_of(self, tokens: ConceptTokens) -> str:
        """What kind of concept these are: "person" or "thing"; "" where the family does not tell."""
        return ""

    @property
    def glance_width(self) -> int:
        """How many features a glance has."""
        return 2 * int(self.model.config.text_config.hidden_size)

    def glance(self, looked: Any, index: int) -> Tensor:
        """Features [F] of picture `index` as a whole, float32, of what `looked` gave: here of its tokens' embeddings."""
        return glance_of(looked.pooler_output[index].detach())

    def image_tokens(self, pixels: Pixels) -> list[ImageTokens]:
        """Pixel inputs -> what stands for each picture in a prompt."""
        found, looked = [], self.looked(pixels)
        for i, rows in enumerate(looked.pooler_output):
            ids = self._ids(pixels, i, len(rows))
            found.append(ImageTokens(ids, rows, *self._places(ids, pixels, i), self.glance(looked, i)))
        return found

    def _ids(self, pixels: Pixels, index: int, count: int) -> tuple[int, ...]:
        """The ids that stand for picture `index`, which has `count` image tokens."""
        return (self.image_id,) * count

    def _places(self, ids: Sequence[int], pixels: Pixels, index: int) -> tuple[Tensor, int]:
        """(places, advance) of `ImageTokens`."""
        return torch.arange(len(ids)).expand(self.axes, -1), len(ids)

    def _processed(self, images: Any, **options: Any) -> dict[str, Tensor]:
        return pixel_inputs(self.image_processor, images, **options)


def families() -> dict[str, type[Family]]:
    """Model type -> its family, of all files in `plvm.model.backbones`, in alphabetical order of the files."""
    names = sorted(module.name for module in pkgutil.iter_modules(backbones.__path__))
    found: list[type[Family]] = [import_module(f"{backbones.__name__}.{name}").FAMILY for name in names]
    return {kind: family for family in found for kind in family.types}


def family_of(model: Any, tokenizer: Any, image_processor: Any) -> Family:
    """The family of a stock model. Raises CheckpointError where plvm has none for its type."""
    kind, known = model.config.model_type, families()
    if kind not in known:
        raise CheckpointError(
            f'plvm cannot use a model of type "{kind}" as a backbone.', f"It can use: {', '.join(known)}."
        )
    return known[kind](model, tokenizer, image_processor)
