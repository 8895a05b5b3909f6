"""Dialogues as token rows: the one place where training data meets the prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import Tokens
from plvm.prompt.vocabulary import ConceptVocabulary


def write_turns(
    prompt: Prompt, names: Sequence[str], joins: Sequence[int], turns: Iterable[tuple[str, str, bool]],
    vocabulary: ConceptVocabulary, words: Sequence[str | None] = (), image: int = 0,
) -> Tokens:  # fmt: skip
    """A dialogue's suffix: definitions in the turns where names join, questions, supervised answers. A turn is (question, answer,
    whether the answer's first word is weighed); `words` stand in place of the names' context tokens; `image` is how many
    tokens of a picture the first turn holds, where the image prefix has none."""
    tokens, described = Tokens(), dict(enumerate(words))
    for number, (question, answer, verdict) in enumerate(turns):
        prompt.turn(
            tokens, question, names, vocabulary, joining=[i for i, turn in enumerate(joins) if turn == number],
            descriptions=described, first=number == 0, image=vocabulary.image_ids(image if number == 0 else 0),
            answer=answer, verdict=verdict,
        )  # fmt: skip
    return tokens


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Lists of ids -> int64[N, T], right-padded."""
    length = max(map(len, rows))
    return torch.tensor([[*r, *[value] * (length - len(r))] for r in rows])
