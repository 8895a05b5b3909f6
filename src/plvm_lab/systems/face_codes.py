"""The baseline on photographs of people: the codes of faces that the model reads, compared by their cosine, without the model.

Yes is a cosine over a threshold that was chosen on people kept for validation. Who is at a place is the nearest of those in the
prompt, where that is over it; where somebody is, the nearest face; how many there are, the faces that were found. Of other
questions it knows nothing.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch.nn.functional import normalize

from plvm.errors import RequestError
from plvm.model.photo.face_places import places_of
from plvm.model.photo.face_processor import CodeSpace
from plvm.model.photo.photo_processor import PhotoProcessor
from plvm.personal import Personal
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.evaluate.system import Answers, Ask
from plvm_lab.systems.embedding import Embedding, Face


class PhotoCodes(Embedding, Answers):
    """What baselines on photographs share: codes that the family reads, and a threshold from another split of a suite.

    `suite` is the name of the only suite that it chooses on. Raises RequestError for a model that reads no codes."""

    suite = ""

    def __init__(self, vlm: Personal, *, threshold: float | None = None) -> None:
        super().__init__(vlm, threshold=threshold)
        family: Any = vlm.backbone.family
        if not isinstance(family.image_processor, PhotoProcessor):
            raise RequestError(f"The system {self.name} needs a model of photographs.", "Name a photo family with --model.")
        self.processor: PhotoProcessor = family.image_processor

    @property
    def fingerprint(self) -> str:
        """What decides its answers: the codes, and the threshold where it was given."""
        return f"{self.name}-{self.vlm_fingerprint}-{'chosen' if self.given is None else f'{self.given:.6f}'}"

    @property
    def facts(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "threshold_from": self.chosen_on, "width": self.width}

    @property
    def width(self) -> int:
        """How many numbers a code has."""
        return int(self.space.directions.shape[1])

    @property
    @abstractmethod
    def space(self) -> CodeSpace:
        """The space of its codes."""

    @property
    @abstractmethod
    def numbers(self) -> slice:
        """Which numbers of a reference's code are its own: those of faces come first, then those of things."""

    def learn(self, name: str, *images: Image.Image) -> Face:
        """The mean direction of the codes of the pictures, of length 1."""
        z = self.encoder.features(self.encoder.pixels(images))[:, 0].float().mean(0)[self.numbers]
        return Face(name, normalize(z, dim=-1).cpu().numpy())

    def prepare(self, album: Pictures) -> None:
        """Choose the threshold on the split for validation: the same questions. Raises RequestError for another suite."""
        if self.given is not None:
            return
        benchmark: Any = album.benchmark
        if benchmark.suite != self.suite:
            raise RequestError(
                f"{self.name} chooses its threshold on the suite {self.suite}.", "Give it one: --set threshold=0.45."
            )
        other = benchmark.of_split("val")
        self.fit(other.album())
        self.chosen_on = f"{self.suite}, split val, {other.facts['identities']} identities"

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        """Answers to the questions of its suite."""
        return [self._answer(ask) for ask in asks]

    @abstractmethod
    def _answer(self, ask: Ask) -> str: ...


class FaceCodes(PhotoCodes):
    """Cosine of face codes."""

    name = "face-codes"
    suite = "lfw"

    @property
    def numbers(self) -> slice:
        return slice(self.width)

    @property
    def space(self) -> CodeSpace:
        return self.processor.people.space

    def _answer(self, ask: Ask) -> str:
        assert ask.image is not None
        codes, count = self.processor.people.codes(ask.image)
        if ask.question.startswith("How many"):
            return str(count)
        places = places_of(len(codes)) if len(codes) else ()
        if not places:
            return "Nobody is in this photo."
        alike = codes.numpy() @ np.stack([c.feature for c in ask.concepts]).T  # [F, C]
        if ask.question.startswith("Where"):
            at = int(alike[:, 0].argmax())
            here = f"<{ask.concepts[0].name}> is"
            return f"{here} {places[at]}." if alike[at, 0] > self.threshold else f"{here} not in this photo."
        wanted = re.sub(r"^Who is (.*)\?$", r"\1", ask.question)
        if wanted not in places:
            return f"There is no one {wanted}."
        own = alike[places.index(wanted)]
        best = int(own.argmax())
        return f"<{ask.concepts[best].name}>." if own[best] > self.threshold else "Someone I do not know."

    def _look(self, image: Image.Image) -> np.ndarray:
        """float32[F, W]: the codes of the picture's faces; where there is none, one that is like nobody's."""
        codes = self.processor.people.codes(image)[0].numpy()
        return codes if len(codes) else np.zeros((1, codes.shape[-1]), np.float32)
