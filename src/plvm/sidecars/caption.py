"""What is said of a picture: a sentence of the model's, and who of those who are enrolled is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plvm.images import Source
from plvm.types import Concept

if TYPE_CHECKING:
    from plvm.engine.prefix import ImagePrefix
    from plvm.personal import Personal
    from plvm.presence.roll import Presence


@dataclass(frozen=True)
class Seen:
    """Somebody in a picture: display name, word, P(Yes) and what the model says of where they are."""

    name: str
    word: str
    probability: float | None
    place: str


@dataclass(frozen=True)
class Caption:
    """`text` is the model's, with display names, `people` are there and `unsure` ones may be; `unlike` the training is the
    picture, where that is known; `aligner` is the fingerprint of the model."""

    text: str
    people: tuple[Seen, ...]
    unsure: tuple[Seen, ...]
    unlike: float | None
    aligner: str

    @property
    def sentence(self) -> str:
        """The text, and who is there without being named in it."""
        names = ", ".join(seen.name for seen in self.people if seen.name not in self.text)
        return f"{self.text} In the picture: {names}.".strip() if names else self.text


def describe(
    vlm: Personal, images: Sequence[Source | ImagePrefix], concepts: Sequence[Concept], *, namespace: str = "default"
) -> list[Caption]:
    """The captions of pictures, with those of `concepts` who are in each. Raises ImageError, AlignerMismatchError."""
    shown, captions = {concept.name: concept.shown for concept in concepts}, []
    for answer, found in vlm.describe_many(images, concepts, namespace=namespace):
        people, unsure = (tuple(_seen(p, shown[p.name]) for p in found if p.verdict == v) for v in ("yes", "unsure"))
        captions.append(Caption(_plain(answer.shown(concepts)), people, unsure, answer.unlike, vlm.fingerprint))
    return captions


def _seen(presence: Presence, name: str) -> Seen:
    p = presence.probability
    return Seen(name, presence.name, None if p is None else round(p, 4), _plain(presence.place))


def _plain(text: str) -> str:
    """A model's text on one line, without characters that XML or a terminal cannot have."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
