"""What keeps a picture out, and why: text, face and duplicate, each a score against a threshold.

Two small protocols hide who looks: a `TextMatcher` compares pictures with prompts (CLIP, or our judge for portraits), a
`FaceReader` finds faces and who they are (ArcFace, or our judge). Nothing is dropped here: a picture gets a `Verdict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

HASH_SIDE = 12
NEAR = 2.5  # grey levels of 255: pictures that differ less on average are the same picture, saved twice
DIGITS = 4  # of scores: what batches and threads may change is behind them
FLAT = 4.0  # standard deviation of the grey values under which there is nothing to see


@dataclass(frozen=True, eq=False)
class Face:
    """A face found: its box (left, top, right, bottom) in pixels and its identity embedding float[N] of norm 1."""

    box: tuple[float, float, float, float]
    embedding: np.ndarray


class TextMatcher(Protocol):
    """Compares pictures with prompts. From `text_threshold` on, a picture and a prompt belong together."""

    text_threshold: float

    def similarity(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        """The cosine of each picture and its prompt."""
        ...


class FaceReader(Protocol):
    """Finds faces. From a cosine of `face_threshold` on, two faces are of one person."""

    face_threshold: float

    def faces(self, pictures: Sequence[Image.Image]) -> list[list[Face]]:
        """The faces in each picture, largest first."""
        ...


@dataclass(frozen=True)
class Verdict:
    """Scores of one picture (None: not looked at) and, per filter that refused it, the reason in words.

    nearest: how far the nearest picture of the same identity is that came earlier, in grey levels."""

    text: float | None = None
    face: float | None = None
    faces: int | None = None
    nearest: float | None = None
    refusals: tuple[tuple[str, str], ...] = ()

    @property
    def kept(self) -> bool:
        """Whether no filter refused the picture."""
        return not self.refusals


def picture_hash(image: Image.Image) -> str:
    """The grey levels of a picture made 12 x 12 pixels small, as 288 hex digits; saving and scaling hardly change it."""
    return image.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX).tobytes().hex()


def hash_distance(a: str, b: str) -> float:
    """How far two hashes are apart: the mean difference of their grey levels, 0 to 255."""
    first, second = (np.frombuffer(bytes.fromhex(h), np.uint8).astype(np.int16) for h in (a, b))
    return round(float(np.abs(first - second).mean()), 2)


@dataclass(eq=False)
class Filters:
    """The filters of a run; a matcher or reader that is None is not asked."""

    text: TextMatcher | None = None
    face: FaceReader | None = None
    text_threshold: float | None = None
    face_threshold: float | None = None
    several_faces: bool = False  # whether a picture may show more people than the one

    def judge(
        self, reference: Image.Image, pictures: Sequence[Image.Image], prompts: Sequence[str]
    ) -> tuple[Verdict, list[Verdict]]:
        """The verdict on the reference, and on each of its identity's pictures with its prompt ("": no text filter)."""
        texts = self._texts(pictures, prompts)
        found = self.face.faces([reference, *pictures]) if self.face else None
        own = self._reference(found[0] if found is not None else None)
        who = found[0][0].embedding if found is not None and found[0] else None
        verdicts, hashes = [], [picture_hash(reference)]
        for i, picture in enumerate(pictures):
            refusals: list[tuple[str, str]] = []
            if float(np.asarray(picture.convert("L"), np.float32).std()) < FLAT:
                refusals.append(("blank", "the picture is blank"))
            nearest, refusal = _nearest(picture, hashes)
            refusals += refusal
            faces = found[i + 1] if found is not None else None
            likeness, refusal = self._likeness(who, faces)
            refusals += refusal
            refusals += self._text_refusal(texts[i])
            verdicts.append(
                Verdict(texts[i], likeness, None if faces is None else len(faces), nearest, tuple(refusals))
            )
        return own, verdicts

    def _texts(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float | None]:
        told = [i for i, prompt in enumerate(prompts) if prompt]
        scores: list[float | None] = [None] * len(pictures)
        if self.text is not None and told:
            found = self.text.similarity([pictures[i] for i in told], [prompts[i] for i in told])
            for i, score in zip(told, found, strict=True):
                scores[i] = round(score, DIGITS)
        return scores

    def _text_refusal(self, score: float | None) -> list[tuple[str, str]]:
        if score is None or self.text is None:
            return []
        least = self.text.text_threshold if self.text_threshold is None else self.text_threshold
        return [("text", f"text similarity {score:.3f} < {least:g}")] if score < least else []

    def _reference(self, faces: list[Face] | None) -> Verdict:
        if faces is None:
            return Verdict()
        refusals = () if faces else (("no face", "no face was found in the reference"),)
        return Verdict(faces=len(faces), refusals=refusals)

    def _likeness(self, who: np.ndarray | None, faces: list[Face] | None) -> tuple[float | None, list[tuple[str, str]]]:
        if faces is None or self.face is None:
            return None, []
        if not faces:
            return None, [("no face", "no face was found")]
        refusals = []
        if len(faces) > 1 and not self.several_faces:
            refusals.append(("several faces", f"{len(faces)} faces were found"))
        if who is None:
            return None, [*refusals, ("no reference", "the reference shows no face to compare with")]
        score = round(max(float(who @ f.embedding) for f in faces), DIGITS)
        least = self.face.face_threshold if self.face_threshold is None else self.face_threshold
        if score < least:
            refusals.append(("face", f"face similarity {score:.3f} < {least:g}"))
        return score, refusals


def _nearest(picture: Image.Image, hashes: list[str]) -> tuple[float, list[tuple[str, str]]]:
    """Distance to the nearest of the earlier pictures, and a refusal where that is the same picture; notes its hash."""
    own = picture_hash(picture)
    distances = [hash_distance(own, h) for h in hashes]
    hashes.append(own)
    best = min(range(len(distances)), key=lambda i: distances[i])
    if distances[best] > NEAR:
        return distances[best], []
    which = f"picture {best - 1}" if best else "the reference"
    return distances[best], [("duplicate", f"nearly the same as {which} ({distances[best]:.1f} grey levels apart)")]
