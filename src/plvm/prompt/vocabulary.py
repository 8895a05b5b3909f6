"""The concept vocabulary: extra rows that belong to one batch of requests and to nothing else.

    ids      0 .. V-1          the backbone's own tokens
             V .. V+C-1        the words <name>, one per concept of the request
             V+C .. V+C+C*K-1  the context tokens, K per concept
             after them        the tokens of the request's picture, where no image prefix holds it already

Rows are arguments: nothing is written into the backbone, so two requests with different concepts can share a batch and
cannot see each other. `embed` turns ids into input embeddings, `logits` turns hidden states into `V+C` columns, which is how
the model can say a name. Ids are local to a request; where requests of a batch have fewer concepts than the largest one,
the missing rows are zero as inputs and minus infinity as outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.errors import RequestError
from plvm.products import product
from plvm.types import Concept, ConceptTokens


@dataclass(frozen=True, eq=False)
class ConceptVocabulary:
    """Rows of a batch: word and head [B, C, D], context [B, C, K, D], present bool[B, C]: which names are there to be
    said, image [B, P, D] or None; `base` is V."""

    base: int
    word: Tensor
    head: Tensor
    context: Tensor
    present: Tensor
    image: Tensor | None = None

    @property
    def concepts(self) -> int:
        """C, the number of columns after the base vocabulary."""
        return self.word.shape[1]

    @property
    def context_tokens(self) -> int:
        """K, the number of context tokens of one concept."""
        return self.context.shape[2]

    def word_id(self, concept: int) -> int:
        """The id of `<name>` of concept number `concept` of a request."""
        return self.base + concept

    def context_ids(self, concept: int) -> list[int]:
        """The K ids of the context tokens of concept number `concept`."""
        first = self.base + self.concepts + concept * self.context_tokens
        return list(range(first, first + self.context_tokens))

    def context_id(self, concept: int, number: int) -> int:
        """The id of context token `number` (0 .. K-1) of concept number `concept`. Raises RequestError where there is
        none."""
        if not (0 <= concept < self.concepts and 0 <= number < self.context_tokens):
            raise RequestError(
                f"The prompt has no context token {number} of concept {concept}.",
                f"It has {self.concepts} concepts with {self.context_tokens} context tokens each, counted from 0.",
            )
        return self.context_ids(concept)[number]

    def image_ids(self, count: int) -> list[int]:
        """The ids of the first `count` tokens of a request's picture."""
        first = self.base + self.concepts * (1 + self.context_tokens)
        return list(range(first, first + count))

    @cached_property
    def _rows(self) -> Tensor:
        """All rows in the order of their ids [B, N, D]; made once, for an answer asks for one at every step."""
        parts = [self.word, self.context.flatten(1, 2), *([] if self.image is None else [self.image])]
        return torch.cat(parts, dim=1)

    @cached_property
    def _bias(self) -> Tensor:
        """What is added to the logits of names [B, 1, C]: minus infinity where there is none to be said."""
        return torch.zeros_like(self.present, dtype=self.head.dtype).masked_fill_(~self.present, float("-inf")).unsqueeze(1)

    def embed(self, ids: Tensor, table: Tensor) -> Tensor:
        """ids int64[B, T] -> embeddings [B, T, D]; base ids from `table` [V, D], the others from the rows of their request."""
        base = F.embedding(ids.clamp(max=self.base - 1), table)
        if self.concepts == 0 and self.image is None:
            return base
        index = (ids - self.base).clamp(min=0)
        own = self._rows.gather(1, index.unsqueeze(-1).expand(-1, -1, self._rows.shape[-1])).to(base.dtype)
        return torch.where((ids >= self.base).unsqueeze(-1), own, base)

    def logits(self, hidden: Tensor, head_rows: Tensor, bias: Tensor | None = None) -> Tensor:
        """hidden [B, T, D] and frozen head rows [V, D] -> logits [B, T, V+C]; `bias` [V] is added to those of base tokens."""
        base = product(hidden, head_rows, bias)
        if self.concepts == 0:
            return base
        own = torch.baddbmm(self._bias.to(hidden), hidden, self.head.to(hidden).mT)
        return torch.cat([base, own], dim=-1)

    def beside(self, other: ConceptVocabulary) -> ConceptVocabulary:
        """The vocabulary of the requests of both, these first, without pictures."""
        count, k = max(self.concepts, other.concepts), max(self.context_tokens, other.context_tokens)

        def wide(v: ConceptVocabulary) -> list[Tensor]:
            more = (0, count - v.concepts)
            context = F.pad(v.context, (0, 0, 0, k - v.context_tokens, *more))
            return [F.pad(v.word, (0, 0, *more)), F.pad(v.head, (0, 0, *more)), context, F.pad(v.present, more)]

        return ConceptVocabulary(self.base, *(torch.cat(parts) for parts in zip(wide(self), wide(other), strict=True)))

    def select(self, rows: Tensor) -> ConceptVocabulary:
        """The vocabulary of some requests of the batch: `rows` int64[B']."""
        image = None if self.image is None else self.image[rows]
        word, head, context, present = (p[rows] for p in (self.word, self.head, self.context, self.present))
        return ConceptVocabulary(self.base, word, head, context, present, image)


def ids_of(concepts: Sequence[Concept], base: int, image: Tensor | None = None) -> ConceptVocabulary:
    """The vocabulary of one request for what only counts and writes ids: its rows have no numbers."""
    count, k = len(concepts), concepts[0].tokens.context.shape[0] if concepts else 0
    rows = torch.empty(1, count, 0)
    places = None if image is None else torch.empty(1, len(image), 0)
    return ConceptVocabulary(base, rows, rows, torch.empty(1, count, k, 0), torch.ones(1, count, dtype=torch.bool), places)


def vocabulary_of(
    requests: Sequence[Sequence[Concept | ConceptTokens]], like: Tensor, images: Sequence[Tensor | None] = ()
) -> ConceptVocabulary:
    """The vocabulary of a batch of requests, each with its own concepts; `like` [V, D] gives V, D, device and dtype.

    `images` are the picture tokens [P, D] of each request whose picture is not in an image prefix, else None.
    """
    batch, (base, width) = len(requests), like.shape
    tokens = [[c.tokens if isinstance(c, Concept) else c for c in request] for request in requests]
    count = max((len(r) for r in tokens), default=0)
    k = next((t.context.shape[0] for r in tokens for t in r), 0)
    word, head = like.new_zeros(batch, count, width), like.new_zeros(batch, count, width)
    context = like.new_zeros(batch, count, k, width)
    present = torch.zeros(batch, count, dtype=torch.bool, device=like.device)
    for b, request in enumerate(tokens):
        for c, one in enumerate(request):
            word[b, c], context[b, c] = one.word.to(like), one.context.to(like)
            if bool(torch.isfinite(one.head).all()):
                head[b, c], present[b, c] = one.head.to(like), True
    length = max((len(i) for i in images if i is not None), default=0)
    image = like.new_zeros(batch, length, width) if length else None
    for b, own in enumerate(images):
        if own is not None and image is not None:
            image[b, : len(own)] = own.to(like)
    return ConceptVocabulary(base, word, head, context, present, image)
