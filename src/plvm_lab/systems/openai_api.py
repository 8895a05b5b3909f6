"""Any vision model behind an OpenAI-compatible endpoint: the GPT-4V row of the paper.

A concept is shown as its reference picture beside the question, told in words that the same model wrote about that
picture, or not introduced at all. Such a model gives words, no probabilities: P(Yes) is 1 or 0, a choice is a letter, as in
the paper ("Choose the letter corresponding to the correct answer"), and what is neither is unreadable, counted as wrong.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from plvm.data.wordings import PROTOCOL
from plvm.errors import RequestError
from plvm_lab.endpoint import Endpoint, Patience
from plvm_lab.evaluate.items import LETTERS
from plvm_lab.evaluate.parsing import yes_or_no
from plvm_lab.evaluate.system import Ask, System, Turn
from plvm_lab.systems.paid_answers import PaidAnswers, Price

DESCRIBE = "Describe this person's face in about {words} words, so that somebody else could recognize the person."
CHOOSE = "Choose the letter corresponding to the correct answer. Answer with the letter alone."
PART = dict[str, Any]  # one piece of a message: text or a picture


@dataclass(frozen=True, eq=False)
class Told:
    """What a prompt says of somebody: pieces of a message, and the bytes that have to be kept for them."""

    name: str
    parts: tuple[PART, ...]
    bytes: int


@dataclass(frozen=True)
class Access:
    """Who is asked, and how: the endpoint's address, the model's name, the longest answer. `body` is merged into every request,
    for models that want other parameters (null takes one away)."""

    url: str = ""
    model: str = ""
    max_tokens: int = 64
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Introduction:
    """How somebody is introduced: by `references` pictures, by a description of so many words, or not at all; `side` is the
    longest of every picture, in pixels."""

    reference: Literal["picture", "description", "none"] = "picture"
    references: int = 1
    words: int = 16
    side: int = 512


class OpenAI(System):
    """A model behind an endpoint. `key` goes to the endpoint alone; `keep` is the folder of the answers. Raises RequestError
    without an address and a model."""

    name = "openai"

    def __init__(
        self,
        *,
        access: Access = Access(),
        introduction: Introduction = Introduction(),
        patience: Patience = Patience(),  # noqa: B008
        price: Price = Price(),  # noqa: B008
        key: str = "",
        keep: Path | None = None,
    ) -> None:
        if not access.url or not access.model:
            raise RequestError(
                "The system openai needs an endpoint and a model.",
                "Add --set url=https://host/v1 --set model=NAME; the key is read from OPENAI_API_KEY.",
            )
        self.access, self.introduction, self.references = access, introduction, introduction.references
        self.endpoint = Endpoint(access.url, key, patience)
        self.answers = PaidAnswers(self.endpoint, keep if keep is not None else Path("build/openai"), price)

    @property
    def fingerprint(self) -> str:
        asked, shown = self.access, self.introduction
        said = [self.endpoint.url, asked.model, shown.reference, shown.references, shown.words, shown.side]
        said += [asked.max_tokens, json.dumps(dict(asked.body or {}), sort_keys=True)]
        return f"openai-{hashlib.sha256(repr(said).encode()).hexdigest()[:16]}"

    @property
    def facts(self) -> dict[str, Any]:
        shown = self.introduction
        return {
            "model": self.access.model, "reference": shown.reference, "references": shown.references, "side": shown.side,
            "dollars": round(self.answers.spent, 4),
        }  # fmt: skip

    def learn(self, name: str, *images: Image.Image) -> Told:
        if self.introduction.reference == "none":
            return Told(name, (), 0)
        if self.introduction.reference == "description":
            said = self._ask([[self._picture(images[0]), text(DESCRIBE.format(words=self.introduction.words))]])[0].strip()
            return Told(name, (text(f"<{name}> is this person: {said}"),), len(said.encode()))
        pictures = [self._picture(image) for image in images]
        size = sum(len(p["image_url"]["url"]) for p in pictures)
        photos = "This photo shows" if len(pictures) == 1 else "These photos show"
        return Told(name, (text(f"{photos} <{name}>:"), *pictures), size)

    def bytes_of(self, known: Told) -> int:
        return known.bytes

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[Told]) -> np.ndarray:
        asks = [Ask(i, PROTOCOL.format(x=f"<{c.name}>"), (c,)) for i in images for c in concepts]
        return self.verify(asks).reshape(len(images), len(concepts))

    def verify(self, asks: Sequence[Ask]) -> np.ndarray:
        said = [yes_or_no(answer) for answer in self.answer(asks)]
        return np.array([np.nan if s is None else float(s) for s in said])

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        """One for the letter that was said, zero for the others. The options are shown, in their order."""
        listed = ["\n".join(f"{LETTERS[i]}. {o}" for i, o in enumerate(ask.options)) for ask in asks]
        questions = [f"{CHOOSE}\n{ask.question}\n{options}" for ask, options in zip(asks, listed, strict=True)]
        said = self._ask([self._parts(ask, q) for ask, q in zip(asks, questions, strict=True)])
        return [one_hot(letter_of(s, len(a.options)), len(a.options)) for s, a in zip(said, asks, strict=True)]

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        return self._ask([self._parts(ask, ask.question) for ask in asks])

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        messages: list[dict[str, Any]] = []
        said: list[str] = []
        for number, turn in enumerate(turns):
            parts = [p for known in turn.joining for p in known.parts]
            parts += [*([text("The photo we talk about:"), self._picture(image)] if number == 0 else [])]
            messages.append({"role": "user", "content": [*parts, text(turn.question)]})
            said.append(self.answers.complete([self._request(messages)])[0])
            messages.append({"role": "assistant", "content": said[-1]})
        return said

    def _parts(self, ask: Ask, question: str) -> list[PART]:
        """Who is who, then the picture, then the question."""
        told = [part for known in ask.concepts for part in known.parts]
        shown = [] if ask.image is None else [text("The photo in question:"), self._picture(ask.image)]
        return [*told, *shown, text(question)]

    def _ask(self, contents: Sequence[Sequence[PART]]) -> list[str]:
        return self.answers.complete([self._request([{"role": "user", "content": list(c)}]) for c in contents])

    def _request(self, messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        own = self.access
        whole = {"model": own.model, "messages": list(messages), "temperature": 0, "max_tokens": own.max_tokens}
        return {k: v for k, v in (whole | dict(own.body or {})).items() if v is not None}

    def _picture(self, image: Image.Image) -> PART:
        """A picture of at most `side` pixels a side, as a data URI: nothing has to be fetched from anywhere."""
        small = image.convert("RGB")
        side = self.introduction.side
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        small.save(file, "JPEG", quality=90)
        url = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
        return {"type": "image_url", "image_url": {"url": url}}


def text(words: str) -> PART:
    """A piece of text of a message."""
    return {"type": "text", "text": words}


def letter_of(answer: str, options: int) -> int | None:
    """The option that an answer names by its letter: alone, or at the beginning as in "B. ..", "(B)", "The answer is B." """
    words = r"(?:the )?(?:correct )?answer(?: is)?"
    found = re.match(rf"\W*(?:(?i:{words})\W+)?([{LETTERS[:options]}])\b(?:\W*$|[.):,*]|\n)", answer.strip())
    return None if found is None else LETTERS.index(found[1])


def one_hot(index: int | None, count: int) -> np.ndarray:
    """float[count]; NaN everywhere where there is no index."""
    if index is None:
        return np.full(count, np.nan)
    return np.eye(count)[index]
