"""What a user of plain transformers would write: concepts as rows of a resized vocabulary, and every question a whole prompt
through `generate`, the picture in it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from plvm.personal import Personal
from plvm.types import Concept


class Naive:
    """A copy of a model's stock backbone that knows `concepts`: the same rows, and prompts of the same ids, as the engine's."""

    def __init__(self, vlm: Personal, concepts: Sequence[Concept]) -> None:
        self._vlm, self._count = vlm, len(concepts)
        self._base, self._context = vlm.backbone.vocabulary_size, len(concepts[0].tokens.context)
        self.model = copy.deepcopy(vlm.backbone.model)
        self.model.get_decoder().set_attn_implementation("sdpa")
        self.model.resize_token_embeddings(self._base + self._count * (1 + self._context), mean_resizing=False)
        own = [[getattr(c.tokens, part) for c in concepts] for part in ("word", "head", "context")]
        word, head, context = torch.stack(own[0]), torch.stack(own[1]), torch.cat(own[2])
        with torch.no_grad():
            table, rows = (m.weight[self._base :] for m in (self.model.get_input_embeddings(), self.model.lm_head))
            table.copy_(torch.cat([word, context]))
            rows.copy_(torch.cat([head, torch.zeros_like(context)]))
        self.model.generation_config.eos_token_id = None  # an answer has as many tokens as are asked for

    def prompt(self, suffix: Sequence[int], numbers: Sequence[int]) -> list[int]:
        """A whole prompt in the ids of the resized vocabulary: a picture, then `suffix` as the engine writes it for a request
        about the concepts with these `numbers`."""
        first = self._base + len(numbers)

        def own(i: int) -> int:
            if i < first:
                return i if i < self._base else self._base + numbers[i - self._base]
            concept, place = divmod(i - first, self._context)
            return self._base + self._count + numbers[concept] * self._context + place

        before, after = self._vlm.prompt.prefix()
        backbone = self._vlm.backbone
        image = [backbone.image_id] * backbone.model.config.image_seq_length
        return [*before, *image, *after, *map(own, suffix)]

    @torch.inference_mode()
    def answer(self, picture: Image.Image, prompt: Sequence[int], words: int = 1) -> tuple[list[int], Tensor]:
        """The ids of an answer of so many tokens, and the logits of the first."""
        inputs = self._vlm.backbone.pixels([picture]).inputs
        ids = torch.tensor([prompt], device=self._vlm.backbone.device)
        out = self.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), **inputs, max_new_tokens=words, do_sample=False, pad_token_id=0,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip
        return out.sequences[0, len(prompt) :].tolist(), out.logits[0][0]

    def yes(self, picture: Image.Image, prompt: Sequence[int]) -> float:
        """P(Yes) / (P(Yes) + P(No)) as the first word of the answer."""
        _, logits = self.answer(picture, prompt)
        return float(logits[[self._vlm.prompt.yes_id, self._vlm.prompt.no_id]].float().softmax(0)[0])
