"""Dialogues as token rows: the one place where training data meets the prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from plvm.portraits.dialogues import Dialogue, Named
from plvm.prompt import Prompt, Tokens
from plvm.vocabulary import ConceptVocabulary


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


def write_dialogue(
    prompt: Prompt, dialogue: Dialogue, vocabulary: ConceptVocabulary, words: Callable[[Named], str] | None = None
) -> Tokens:
    """A drawn dialogue's suffix. `words` describes people in words; without it their context tokens stand there."""
    turns = [(q.text, q.answer, q.verdict) for q in dialogue.questions]
    said = [words(named) for named in dialogue.named] if words is not None else ()
    return write_turns(prompt, dialogue.names, [n.joins for n in dialogue.named], turns, vocabulary, said)


def pad_rows(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Lists of ids -> int64[N, T], right-padded."""
    length = max(map(len, rows))
    return torch.tensor([[*r, *[value] * (length - len(r))] for r in rows])
