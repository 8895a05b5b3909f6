"""Pictures as an image processor of transformers makes them, the same numbers with fewer copies.

Such a processor copies a picture into arrays and back before it resizes it: of a photo of twelve million pixels that takes
twice as long as resizing. Here it is resized at once, to the size that the processor asks for, which does the rest; where
the rest looks at no other pixel, what it makes of each of the 256 values is asked once and looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_tables: WeakKeyDictionary[Any, np.ndarray] = WeakKeyDictionary()  # [3, 256] of processors


def pixel_inputs(processor: Any, images: Sequence[Any], **options: Any) -> dict[str, Tensor]:
    """What a processor makes of RGB pictures: "pixel_values" float32[N, 3, H, W], and what else it makes."""
    if options or not images or not _resizes(processor) or any(getattr(image, "mode", "") != "RGB" for image in images):
        return dict(processor(images=list(images), return_tensors="pt", **options))
    small = [image.resize(_size(processor.size, image), processor.resample) for image in images]
    if processor.do_center_crop or processor.size.shortest_edge:
        return dict(processor(images=small, return_tensors="pt", do_resize=False))
    table, pixels = _table(processor), np.stack([np.asarray(image) for image in small])
    values = np.stack([table[channel][pixels[..., channel]] for channel in range(3)], 1)
    return {"pixel_values": torch.from_numpy(values)}


def _resizes(processor: Any) -> bool:
    """Whether the first that a processor does is to resize, to a size of its own or by the shorter side, and then nothing out
    of the ordinary."""
    if not type(processor).__module__.startswith("transformers."):
        return False
    from transformers.image_processing_backends import PilBackend

    if not isinstance(processor, PilBackend) or not processor.do_resize or processor.resample is None or processor.do_pad:
        return False
    steps = ("process_image", "resize", "center_crop", "rescale", "normalize", "_preprocess")
    size, stock = processor.size, all(getattr(type(processor), step) is getattr(PilBackend, step) for step in steps)
    return stock and bool(size.height and size.width or size.shortest_edge) and not size.longest_edge


def _size(size: Any, image: Image.Image) -> tuple[int, int]:
    """The width and height that a picture gets."""
    if not size.shortest_edge:
        return size.width, size.height
    from transformers.image_transforms import get_resize_output_image_size
    from transformers.image_utils import ChannelDimension

    like = np.broadcast_to(np.uint8(0), (3, image.height, image.width))  # takes no memory
    height, width = get_resize_output_image_size(like, size.shortest_edge, False, input_data_format=ChannelDimension.FIRST)
    return width, height


def _table(processor: Any) -> np.ndarray:
    """What a processor makes of each value of each channel [3, 256]."""
    if processor not in _tables:
        ramp = Image.frombytes("L", (16, 16), bytes(range(256))).convert("RGB")
        made = processor(images=[ramp], return_tensors="np", do_resize=False)["pixel_values"]
        _tables[processor] = made.reshape(3, 256)
    return _tables[processor]
