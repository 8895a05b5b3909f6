"""Names that are said by spelling them, for a model that no head rows can be given to.

Everyone is introduced before the first question ("<billie> is called Billie."); where an answer spells a name, it becomes
`<billie>` again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import torch

from plvm.engine.request import Request
from plvm.errors import RequestError
from plvm.naming.mentions import marked
from plvm.types import Concept, with_display_names


def spelled(request: Request, introduce: str) -> Request:
    """The request as a model is asked that has no column for a name: everyone introduced (`Template.introduce`; "": nobody is),
    earlier answers spelled, no head rows. Raises RequestError where a question is not text."""
    everyone = request.everyone
    said = [introduce.replace("{name}", f"<{c.name}>").replace("{called}", c.shown) for c in everyone if introduce]
    turns = [*request.history, (request.question, "")]
    if not all(isinstance(question, str) for question, _ in turns):
        raise RequestError("A single context token cannot be asked about here.", "Ask a model that is loaded here.")
    turns[0] = " ".join([*said, str(turns[0][0])]), turns[0][1]
    silent = [replace(c.tokens, head=torch.full_like(c.tokens.head, float("-inf"))) for c in request.concepts]
    return replace(
        request,
        question=turns[-1][0],
        history=tuple((str(question), with_display_names(answer, everyone)) for question, answer in turns[:-1]),
        concepts=tuple(replace(c, tokens=tokens) for c, tokens in zip(request.concepts, silent, strict=True)),
    )


class SpelledText:
    """The text of one answer while it is being written, in which the names of `concepts` become `<name>`s. `push` pieces, then
    `close`; the chunks they return concatenate to `text`. The last words are held back: a name may begin in them."""

    def __init__(self, concepts: Sequence[Concept]) -> None:
        self._people = {c.name: c.display for c in concepts}
        self._held = 1 + max((len(c.shown.split()) for c in concepts), default=0)
        self._written = ""
        self.text = ""

    def push(self, piece: str) -> str:
        """Take what was written next; returns the text that is settled by it, maybe none."""
        self._written += piece
        whole = self._marked()
        blanks = [blank.start() for blank in re.finditer(r"\s+", whole)]
        return self._send(whole, blanks[-self._held] if len(blanks) >= self._held else 0)

    def close(self) -> str:
        """The answer has ended: the rest of its text."""
        whole = self._marked()
        return self._send(whole, len(whole))

    @property
    def names(self) -> tuple[str, ...]:
        """The names in `text`, in the order in which they appear."""
        return tuple(sorted((n for n in self._people if f"<{n}>" in self.text), key=lambda n: self.text.index(f"<{n}>")))

    def _marked(self) -> str:
        written = self._written.lstrip()
        try:
            return marked(written, self._people)
        except RequestError:  # two people have that name: it stays as it was spelled
            return written

    def _send(self, whole: str, upto: int) -> str:
        chunk = whole[len(self.text) : upto]
        self.text += chunk
        return chunk
