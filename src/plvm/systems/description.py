"""The frozen VLM without an Aligner's context tokens: a description in words stands before the question instead.

    Description       what the VLM itself says of the reference picture, cut at a comma to `tokens` tokens (16 as in the
                      papers, as many as PLVM has context tokens)
    TrueDescription   the truth in words, all of it: what a perfect describer could tell

Names: with `names="rows"` the name is a word of the concept vocabulary, its rows the Aligner's - generous, since the
VLM was pretrained on such names; with `names="plain"` everything is ordinary text and nothing of the Aligner is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from PIL import Image

from plvm.engine.prefix import ImagePrefix, digest_of
from plvm.engine.session import Request, Session
from plvm.evaluate.album import Album
from plvm.evaluate.datasets import CHANGES
from plvm.evaluate.system import CHOOSE, RECOGNIZE, VERIFY
from plvm.personal import Personal
from plvm.portraits.person import SLOTS
from plvm.portraits.questions import describe
from plvm.systems.plvm import SPACE, Learned, Plvm

DESCRIBE = "Describe this person."


class Description(Plvm):
    """See the module. `tokens` is the length of the description by the VLM's own tokenizer."""

    name = "description"

    def __init__(self, vlm: Personal, *, tokens: int = 16, names: Literal["rows", "plain"] = "rows") -> None:
        super().__init__(vlm)
        self.tokens, self.names = tokens, names
        if names == "plain":  # a plain name cannot be read out of an answer
            self.abilities = frozenset({RECOGNIZE, VERIFY, CHOOSE})

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}-{self.tokens}-{self.names}"

    @property
    def facts(self) -> dict[str, Any]:
        return super().facts | {"tokens": self.tokens, "names": self.names}

    def learn(self, name: str, image: Image.Image) -> Learned:
        return Learned(super().learn(name, image).concept, self.describe(image))

    def describe(self, image: Image.Image) -> str:
        """The VLM's own words about a reference picture."""
        text = self.vlm.ask_many([(image, DESCRIBE, ())], self.params, namespace=SPACE)[0].text
        return self.cut(text.removeprefix("This is ").rstrip(". "))

    def cut(self, text: str) -> str:
        """The longest beginning of `text` that ends before a comma and has at most `tokens` tokens."""
        pieces = text.split(", ")
        while len(pieces) > 1 and len(self.vlm.prompt.text(" " + ", ".join(pieces))) > self.tokens:
            pieces.pop()
        return ", ".join(pieces)

    def _request(self, state: ImagePrefix | Session, question: str, known: Sequence[Learned]) -> Request:
        if self.names == "rows":
            return super()._request(state, question, known)
        words = "".join(f"{k.concept.name} is {k.words}. " for k in known)
        for k in known:
            question = question.replace(f"<{k.concept.name}>", k.concept.name)
        return Request(state, words + question)


class TrueDescription(Description):
    """The truth in words. `truth` maps the digest of a reference picture to its description (`truth_of`)."""

    name = "true description"

    def __init__(self, vlm: Personal, truth: Mapping[str, str], **options: Any) -> None:
        super().__init__(vlm, tokens=len(SLOTS) * 8, **options)
        self.truth = truth

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256("".join(self.truth.values()).encode()).hexdigest()[:8]
        return f"{super().fingerprint}-{digest}"

    def describe(self, image: Image.Image) -> str:
        return self.truth[digest_of(image)]


def truth_of(album: Album) -> dict[str, str]:
    """The digest of every reference picture of a benchmark, look-alikes too -> who it shows, in words."""
    bench = album.benchmark
    people = dict(zip(bench.names, bench.people, strict=True))
    for name, alike in zip(bench.names, bench.lookalikes, strict=True):
        people |= {f"{name}~{k}": p for k, p in zip(CHANGES, alike, strict=True)}
    return {digest_of(album.reference(key)): describe(person, SLOTS) for key, person in people.items()}
