"""The frozen reference encoder E_ref: pictures -> z_ref [N, L, E], first the global token, then patches.

The only file that knows the vision encoders' transformers classes. At their usual sizes:

    encoder                              L                        E      global token
    DINOv2 (facebook/dinov2-base)        257                      768    yes: the paper's choice
    CLIP (openai/clip-vit-large-patch14) 257                      1024   yes
    ViT (google/vit-base-patch16-224)    197                      768    yes
    SAM (facebook/sam-vit-base)          4096, a grid of 64 x 64  256    no: the Aligner takes two more queries
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from plvm.errors import RequestError
from plvm.model.glance import glance_of
from plvm.model.recording import Replayed
from plvm.model.resized import pixel_inputs
from plvm.model.vision_layers import quicken_vision
from plvm.products import quicken

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels of a picture

KINDS: Mapping[
    str, tuple[str, dict[str, Any]]
] = {  # model type of a checkpoint -> the vision half's class, its options
    "dinov2": ("Dinov2Model", {}),
    "clip": ("CLIPVisionModel", {}),
    "clip_vision_model": ("CLIPVisionModel", {}),
    "vit": ("ViTModel", {"add_pooling_layer": False}),  # classifiers have no pooling layer
    "sam": ("SamVisionModel", {}),
    "sam_vision_model": ("SamVisionModel", {}),
}


class Encoder:
    """A stock vision transformer with its image processor, frozen and in eval mode."""

    def __init__(self, model: Any, image_processor: Any, name: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        quicken(model)
        quicken_vision(model)
        self.image_processor = image_processor
        self.name = name
        self.global_token: bool = not model.config.model_type.startswith("sam")
        self._read = Replayed(self._forward)
        self.width: int = model.config.hidden_size if self.global_token else model.config.output_channels

    @property
    def device(self) -> torch.device:
        """The device of its weights, where it computes."""
        return next(self.model.parameters()).device

    def pixels(self, images: Sequence[Image.Image], kinds: Sequence[str] = ()) -> Tensor:
        """RGB pictures -> pixel values [N, 3, H, W] by the encoder's own image processor, on its device. `kinds` says of each
        what it is taken for, as `kind_of` does."""
        options = {"kinds": list(kinds)} if any(kinds) else {}
        values = pixel_inputs(self.image_processor, images, **options)["pixel_values"]
        return values.to(self.device, next(self.model.parameters()).dtype)

    @property
    def glance_width(self) -> int:
        """How many features a glance has."""
        return 2 * int(self.model.config.hidden_size)

    def kind_of(self, images: Sequence[Image.Image], kind: str = "") -> str:
        """What the RGB references of one concept are taken for, where the encoder tells people from things: `kind` ("person",
        "thing") if given; "" where a picture decides for itself. Raises RequestError for a kind that it does not know."""
        known = getattr(self.image_processor, "kinds", ())
        if kind and kind not in known:
            raise RequestError(
                f'This model cannot take a picture for a "{kind[:20]}".',
                f"It tells {' and '.join(known)} apart." if known else "It tells no kinds apart: leave it out.",
            )
        return kind if kind or not known else self.image_processor.kind_of(images)

    # ---- references that show several: the image processor of a family that looks for somebody in a picture knows how

    def subjects(self, image: Image.Image) -> list[Box]:
        """Where in an RGB reference those are whom it may be about, from left to right. Of an encoder that takes pictures whole:
        the whole."""
        looks = getattr(self.image_processor, "subjects", None)
        return [(0.0, 0.0, float(image.width), float(image.height))] if looks is None else looks(image)

    def cut_out(self, image: Image.Image, box: Box) -> Image.Image:
        """The part of an RGB reference that is about whoever is at `box`."""
        cuts = getattr(self.image_processor, "cut_out", None)
        if cuts is None:
            return image.crop(tuple(round(x) for x in box))  # type: ignore[arg-type]
        part: Image.Image = cuts(image, box)
        return part

    def strangers(self, z_ref: Tensor) -> tuple[int, ...]:
        """Which of the references of one concept, z_ref [R, L, E], seem to show somebody else than the others; all of them where
        no two agree; none where the encoder's codes do not tell."""
        least = getattr(self.image_processor, "least_alike", None)
        return () if least is None else apart(F.normalize(z_ref[:, 0].float(), dim=-1), least)

    def features(self, pixels: Tensor) -> Tensor:
        """Pixel values [N, 3, H, W] -> z_ref [N, L, E], the encoder's last hidden state; a grid is read row by row."""
        return self.features_and_glance(pixels)[0]

    @torch.inference_mode()
    def features_and_glance(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel values [N, 3, H, W] -> z_ref [N, L, E], and features float32[N, F] of each picture as a whole: a glance
        at its tokens halfway up the encoder."""
        return self._read(pixels)

    def _forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(pixel_values=pixels, output_hidden_states=True)
        hidden, halfway = out.last_hidden_state, out.hidden_states[len(out.hidden_states) // 2]
        z_ref = (hidden.flatten(2).transpose(1, 2) if hidden.ndim == 4 else hidden).clone()
        return z_ref, glance_of(halfway.flatten(1, -2))


def apart(codes: Tensor, least: float) -> tuple[int, ...]:
    """Which of the codes [R, E], of length 1, belong to nobody of the others: one after the other the one with the lowest mean
    cosine to those that are left, where that is below `least`. Of the last two that disagree nobody knows which: then all."""
    alike, left, out = codes @ codes.T, list(range(len(codes))), list[int]()
    while len(left) > 1:
        among = alike[left][:, left]
        mean = (among.sum(1) - among.diagonal()) / (len(left) - 1)
        lowest = int(mean.argmin())
        if mean[lowest] >= least:
            return tuple(sorted(out))
        out.append(left.pop(lowest))
    return tuple(range(len(codes))) if out else ()


def key_of(z_ref: Tensor) -> Tensor:
    """The retrieval key [E] of one concept's z_ref [R, L, E]: the mean global token, L2-normalised."""
    return F.normalize(z_ref[:, 0].float().mean(0), dim=-1)
