"""The state of a dialogue after any number of turns, and the requests that continue it.

A `Session` is a value: keys and values so far, the last tokens that are not in them yet, and who has joined. A
`Request` is a session (or an image prefix, where a dialogue begins), the user's words and the concepts that join now:
their definitions stand at the beginning of the turn, so nothing earlier is computed again. Word ids count in order of
joining and so never change; context ids depend on how many concepts there are, but only their embeddings enter the keys
and values.

`gather` lays the requests of a batch side by side, whatever their lengths:

    past of row 0   x x x x x x   suffix  y y y y
    past of row 1   x x x - - -           y y - -      (- is padding: masked, and without a position of its own)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from plvm.engine.prefix import ImagePrefix
from plvm.errors import RequestError
from plvm.model.backbone import Backbone, KeyValues
from plvm.prompt.image_first import Prompt
from plvm.prompt.turns import Description, Tokens, Words
from plvm.prompt.vocabulary import ConceptVocabulary, vocabulary_of
from plvm.types import Concept


@dataclass(frozen=True, eq=False)
class Session:
    """`past` holds keys and values [1, heads, length, width] of `length` tokens; the next one's position is `length +
    shift`; `pending` ids come next; `turns` were taken."""

    past: KeyValues
    length: int
    pending: tuple[int, ...] = ()
    concepts: tuple[Concept, ...] = ()
    turns: int = 0
    shift: int = 0


@dataclass(frozen=True, eq=False)
class Request:
    """One question: the state it continues, the user's words, and the concepts that join with it.

    `descriptions[i]`, where given and not None, stands in place of all context tokens of `concepts[i]`: words, or the
    numbers of some of them (none: it is not defined). The question may hold single context tokens (`ContextToken`).
    """

    state: ImagePrefix | Session
    question: Words
    concepts: tuple[Concept, ...] = ()
    descriptions: tuple[Description, ...] = ()

    @property
    def session(self) -> Session:
        """The state as a session; a prefix is one without turns."""
        s = self.state
        return s if isinstance(s, Session) else Session(s.past, s.length, shift=s.shift)

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
        return [c.name for c in self.everyone]

    def write(self, prompt: Prompt, vocabulary: ConceptVocabulary) -> list[int]:
        """The ids that have to go through the backbone for this request, under the vocabulary of its batch."""
        session, tokens = self.session, Tokens()
        first = len(session.concepts)
        tokens.add(session.pending)
        prompt.turn(
            tokens,
            self.question,
            self.names,
            vocabulary,
            joining=range(first, first + len(self.concepts)),
            descriptions={first + i: d for i, d in enumerate(self.descriptions)},
            first=session.turns == 0,
            image=vocabulary.image_ids(0 if self.features is None else len(self.features)),
        )
        return tokens.ids


@dataclass(frozen=True, eq=False)
class Gathered:
    """A batch of B requests: `past` [B, heads, P, width]; `ids`, `positions` int64[B, T]; `mask` bool[B, P + T], None
    where nothing is padded; `written` int64[B], the lengths of the suffixes without padding; `nexts` int64[B], the
    positions of what comes after them."""

    past: KeyValues
    ids: Tensor
    positions: Tensor
    mask: Tensor | None
    written: Tensor
    nexts: Tensor
    vocabulary: ConceptVocabulary


def gather(backbone: Backbone, prompt: Prompt, requests: Sequence[Request]) -> Gathered:
    """Requests -> one batch. Raises RequestError where a prompt is longer than the backbone reads."""
    device = backbone.device
    images = [r.features for r in requests]
    vocabulary = vocabulary_of([r.everyone for r in requests], backbone.word_rows, images)
    suffixes = [r.write(prompt, vocabulary) for r in requests]
    lengths = [r.state.length for r in requests]
    for past, suffix in zip(lengths, suffixes, strict=True):
        if past + len(suffix) >= backbone.max_tokens:
            raise RequestError(
                f"The prompt has {past + len(suffix):,} tokens; the model reads fewer than {backbone.max_tokens:,}.",
                "Shorten the question, ask about fewer concepts, or begin a new dialogue.",
            )
    before, width = max(lengths), max(map(len, suffixes))
    ids = torch.tensor([s + [prompt.end_id] * (width - len(s)) for s in suffixes], device=device)
    length, written = torch.tensor(lengths, device=device), torch.tensor([len(s) for s in suffixes], device=device)
    steps = torch.arange(max(before, width), device=device)
    padded = min(lengths) < before or min(map(len, suffixes)) < width
    mask = torch.cat([steps[:before] < length[:, None], steps[:width] < written[:, None]], 1) if padded else None
    starts = length + torch.tensor([r.state.shift for r in requests], device=device)
    positions = starts[:, None] + steps[:width]
    return Gathered(stack(requests, before), ids, positions, mask, written, starts + written, vocabulary)


def stack(requests: Sequence[Request], length: int) -> KeyValues:
    """Keys and values of the requests' states as one batch, right-padded to `length`; a shared state is read once."""
    unique: dict[int, int] = {}
    states: list[ImagePrefix | Session] = []
    rows = []
    for request in requests:
        row = unique.setdefault(id(request.state), len(states))
        if row == len(states):
            states.append(request.state)
        rows.append(row)
    if len(states) == 1:  # views of one state: whoever continues it copies
        return tuple((k.expand(len(rows), -1, -1, -1), v.expand(len(rows), -1, -1, -1)) for k, v in states[0].past)

    def together(layer: int, part: int) -> Tensor:
        own = [s.past[layer][part] for s in states]
        index = torch.tensor(rows, device=own[0].device)
        return torch.cat([F.pad(t, (0, 0, 0, length - t.shape[2])) for t in own])[index]

    return tuple((together(i, 0), together(i, 1)) for i in range(len(states[0].past)))
