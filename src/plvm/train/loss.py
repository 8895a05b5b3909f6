"""The loss of the paper: weighted cross-entropy over the answer (Eq. 2).

    loss = sum_i a_i * CE(p_i, x_i) / sum_i a_i,    a_i = w on the Yes/No word of a recognition answer, else 1

normalised within each answer, then averaged over answers, so that a long answer weighs as much as a short one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.prompt.turns import VERDICT
from plvm.prompt.vocabulary import ConceptVocabulary


def answer_logits(vocabulary: ConceptVocabulary, hidden: Tensor, supervise: Tensor, head_rows: Tensor) -> Tensor:
    """hidden [N, T, D], supervise int64[N, T], frozen head rows [V, D] -> logits [A, V+C] of the A tokens of answers, in their
    order: the columns of nothing else are computed, and a suffix is mostly definitions and questions."""
    request, before = (supervise[:, 1:] > 0).nonzero(as_tuple=True)
    return vocabulary.select(request).logits(hidden[request, before].unsqueeze(1), head_rows).squeeze(1)


def answer_loss(logits: Tensor, ids: Tensor, supervise: Tensor, w: float) -> Tensor:
    """logits [A, V+C] of the tokens of answers (`answer_logits`), ids and supervise int64[N, T] -> the mean over all answers.

    `supervise` marks answer tokens (1), Yes/No words (2) and all others (0); every unbroken run of marked tokens is one answer.
    """
    target, kind = ids[:, 1:], supervise[:, 1:]
    begins = (kind > 0) & (supervise[:, :-1] == 0)
    chosen = kind > 0
    answer = begins.flatten().cumsum(0).view_as(kind)[chosen] - 1
    losses = F.cross_entropy(logits.float(), target[chosen], reduction="none")
    weight = torch.where(kind[chosen] == VERDICT, w, 1.0)
    count = int(begins.sum())
    zero = losses.new_zeros(count)
    return (zero.index_add(0, answer, weight * losses) / zero.index_add(0, answer, weight)).mean()
