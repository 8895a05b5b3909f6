"""CLIP as a text matcher: any CLIP model of the Hugging Face Hub, or a folder of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch.nn import functional as F

from plvm.errors import RequestError
from plvm.runtime import choose_device


class ClipMatcher:
    """Cosine of CLIP's projected image and text embeddings; the threshold is the paper's."""

    text_threshold = 0.2

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model.eval(), processor

    @torch.inference_mode()
    def similarity(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        """The cosine of every picture with its prompt."""
        inputs = self.processor(
            text=list(prompts), images=list(pictures), return_tensors="pt", padding=True, truncation=True
        ).to(self.model.device)
        out = self.model(**inputs)
        return [float(s) for s in F.cosine_similarity(out.image_embeds.float(), out.text_embeds.float())]


def load_clip(name: str, device: str | None = None) -> ClipMatcher:
    """A CLIP model by folder or Hub id. Raises RequestError where it is not to be had."""
    from transformers import CLIPModel, CLIPProcessor

    where = choose_device(device).value
    try:
        model, processor = CLIPModel.from_pretrained(name), CLIPProcessor.from_pretrained(name)
    except Exception as error:  # the loaders and the network have many errors
        raise RequestError(
            f"The CLIP model {name} cannot be loaded ({type(error).__name__}).",
            "Name its folder or Hub id with --clip, or make the dataset with --no-filters.",
        ) from None
    return ClipMatcher(model.to(where), processor)
