"""What a user of plain transformers would write: concepts as rows of a resized vocabulary, and every question a whole prompt
through `generate`, the picture in it. Its products are torch's own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from plvm.model.backbone_family import ImageTokens
from plvm.personal import Personal
from plvm.products import by_torch
from plvm.types import Concept


def stock(model: nn.Module) -> Any:
    """A copy of a model whose parts are transformers' and torch's own wherever ours stand in for them."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        own = next(kind for kind in type(module).__mro__ if not kind.__module__.startswith("plvm."))
        if own is not nn.Module:
            module.__class__ = own
    return copied


class Naive:
    """A copy of a model's stock backbone that knows `concepts`: the same rows, and prompts of the same ids, as the engine's."""

    def __init__(self, vlm: Personal, concepts: Sequence[Concept]) -> None:
        self._vlm, self._count = vlm, len(concepts)
        self._base, self._context = vlm.backbone.vocabulary_size, len(concepts[0].tokens.context)
        self.model = stock(vlm.backbone.model)
        self.model.get_decoder().set_attn_implementation("sdpa")
        own = [[getattr(c.tokens, part) for c in concepts] for part in ("word", "head", "context")]
        word, head, context = torch.stack(own[0]), torch.stack(own[1]), torch.cat(own[2])
        self._resize(torch.cat([word, context]), torch.cat([head, torch.zeros_like(context)]))

    def _resize(self, inputs: Tensor, outputs: Tensor) -> None:
        """Put rows `[C + K * C, D]` behind those of the vocabulary."""
        self.model.resize_token_embeddings(self._base + len(inputs), mean_resizing=False)
        with torch.no_grad():
            table, rows = (m.weight[self._base :] for m in (self.model.get_input_embeddings(), self.model.lm_head))
            table.copy_(inputs)
            rows.copy_(outputs)
        self.model.generation_config.eos_token_id = None  # an answer has as many tokens as are asked for

    def image(self, picture: Image.Image) -> tuple[int, ...]:
        """The ids that stand for a picture in a prompt."""
        backbone = self._vlm.backbone
        return (backbone.image_id,) * backbone.model.config.image_seq_length

    def own(self, suffix: Sequence[int], numbers: Sequence[int]) -> list[int]:
        """`suffix`, as the engine writes it for a request about the concepts with these `numbers`, in the ids of the resized
        vocabulary."""
        first = self._base + len(numbers)

        def own(i: int) -> int:
            if i < first:
                return i if i < self._base else self._base + numbers[i - self._base]
            concept, place = divmod(i - first, self._context)
            return self._base + self._count + numbers[concept] * self._context + place

        return [own(i) for i in suffix]

    def prompt(self, picture: Image.Image, own: Sequence[int]) -> list[int]:
        """A whole prompt: a picture, then what `own` makes of the rest."""
        before, after = self._vlm.prompt.prefix()
        return [*before, *self.image(picture), *after, *own]

    @torch.inference_mode()
    def answer(self, picture: Image.Image, prompt: Sequence[int], words: int = 1) -> tuple[list[int], Tensor]:
        """The ids of an answer of so many tokens, and the logits of the first."""
        inputs = self._vlm.backbone.pixels([picture]).inputs
        ids = torch.tensor([prompt], device=self._vlm.backbone.device)
        with by_torch():
            out = self.model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), **inputs, max_new_tokens=words, do_sample=False,
                pad_token_id=0, return_dict_in_generate=True, output_logits=True,
            )  # fmt: skip
        return out.sequences[0, len(prompt) :].tolist(), out.logits[0][0]

    def yes(self, picture: Image.Image, prompt: Sequence[int]) -> float:
        """P(Yes) / (P(Yes) + P(No)) as the first word of the answer."""
        _, logits = self.answer(picture, prompt)
        return float(logits[[self._vlm.prompt.yes_id, self._vlm.prompt.no_id]].float().softmax(0)[0])


class NaivePhoto(Naive):
    """The same with a backbone of plvm's own, that transformers has no `generate` for: tokens that vary with the picture, and a
    greedy loop over its plain pass with a cache of keys and values."""

    def _resize(self, inputs: Tensor, outputs: Tensor) -> None:
        backbone = self._vlm.backbone
        self._table = torch.cat([backbone.word_rows, inputs.to(backbone.word_rows)])
        self._head = torch.cat([backbone.head_rows, outputs.to(backbone.head_rows)])

    def image(self, picture: Image.Image) -> tuple[int, ...]:
        return self._seen(picture).ids

    @torch.inference_mode()
    def answer(self, picture: Image.Image, prompt: Sequence[int], words: int = 1) -> tuple[list[int], Tensor]:
        from transformers import DynamicCache

        ids = torch.tensor([prompt], device=self._vlm.backbone.device)
        shown = ids == self._vlm.backbone.image_id
        rows = self._table[ids.masked_fill(shown, 0)].masked_scatter(shown.unsqueeze(-1), self._seen(picture).rows)
        cache, said, first = DynamicCache(), list[int](), None
        while len(said) < words:
            with by_torch():
                states = self.model.get_decoder()(inputs_embeds=rows, past_key_values=cache, use_cache=True).last_hidden_state
            logits = states[0, -1] @ self._head.T
            first = logits if first is None else first
            said.append(int(logits.argmax()))
            rows = self._table[said[-1]][None, None]
        assert first is not None
        return said, first

    def _seen(self, picture: Image.Image) -> ImageTokens:
        backbone = self._vlm.backbone
        return backbone.image_tokens(backbone.pixels([picture]))[0]


def naive_way(vlm: Personal, concepts: Sequence[Concept]) -> Naive:
    """The naive way with a model, whatever its family."""
    return (Naive if hasattr(vlm.backbone.model, "generate") else NaivePhoto)(vlm, concepts)
