"""The baseline on photographs of pets and things: the codes of windows that the model reads, compared with a reference's by their
cosine, without the model.

Yes is a cosine over a threshold that was chosen on things kept for validation, in all kinds of pictures that the suite has; where
something is, the column of the nearest window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from plvm.model.photo.face_places import COLUMNS
from plvm.model.photo.face_processor import CodeSpace
from plvm_lab.evaluate.metrics import best_threshold
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.evaluate.system import Ask
from plvm_lab.systems.face_codes import PhotoCodes


class ThingCodes(PhotoCodes):
    """Cosine of thing codes. A reference that the model takes for a person is like nothing."""

    name = "thing-codes"
    suite = "things"

    @property
    def numbers(self) -> slice:
        return slice(-self.width, None)

    @property
    def space(self) -> CodeSpace:
        return self.processor.things.space

    def fit(self, album: Pictures) -> float:
        """Set the threshold to the best one on all pairs of another split, by balanced accuracy; returns that."""
        bench: Any = album.benchmark
        known = {key: self.learn(bench.name_of(key), album.reference(key)) for key in bench.names}
        asked = [(int(p), bench.names[i], bool(bench.present[i, p])) for i, p in np.argwhere(bench.asked)]
        asked += [(pair.picture, pair.concepts[0], pair.truth) for _, pair in bench.pairs_by_kind]
        asked.sort(key=lambda item: item[0])  # so that a picture is looked at once
        scores = [self.similarity([album.query(picture)], [known[key]])[0, 0] for picture, key, _ in asked]
        self.threshold, best = best_threshold(np.array([truth for _, _, truth in asked]), np.array(scores))
        self._seen.clear()
        return best

    def _answer(self, ask: Ask) -> str:
        """Where something is."""
        assert ask.image is not None
        (thing,) = ask.concepts
        codes, columns = self.processor.things.windows(ask.image)
        alike = codes.numpy() @ thing.feature
        at = int(alike.argmax())
        place = COLUMNS[int(columns[at])] if alike[at] > self.threshold else "not in this photo"
        return f"<{thing.name}> is {place}."

    def _look(self, image: Image.Image) -> np.ndarray:
        """float32[V, W]: the codes of the picture's windows."""
        return self.processor.things.windows(image)[0].numpy()
