"""The frozen vision-language model: the only file that knows Hugging Face VLM classes.

In: pixel values or embeddings. Out: projected image features, hidden states, base-vocabulary logits. It knows nothing of
concepts, prompts or sampling: embeddings come in from `vocabulary.py`, which also turns hidden states into `V+C` logits.

Every token that goes through the language model passes `Backbone.hidden`, in training as in chat; `tokens_computed` counts
them, so that "computed once" can be tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

KeyValues = tuple[tuple[Tensor, Tensor], ...]  # per layer: keys and values [B, heads, T, head width]


class Backbone:
    """A stock `LlavaForConditionalGeneration` with its tokenizer and image processor, frozen and in eval mode."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any, name: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.name = name
        self.tokens_computed = 0
        config = model.config
        self.width: int = config.text_config.hidden_size
        self.vocabulary_size: int = config.text_config.vocab_size
        self.max_tokens: int = config.text_config.max_position_embeddings

    @property
    def device(self) -> torch.device:
        return self.word_rows.device

    @property
    def dtype(self) -> torch.dtype:
        return self.word_rows.dtype

    @property
    def word_rows(self) -> Tensor:
        """The frozen input embedding table [V, D]."""
        return self.model.get_input_embeddings().weight

    @property
    def head_rows(self) -> Tensor:
        """The frozen LM-head rows [V, D]."""
        return self.model.get_output_embeddings().weight

    def pixels(self, images: Sequence[Image.Image]) -> Tensor:
        """Pictures -> pixel values [B, 3, H, W] by the backbone's own image processor."""
        values = self.image_processor(images=list(images), return_tensors="pt")["pixel_values"]
        return values.to(self.device, self.dtype)

    def image_features(self, pixels: Tensor) -> Tensor:
        """Pixel values [B, 3, H, W] -> projected image tokens [B, P, D]."""
        return torch.stack(tuple(self.model.get_image_features(pixel_values=pixels).pooler_output))

    def hidden(
        self,
        embeddings: Tensor,
        past: KeyValues | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        keep: bool = False,
    ) -> tuple[Tensor, KeyValues | None]:
        """Run the language model on embeddings [B, T, D] after `past`.

        positions [B, T]: default counts on from `past`. mask bool[B, past + T]: False where a token must not be seen;
        default all. Returns the last hidden states [B, T, D] (after the final norm) and, if `keep`, the keys and values of
        past and new tokens together. `past` itself is never changed.
        """
        from transformers import DynamicCache

        self.tokens_computed += embeddings.shape[0] * embeddings.shape[1]
        cache = DynamicCache(past) if past is not None else DynamicCache() if keep else None
        out = self.model.model.language_model(
            inputs_embeds=embeddings,
            past_key_values=cache,
            position_ids=positions,
            attention_mask=mask,
            use_cache=cache is not None,
        )
        kept = tuple((layer.keys, layer.values) for layer in cache.layers) if keep and cache is not None else None
        return out.last_hidden_state, kept


def repeat(past: KeyValues, times: int) -> KeyValues:
    """Every row of `past` `times` times, in place order: rows 0, 0, .., 1, 1, .. (copies, so writes cannot be shared)."""
    return tuple((k.repeat_interleave(times, 0), v.repeat_interleave(times, 0)) for k, v in past)
