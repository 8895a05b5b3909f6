"""What a prompt is made of: token rows that know what is supervised, and the user's half of a turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from plvm.prompt.vocabulary import ConceptVocabulary

IGNORED, ANSWER, VERDICT = 0, 1, 2  # what a token is to the loss: nothing, part of an answer, its Yes/No word


@dataclass(frozen=True)
class ContextToken:
    """One context token in a question: number `number` (0 .. K-1) of concept number `concept` of the request."""

    concept: int
    number: int


Words = str | tuple[str | ContextToken, ...]  # a question: text, or text with single context tokens in it
Description = str | tuple[int, ...] | None  # in place of a concept's context tokens: words, some of them, or None: all


@dataclass
class Tokens:
    """A growing token sequence: ids, what each is to the loss, and which concept each describes (-1: none)."""

    ids: list[int] = field(default_factory=list)
    supervise: list[int] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)

    def add(self, ids: Iterable[int], supervise: int = IGNORED, owner: int = -1) -> None:
        """Append ids. `supervise` is what each is to the loss (IGNORED, ANSWER or VERDICT), `owner` the number of the
        concept that they describe (-1: none)."""
        for i in ids:
            self.ids.append(i)
            self.supervise.append(supervise)
            self.owner.append(owner)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class UserTurn:
    """The user's half of a turn: the `question`, in which `<name>` stands for one of `names`, and the numbers of the
    concepts that are `joining`.

    `descriptions` gives, by concept number, what stands in a definition in place of all context tokens: words, or the
    numbers of some of them (no number: the concept is not defined, though its tokens can be asked about). `first`: nothing
    was said before. `image` are the ids of a picture that stands in this turn; with the image first there are none, the prefix
    has them.
    """

    question: Words
    names: Sequence[str]
    vocabulary: ConceptVocabulary
    joining: tuple[int, ...]
    descriptions: Mapping[int, Description]
    first: bool
    image: tuple[int, ...]
