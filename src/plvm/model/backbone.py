"""The frozen vision-language model, whatever its family.

In: pictures or embeddings. Out: image tokens, hidden states, base-vocabulary logits. It knows nothing of concepts, prompts or
sampling: embeddings come in from `vocabulary.py`, which also turns hidden states into `V+C` logits. What differs between
families of models (image tokens, positions, templates, sizes of pictures) is in `backbones/`.

Every token that goes through the language model passes `Backbone.hidden`, in training as in chat; `tokens_computed` counts
them, so that "computed once" can be tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from plvm.errors import RequestError
from plvm.model.backbone_family import ImageTokens, Pixels, family_of
from plvm.model.recording import can_record
from plvm.model.roomy_cache import RoomyCache
from plvm.model.shared_cache import ATTENTION, SharedCache, register
from plvm.model.static_cache import KeyValues, StaticCache
from plvm.model.vision_layers import quicken_vision
from plvm.products import prepack, quicken
from plvm.prompt.template import Template
from plvm.runtime import give_back

OFTEN = 32  # passes after which laying weights out has paid: a question or two at the prompt go without
Past = KeyValues | StaticCache | RoomyCache | SharedCache


class Backbone:
    """A stock vision-language model with its tokenizer and image processor, frozen and in eval mode.

    Raises CheckpointError for a type of model that no family of plvm is for.
    """

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any, name: str = "") -> None:
        from plvm.model.llama_layers import QuickLayer, quicken_layers

        self.model = model.eval().requires_grad_(False)
        quicken(model)
        quicken_layers(model)
        quicken_vision(model)
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.name = name
        self.tokens_computed = 0
        self._passes = 0  # on a CPU, without gradients, up to `OFTEN`
        self.family = family_of(model, tokenizer, image_processor)
        self.language_model = model.get_decoder()
        self.ends_early = isinstance(self.language_model.layers[-1], QuickLayer)  # of a row's last token alone
        register()
        self.language_model.set_attn_implementation(ATTENTION)
        self._words, self._head = model.get_input_embeddings(), model.get_output_embeddings()  # looked up once: every step asks
        self.vocabulary_size, self.width = self.word_rows.shape
        self.max_tokens: int = model.config.text_config.max_position_embeddings

    @property
    def device(self) -> torch.device:
        """The device of the input embeddings: where token ids and embeddings belong."""
        return self.word_rows.device

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the input embeddings; quantised weights have another."""
        return self.word_rows.dtype

    @property
    def word_rows(self) -> Tensor:
        """The frozen input embedding table [V, D]."""
        rows: Tensor = self._words.weight
        return rows

    @property
    def head_rows(self) -> Tensor:
        """The frozen LM-head rows [V, D]."""
        rows: Tensor = self._head.weight
        return rows

    @property
    def image_id(self) -> int:
        """The id that marks the places of image tokens in a sequence; no text ever has it."""
        return self.family.image_id

    def template(self) -> Template:
        """How dialogues with this model are written where no Aligner says otherwise."""
        return self.family.template()

    def pixels(self, images: Sequence[Image.Image]) -> Pixels:
        """Pictures -> pixel inputs by the backbone's own image processor."""
        pixels = self.family.pixels(images)
        inputs = {
            name: value.to(self.device, self.dtype if value.is_floating_point() else None)
            for name, value in pixels.inputs.items()
        }
        return replace(pixels, inputs=inputs)

    def image_tokens(self, pixels: Pixels) -> list[ImageTokens]:
        """Pixel inputs -> the tokens that stand for each picture, through vision tower and projector."""
        return [
            replace(image, rows=image.rows.to(self.device, self.dtype), places=image.places.to(self.device))
            for image in self.family.image_tokens(pixels)
        ]

    def embed(self, ids: Tensor, images: Sequence[ImageTokens]) -> Tensor:
        """ids int64[B, T] -> embeddings [B, T, D]: words from the table, the rows of `images` at the image tokens, in order."""
        mask = ids == self.image_id
        words = self.word_rows[ids.masked_fill(mask, 0)]  # some models mark images with an id that has no row
        if not images:
            return words
        return words.masked_scatter(mask.unsqueeze(-1), torch.cat([image.rows for image in images]))

    def positions(self, first: int, images: Sequence[ImageTokens], width: int) -> Tensor | None:
        """Where the tokens of a batch stand, each row with its picture at index `first`: int64[A, B, width] where a position
        has A > 1 axes, else None: they are counted."""
        if self.family.axes == 1 or not images:
            return None
        steps = torch.arange(width, device=self.device)
        places = steps.expand(self.family.axes, len(images), -1).clone()
        for row, image in enumerate(images):
            after = first + len(image.ids)
            places[:, row, first:after] = first + image.places
            places[:, row, after:] += image.advance - len(image.ids)
        return places

    def features(self, image: ImageTokens) -> Tensor:
        """A picture's tokens as rows [T, D], for a prompt that has them in the middle of other words.

        Raises RequestError where the model's positions do not allow that.
        """
        if self.family.axes > 1:
            raise RequestError(
                f"With {self.name or 'this model'} the picture must come before the concepts.",
                'Use a template whose form is "image-first".',
            )
        ids = torch.tensor([image.ids], device=self.device)
        return self.embed(ids, [image])[0]

    @property
    def recordable(self) -> bool:
        """Whether a step of the language model can be recorded: on one GPU, with weights in their number format."""
        spread = len(set(getattr(self.model, "hf_device_map", {}).values())) > 1
        return can_record(self.device) and not spread and not getattr(self.model, "is_quantized", False)

    def prepack(self) -> None:
        """Hold the language model's large weights as its CPU multiplies with them; it comes to that by itself when it is asked
        often."""
        self._passes = OFTEN
        prepack(self.language_model)
        give_back()  # what was plain lay between what stays

    def hidden(
        self,
        embeddings: Tensor,
        past: Past | None = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        keep: bool = False,
        last: bool = False,
    ) -> tuple[Tensor, KeyValues | None]:
        """Run the language model on embeddings [B, T, D] after `past`.

        positions [B, T] or, with A axes, [A, B, T]: default counts on from `past`. mask bool[B, past + T]: False where a
        token must not be seen; default all. Returns the last hidden states (after the final norm) of all tokens [B, T, D], or of
        the `last` alone [B, 1, D], and, if `keep`, the keys and values of past and new tokens together. `past` itself is never
        changed, unless it is a `RoomyCache` or a `StaticCache`: these are written in place. A `StaticCache` and a `SharedCache`
        need no mask.
        """
        early = {"last": True} if last and self.ends_early and not torch.is_grad_enabled() else {}
        out = self._run(embeddings, past, positions, mask, keep, **early)
        states = out.last_hidden_state[:, -1:] if last else out.last_hidden_state
        cache = out.past_key_values
        kept = tuple((layer.keys, layer.values) for layer in cache.layers) if keep and cache is not None else None
        return states.to(self.head_rows.device), kept  # a model may be spread over several devices

    def attended(
        self, embeddings: Tensor, past: KeyValues, positions: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Run the language model on embeddings [B, T, D] after `past`; returns the last hidden states [B, T, D] and, of every
        layer, the attention weights [B, heads, T, past + T].

        positions [B, T] and mask bool[B, past + T] (False: not to be seen) count on and show all by default. For losses on
        attention alone: while it runs, the language model computes in the slow way that has these weights.
        """
        fast = self.language_model.config._attn_implementation
        self.language_model.set_attn_implementation("eager")
        try:
            out = self._run(embeddings, past, positions, mask, False, output_attentions=True)
        finally:
            self.language_model.set_attn_implementation(fast)
        return out.last_hidden_state.to(self.head_rows.device), list(out.attentions)

    def _run(
        self,
        embeddings: Tensor,
        past: Past | None,
        positions: Tensor | None,
        mask: Tensor | None,
        keep: bool,
        **options: Any,
    ) -> Any:
        from transformers import DynamicCache

        self.tokens_computed += embeddings.shape[0] * embeddings.shape[1]
        if self._passes < OFTEN and embeddings.is_cpu and torch.is_inference_mode_enabled():
            self._passes += 1
            if self._passes == OFTEN:
                self.prepack()
        cache: Any
        if isinstance(past, StaticCache):
            cache, mask = past, past.seen
        elif isinstance(past, SharedCache) and not self.family.shares:
            copied, mask = past.repeated(embeddings.shape[1])
            cache = DynamicCache(copied)
        elif isinstance(past, RoomyCache | SharedCache):
            cache = past
        else:
            cache = DynamicCache(past) if past is not None else DynamicCache() if keep else None
        return self.language_model(
            inputs_embeds=embeddings,
            past_key_values=cache,
            position_ids=positions,
            attention_mask=mask,
            use_cache=cache is not None,
            **options,
        )


def repeat(past: KeyValues, times: int) -> KeyValues:
    """Keys and values of a batch with every row `times` times, in place order: rows 0, 0, .., 1, 1, .. (copies, so writes
    cannot be shared)."""
    return tuple((k.repeat_interleave(times, 0), v.repeat_interleave(times, 0)) for k, v in past)
