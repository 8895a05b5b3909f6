"""Dialogues as token rows: the one place where training data meets the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from plvm.portraits.dialogues import Dialogue, Named
from plvm.prompt import Prompt, Tokens
from plvm.vocabulary import ConceptVocabulary


def write_dialogue(
    prompt: Prompt, dialogue: Dialogue, vocabulary: ConceptVocabulary, words: Callable[[Named], str] | None = None
) -> Tokens:
    """The dialogue's suffix: definitions where names join, questions, supervised answers. `words` describes people in words;
    without it their context tokens stand there."""
    tokens, names = Tokens(), dialogue.names
    described = {i: words(named) if words is not None else None for i, named in enumerate(dialogue.named)}
    for turn, q in enumerate(dialogue.questions):
        joining = [i for i, named in enumerate(dialogue.named) if named.joins == turn]
        prompt.turn(
            tokens, q.text, names, vocabulary, joining=joining, descriptions=described, first=turn == 0,
            answer=q.answer, verdict=q.verdict,
        )  # fmt: skip
    return tokens


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Lists of ids -> int64[N, T], right-padded."""
    length = max(map(len, rows))
    return torch.tensor([[*r, *[value] * (length - len(r))] for r in rows])
