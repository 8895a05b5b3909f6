"""The baseline on photographs of people: the codes of faces that the model reads, compared by their cosine, without the model.

Yes is a cosine over a threshold that was chosen on people kept for validation. Who is at a place is the nearest of those in the
prompt, where that is over it; where somebody is, the nearest face; how many there are, the faces that were found. Of other
questions it knows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch.nn.functional import normalize

from plvm.errors import RequestError
from plvm.model.photo.face_places import places_of
from plvm.model.photo.face_processor import FaceProcessor
from plvm.personal import Personal
from plvm_lab.evaluate.faces_benchmark import FacesBenchmark
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.evaluate.system import Answers, Ask
from plvm_lab.systems.embedding import Embedding, Face


class FaceCodes(Embedding, Answers):
    """Cosine of face codes. Raises RequestError for a model that reads none."""

    name = "face-codes"

    def __init__(self, vlm: Personal, *, threshold: float | None = None) -> None:
        super().__init__(vlm, threshold=threshold)
        family: Any = vlm.backbone.family
        if not isinstance(family.image_processor, FaceProcessor):
            raise RequestError("The system face-codes needs a model that looks for faces.", "Name a photo family with --model.")
        self.processor: FaceProcessor = family.image_processor

    @property
    def fingerprint(self) -> str:
        """What decides its answers: the codes, and the threshold where it was given."""
        return f"face-codes-{self.vlm_fingerprint}-{'chosen' if self.given is None else f'{self.given:.6f}'}"

    @property
    def facts(self) -> dict[str, Any]:
        width = int(self.processor.space.directions.shape[1])
        return {"threshold": self.threshold, "threshold_from": self.chosen_on, "width": width}

    def prepare(self, album: Pictures) -> None:
        """Choose the threshold on people kept for validation: the same questions about them. Raises RequestError where the
        benchmark has none."""
        if self.given is not None:
            return
        if not isinstance(album.benchmark, FacesBenchmark):
            raise RequestError("face-codes chooses its threshold on the suite lfw.", "Give it one: --set threshold=0.45.")
        other = album.benchmark.of_split("val")
        self.fit(other.album())
        self.chosen_on = f"lfw, split val, {len(other.names)} people"

    def learn(self, name: str, *images: Image.Image) -> Face:
        """The mean direction of the codes of the pictures' faces."""
        z = self.encoder.features(self.encoder.pixels(images))[:, 0].float().mean(0)
        return Face(name, normalize(z, dim=-1).cpu().numpy())

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        """Answers to the questions of the suite lfw."""
        return [self._answer(ask) for ask in asks]

    def _answer(self, ask: Ask) -> str:
        assert ask.image is not None
        codes, count = self.processor.codes(ask.image)
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

    def _views(self, image: Image.Image) -> np.ndarray:
        """float32[F, W]: the codes of the picture's faces; where there is none, one that is like nobody's."""
        codes = self.processor.codes(image)[0].numpy()
        return codes if len(codes) else np.zeros((1, codes.shape[-1]), np.float32)
