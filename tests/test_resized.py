"""Pictures that are resized before a processor takes them are, number by number, what it makes of them alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BitImageProcessorPil, CLIPImageProcessorPil, Qwen2VLImageProcessorPil, ViTImageProcessorPil

from plvm.model import resized
from plvm.model.resized import pixel_inputs

SQUARE: dict[str, Any] = {"size": {"height": 112, "width": 90}, "do_center_crop": False}
SHAPES = [(300, 200), (100, 333), (224, 224), (112, 90), (2, 77)]


def noise(height: int, width: int) -> Image.Image:
    """A picture of every value."""
    return Image.fromarray(np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8))


class Watched:
    """A processor whose calls are counted, with the size of what it is given."""

    def __init__(self, processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: list[tuple[int, int]] = []
        real = type(processor).preprocess

        def counted(own: Any, images: Any, *more: Any, **named: Any) -> Any:
            self.given += [image.size for image in images]
            return real(own, images, *more, **named)

        monkeypatch.setattr(type(processor), "preprocess", counted)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "processor",
    [
        CLIPImageProcessorPil(),
        CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336}),
        CLIPImageProcessorPil(**SQUARE),
        CLIPImageProcessorPil(**SQUARE, do_rescale=False, do_normalize=False),
        CLIPImageProcessorPil(size={"height": 112, "width": 90}, crop_size={"height": 60, "width": 120}),
        BitImageProcessorPil(size={"shortest_edge": 256}),
        ViTImageProcessorPil(),
    ],
    ids=["clip", "larger", "square", "bytes", "square, cut", "dinov2", "vit"],
)
def test_every_number_is_the_processors_own(processor: Any, shape: tuple[int, int]) -> None:
    pictures = [noise(*shape), noise(*shape).transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    found, wanted = pixel_inputs(processor, pictures), dict(processor(images=pictures, return_tensors="pt"))
    assert found.keys() == wanted.keys()
    assert found["pixel_values"].dtype == wanted["pixel_values"].dtype
    assert torch.equal(found["pixel_values"], wanted["pixel_values"])


def test_a_processor_gets_small_pictures_and_where_each_value_stands_alone_none(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = CLIPImageProcessorPil()
    watched = Watched(processor, monkeypatch)
    pixel_inputs(processor, [noise(800, 1200)])
    assert watched.given == [(336, 224)]
    square = CLIPImageProcessorPil(**SQUARE)
    pixel_inputs(square, [noise(800, 1200)])
    assert watched.given.pop() == (16, 16), "asked once, for every value"
    pixel_inputs(square, [noise(700, 500)] * 3)
    assert watched.given == [(336, 224)]


def test_processors_that_do_it_in_their_own_way_get_pictures_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(300, 200)
    for processor in (Qwen2VLImageProcessorPil(), CLIPImageProcessorPil(do_resize=False, do_center_crop=False)):
        watched = Watched(processor, monkeypatch)
        assert dict(pixel_inputs(processor, [picture])).keys() and watched.given == [(200, 300)]
    processor = CLIPImageProcessorPil()
    watched = Watched(processor, monkeypatch)
    for odd, options in ((picture.convert("L"), {}), (picture, {"do_normalize": False})):
        pixel_inputs(processor, [odd], **options)
        assert watched.given.pop() == (200, 300)


def test_a_processor_of_the_users_own_is_called_as_it_is() -> None:
    def own(images: list[Any], return_tensors: str) -> dict[str, Any]:
        return {"seen": len(images), "as": return_tensors}

    assert pixel_inputs(own, [noise(3, 3)]) == {"seen": 1, "as": "pt"}
    assert not resized._resizes(own)
