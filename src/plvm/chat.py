"""A dialogue about a picture: its turns, and the people in it, who may join at any turn.

The state is a value that a turn replaces when its answer is whole. An error, or a stream that nobody finishes, leaves
the dialogue as it was; two dialogues share nothing that either could change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from plvm.engine.engine import Engine, Picture
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.errors import DuplicateConceptError, RequestError
from plvm.types import Answer, Concept, SamplingParams


@dataclass(frozen=True)
class Turn:
    """One question, people in it as `<name>`, and its answer; `joined` are the names that joined with it."""

    question: str
    answer: Answer
    joined: tuple[str, ...] = ()


class Chat:
    """A dialogue about one picture after the other, with everyone in it known by name; `Personal.chat` opens one.

    Asking adds a turn; `add` lets somebody join with the next one; `look_at` goes on with another picture. A dialogue may be as
    long as you like: the model reads the picture, everyone and as many of the last turns as serve (`Template.turns`).
    """

    def __init__(
        self,
        engine: Engine,
        image: Picture = None,
        concepts: Iterable[Concept] = (),
        *,
        strict_names: bool = True,
        exact_names: bool = False,
        namespace: str = "default",
    ) -> None:
        self._engine = engine
        self._strict, self._exact = strict_names, exact_names
        self._namespace = namespace
        self._joined: tuple[Concept, ...] = ()
        self._waiting: tuple[Concept, ...] = ()
        self._turns: tuple[Turn, ...] = ()
        self._start = self._look(image)
        self._state: ImagePrefix | Session = self._start
        for concept in concepts:
            self.add(concept)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """Everyone in the dialogue, in order of joining."""
        return (*self._joined, *self._waiting)

    @property
    def unlike(self) -> float | None:
        """How unlike the training the picture at hand is, as in `Answer`."""
        return self._start.unlike

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was said about the picture at hand."""
        return self._turns

    def add(self, concept: Concept) -> None:
        """Let `concept` join with the next turn. Raises DuplicateConceptError, AlignerMismatchError."""
        self._engine.check((concept,))
        if concept.name in (c.name for c in self.concepts):
            raise DuplicateConceptError(f"<{concept.name}> is in the dialogue already.", "Just talk about it.")
        self._waiting = (*self._waiting, concept)

    def look_at(self, image: Picture) -> None:
        """Talk about another picture from now on: a new sequence with everyone in it. Raises ImageError."""
        self._start = self._look(image)
        self._state = self._start
        self._joined, self._waiting = (), self.concepts
        self._turns = ()

    def ask(self, question: str, params: SamplingParams | None = None) -> Answer:
        """The answer to the next question. Raises RequestError, UnknownConceptError."""
        for _ in self.stream(question, params):
            pass
        return self._turns[-1].answer

    def stream(self, question: str, params: SamplingParams | None = None) -> Iterator[str]:
        """The answer to the next question in chunks, as it is written. The turn counts once the last chunk was taken. Raises
        RequestError and UnknownConceptError at once, before the first."""
        params = params if params is not None else SamplingParams()
        request = self._engine.next_request(
            self._start, self._state, question, self._waiting, [(t.question, t.answer.text) for t in self._turns],
            longest=params.max_tokens, strict_names=self._strict, exact_names=self._exact,
        )  # fmt: skip
        return self._stream(request, params, self._state, self._turns, self._waiting)

    def _look(self, image: Picture) -> ImagePrefix:
        return self._engine.look([image], namespace=self._namespace)[0]

    def _stream(
        self, request: Request, params: SamplingParams, state: ImagePrefix | Session, turns: tuple[Turn, ...],
        waiting: tuple[Concept, ...],
    ) -> Iterator[str]:  # fmt: skip
        joined = self._joined
        done = yield from self._engine.stream(request, params)
        if self._state is not state or self._turns is not turns:
            raise RequestError("Another turn was taken while this one was being answered.", "Ask one at a time.")
        self._state = done.session
        self._joined = (*joined, *waiting)
        self._waiting = tuple(c for c in self._waiting if c not in waiting)
        self._turns = (*turns, Turn(str(request.question), done.answer, tuple(c.name for c in waiting)))
