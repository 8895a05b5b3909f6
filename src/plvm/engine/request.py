"""The state of a dialogue after any number of turns, and the requests that continue it.

A `Session` is a value: keys and values so far, the last tokens that are not in them yet, and who has joined. A
`Request` is a session (or an image prefix, where a dialogue begins), the user's words and the concepts that join now:
their definitions stand at the beginning of the turn, so nothing earlier is computed again. Word ids count in order of
joining and so never change; context ids depend on how many concepts there are, but only their embeddings enter the keys
and values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from plvm.engine.prefix import ImagePrefix
from plvm.model.roomy_cache import RoomyCache
from plvm.model.static_cache import KeyValues
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import Description, Tokens, Words
from plvm.prompt.vocabulary import ConceptVocabulary
from plvm.types import Concept


@dataclass(frozen=True, eq=False)
class Session:
    """`past` holds keys and values [1, heads, length, width] of `length` tokens; the next one's position is `length +
    shift`; `pending` ids come next; `turns` were taken; `unlike` the training the picture is, as in `ImagePrefix`. `room`, where
    there is one, is the memory that `past` is in: the first that continues the session writes on there, others copy."""

    past: KeyValues
    length: int
    pending: tuple[int, ...] = ()
    concepts: tuple[Concept, ...] = ()
    turns: int = 0
    shift: int = 0
    unlike: float | None = None
    room: RoomyCache | None = None

    @property
    def apart(self) -> Session:
        """This session in memory of its own, which nothing else is in nor will be; a copy where it is not there already."""
        return replace(self, past=tuple((_apart(k), _apart(v)) for k, v in self.past), room=None)


@dataclass(frozen=True, eq=False)
class Request:
    """One question: the state it continues, the user's words, and the concepts that join with it.

    `descriptions[i]`, where given and not None, stands in place of all context tokens of `concepts[i]`: words, or the
    numbers of some of them (none: it is not defined). The question may hold single context tokens (`ContextToken`). `history`
    are (question, answer)s that the state does not hold: they are written first, the definitions before them.
    """

    state: ImagePrefix | Session
    question: Words
    concepts: tuple[Concept, ...] = ()
    descriptions: tuple[Description, ...] = ()
    history: tuple[tuple[str, str], ...] = ()

    @property
    def session(self) -> Session:
        """The state as a session; a prefix is one without turns."""
        s = self.state
        return s if isinstance(s, Session) else Session(s.past, s.length, shift=s.shift, unlike=s.unlike)

    @property
    def owed(self) -> int:
        """How many tokens of the state were computed for this request."""
        return self.state.computed if isinstance(self.state, ImagePrefix) else 0

    @property
    def features(self) -> Tensor | None:
        """The picture's tokens [P, D] where this request has to write them itself."""
        return self.state.features if isinstance(self.state, ImagePrefix) else None

    @property
    def everyone(self) -> tuple[Concept, ...]:
        """All concepts of the prompt in order of joining: number i has the id V+i."""
        return (*self.session.concepts, *self.concepts)

    @property
    def names(self) -> list[str]:
        """The names of all concepts of the prompt, in order of joining."""
        return [c.name for c in self.everyone]

    def write(self, prompt: Prompt, vocabulary: ConceptVocabulary) -> list[int]:
        """The ids that have to go through the backbone for this request, under the vocabulary of its batch."""
        session, tokens = self.session, Tokens()
        first = len(session.concepts)
        tokens.add(session.pending)
        for i, (question, answer) in enumerate((*self.history, (self.question, None))):
            begins = i == 0
            prompt.turn(
                tokens,
                question,
                self.names,
                vocabulary,
                joining=range(first, first + len(self.concepts)) if begins else (),
                descriptions={first + n: d for n, d in enumerate(self.descriptions)},
                first=begins and session.turns == 0,
                image=vocabulary.image_ids(0 if self.features is None else len(self.features)) if begins else (),
                answer=answer,
            )
        return tokens.ids


def _apart(t: Tensor) -> Tensor:
    return t if t.untyped_storage().nbytes() == t.numel() * t.element_size() else t.clone()
