"""How much of a dialogue is read: the picture, everybody in it, and as many recent turns as serve.

A dialogue goes on from its keys and values as long as the window lasts. Then the window moves on: half of it is kept, written
again behind the image prefix, which is there already, with the definitions of everybody. Moving by half, not by one turn,
keeps what is computed a turn about constant, however long the dialogue is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request
from plvm.model.backbone import Backbone
from plvm.prompt.image_first import Prompt
from plvm.prompt.vocabulary import ids_of

Said = Sequence[tuple[str, str]]  # earlier (question, answer)s
ANSWER_SHARE = 4  # at most this part of what the model reads is held free for the answer


@dataclass(frozen=True, eq=False)
class Window:
    """At most `turns` turns are read, the one that is asked among them (0: any number), and at most `tokens` tokens."""

    turns: int
    tokens: int

    def request(self, backbone: Backbone, prompt: Prompt, start: ImagePrefix, going_on: Request, said: Said) -> Request:
        """The request `going_on`, which continues a dialogue whose last (question, answer)s are `said`, or, where the window
        has to move on, one that begins anew at `start` with those of them that are kept."""
        if self._holds(going_on.session.turns + 1, self._length(backbone, prompt, going_on)):
            return going_on
        kept = tuple(said[-(self.turns // 2) :] if self.turns > 1 else () if self.turns else said)
        while True:
            moved = Request(start.settled, going_on.question, going_on.everyone, history=kept)
            if not kept or self._length(backbone, prompt, moved) - start.length <= (self.tokens - start.length) // 2:
                return moved
            kept = kept[1:]

    def holds(self, backbone: Backbone, prompt: Prompt, request: Request) -> bool:
        """Whether a request has room in it, with an answer."""
        return self._length(backbone, prompt, request) <= self.tokens

    def _holds(self, turns: int, tokens: int) -> bool:
        return (not self.turns or turns <= self.turns) and tokens <= self.tokens

    def _length(self, backbone: Backbone, prompt: Prompt, request: Request) -> int:
        """How many tokens the prompt of a request has."""
        vocabulary = ids_of(request.everyone, backbone.vocabulary_size, request.features)
        return request.state.length + len(request.write(prompt, vocabulary))


def window_of(backbone: Backbone, prompt: Prompt, longest: int) -> Window:
    """The window of a dialogue: the template's turns, and what the model reads but for an answer of `longest` tokens."""
    room = min(longest, backbone.max_tokens // ANSWER_SHARE)
    return Window(prompt.template.turns, backbone.max_tokens - 1 - room)
