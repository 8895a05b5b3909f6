"""PLVM under test: the product's own engine, with nothing of its own.

A picture's prefix is computed once and shared by everything that is asked about it while it is in the cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plvm.engine.generate import complete, generate
from plvm.engine.prefix import ImagePrefix
from plvm.engine.request import Request, Session
from plvm.engine.score import choose, yes_of
from plvm.personal import Personal
from plvm.presence.verdicts import YES
from plvm.train.features import fingerprint_of
from plvm.types import Concept, SamplingParams
from plvm_lab.evaluate.system import Ask, Complete, System, Turn

SPACE = "evaluation"  # the namespace of its cached prefixes


@dataclass(frozen=True, eq=False)
class Learned:
    """A concept; its `description`, where given, stands in its definition in place of the context tokens. `seconds`: how long it
    took to learn, where that was measured when it was learned."""

    concept: Concept
    description: str | None = None
    seconds: float | None = None


class Plvm(System, Complete):
    """The model `vlm` as its users meet it: greedy answers of at most `max_tokens` tokens, the template's own prompt."""

    name = "plvm"

    def __init__(self, vlm: Personal, *, max_tokens: int = 40) -> None:
        self.vlm = vlm
        self.params = SamplingParams(max_tokens=max_tokens)

    @cached_property
    def fingerprint(self) -> str:
        """The Aligner's fingerprint with a digest of what surrounds it: backbone, encoder, verdicts."""
        vlm = self.vlm
        parts = [fingerprint_of(part.model, part.image_processor) for part in (vlm.backbone, vlm.encoder)]
        digest = hashlib.sha256("-".join([*parts, repr(vlm.calibration.verdicts)]).encode())
        return f"{vlm.fingerprint}-{digest.hexdigest()[:12]}-{self.params.max_tokens}"

    @property
    def facts(self) -> dict[str, Any]:
        vlm = self.vlm
        return {
            "architecture": vlm.aligner.config.architecture,
            "aligner": vlm.fingerprint,
            "backbone": Path(vlm.backbone.name).name,
            "encoder": Path(vlm.encoder.name).name,
            "device": str(vlm.backbone.device),
            "dtype": str(vlm.backbone.dtype).removeprefix("torch."),
        }

    def learn(self, name: str, *images: Image.Image) -> Learned:
        return Learned(Concept(name, self.vlm.tokens_of([images])[0], self.vlm.fingerprint))

    def bytes_of(self, known: Learned) -> int:
        """How large the rows that go into a prompt are, with the description."""
        tokens = known.concept.tokens
        rows = (tokens.word, tokens.head, tokens.context) if known.description is None else (tokens.word, tokens.head)
        return sum(t.numel() * t.element_size() for t in rows) + len((known.description or "").encode())

    def seconds_of(self, known: Learned) -> float | None:
        return known.seconds

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[Learned]) -> np.ndarray:
        wording = self.vlm.prompt.template.recognize
        asks = [
            Ask(image, wording.replace("{name}", f"<{c.concept.name}>"), (c,)) for image in images for c in concepts
        ]
        return self.verify(asks).reshape(len(images), len(concepts))

    def call_roll(self, image: Image.Image, concepts: Sequence[Learned]) -> list[tuple[bool, float | None]]:
        (found,) = self.vlm.verdicts([image], [c.concept for c in concepts], namespace=SPACE)
        return [(p.verdict == YES, p.probability) for p in found]

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        return yes_of(self.vlm.backbone, self.vlm.prompt, self._requests(asks)).numpy()

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        backbone, prompt = self.vlm.backbone, self.vlm.prompt
        return [
            choose(backbone, prompt, request, ask.options).numpy()
            for request, ask in zip(self._requests(asks), asks, strict=True)
        ]

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        answers = generate(self.vlm.backbone, self.vlm.prompt, self._requests(asks), self.params)
        return [a.text for a in answers]

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        state: ImagePrefix | Session = self._prefixes([image])[0]
        texts = []
        for turn in turns:
            request = self._request(state, turn.question, turn.joining)
            done = complete(self.vlm.backbone, self.vlm.prompt, request, self.params)
            texts.append(done.answer.text)
            state = done.session
        return texts

    def _prefixes(self, images: Sequence[Image.Image | None]) -> list[ImagePrefix]:
        """One prefix per picture object: the same object is looked at once."""
        unique = {id(image): image for image in images}
        looked = self.vlm.engine.look(list(unique.values()), namespace=SPACE)
        found = dict(zip(unique, looked, strict=True))
        return [found[id(image)] for image in images]

    def _requests(self, asks: Sequence[Ask]) -> list[Request]:
        prefixes = self._prefixes([ask.image for ask in asks])
        return [self._request(p, a.question, a.concepts) for p, a in zip(prefixes, asks, strict=True)]

    def _request(self, state: ImagePrefix | Session, question: str, known: Sequence[Learned]) -> Request:
        return Request(state, question, tuple(k.concept for k in known), tuple(k.description for k in known))
