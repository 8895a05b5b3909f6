"""The frozen backbone alone, without anything that was learned about a person.

    Llava             no prompt about the concept: its name is a word like any other
    LlavaPrompt       its own description of the reference stands before the question, cut at a comma to `tokens` tokens:
                      16 as in the papers, as many as PLVM has context tokens
    LlavaPromptTrue   the truth in words, all of it or cut to `tokens`: what a perfect describer could tell (drawn portraits
                      only)

Names: with `names="rows"` the name is a word of the concept vocabulary, its rows the Aligner's - generous, since the
mini backbone was pretrained on such names; with `names="plain"` everything is ordinary text and nothing of the Aligner is
used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from PIL import Image

from plvm.engine.prefix import digest_of
from plvm.errors import RequestError
from plvm.personal import Personal
from plvm.types import Concept
from plvm_lab.evaluate.benchmark_scenes import CHANGES, BenchmarkScenes
from plvm_lab.evaluate.portraits_benchmark import Benchmark
from plvm_lab.evaluate.suite import Pictures
from plvm_lab.evaluate.system import Ask, Turn
from plvm_lab.portraits.person import SLOTS
from plvm_lab.portraits.phrases import describe
from plvm_lab.systems.plain_names import PlainNames, marked, nameless, with_prompt
from plvm_lab.systems.plvm import SPACE, Learned, Plvm

DESCRIBE = "Describe this person."
Names = Literal["rows", "plain"]
WHOLE = 8 * len(SLOTS)  # tokens in which the truth about anybody fits
ALIGNER = ("architecture", "aligner", "encoder")  # facts about parts that a system with plain names does not use


class FrozenBackbone(Plvm):
    """The frozen backbone and a way to write names: as rows of the Aligner, or plainly."""

    name = "frozen"

    def __init__(self, vlm: Personal, *, names: Names, writer: type[PlainNames] = PlainNames) -> None:
        super().__init__(with_prompt(vlm, writer) if names == "plain" else vlm)
        self.names = names

    @property
    def fingerprint(self) -> str:
        return f"{self.name}-{super().fingerprint}-{self.names}"

    @property
    def facts(self) -> dict[str, Any]:
        facts = super().facts | {"names": self.names}
        return facts if self.names == "rows" else {k: v for k, v in facts.items() if k not in ALIGNER}

    def named(self, name: str, images: Sequence[Image.Image]) -> Concept:
        """The concept as far as its name goes: with the Aligner's rows, or as a plain word."""
        return super().learn(name, *images).concept if self.names == "rows" else nameless(name, self.vlm.backbone)

    def bytes_of(self, known: Learned) -> int:
        return super().bytes_of(known) if self.names == "rows" else len((known.description or "").encode())

    def answer(self, asks: Sequence[Ask]) -> list[str]:
        said = super().answer(asks)
        if self.names == "rows":
            return said
        return [marked(t, [k.concept.name for k in ask.concepts]) for t, ask in zip(said, asks, strict=True)]

    def converse(self, image: Image.Image, turns: Sequence[Turn]) -> list[str]:
        said = super().converse(image, turns)
        if self.names == "rows":
            return said
        known = [k.concept.name for turn in turns for k in turn.joining]
        return [marked(t, known) for t in said]


class Llava(FrozenBackbone):
    """The backbone as it is: it is told nothing about the reference."""

    name = "llava"

    def __init__(self, vlm: Personal, *, writer: type[PlainNames] = PlainNames) -> None:
        super().__init__(vlm, names="plain", writer=writer)

    def learn(self, name: str, *images: Image.Image) -> Learned:
        return Learned(self.named(name, images), "")


class LlavaPrompt(FrozenBackbone):
    """The backbone with its own words about the reference. `tokens` is their length by the backbone's own tokenizer."""

    name = "llava-prompt"

    def __init__(self, vlm: Personal, *, tokens: int = 16, names: Names = "rows") -> None:
        super().__init__(vlm, names=names)
        self.tokens = tokens

    @property
    def fingerprint(self) -> str:
        return f"{super().fingerprint}-{self.tokens}"

    @property
    def facts(self) -> dict[str, Any]:
        return super().facts | {"tokens": self.tokens}

    def learn(self, name: str, *images: Image.Image) -> Learned:
        return Learned(self.named(name, images), self.describe(images[0]))

    def describe(self, image: Image.Image) -> str:
        """The backbone's own words about a reference picture."""
        params = replace(self.params, max_tokens=max(self.params.max_tokens, 2 * self.tokens))
        text = self.vlm.ask_many([(image, DESCRIBE, ())], params, namespace=SPACE)[0].text
        return self.cut(text.removeprefix("This is ").rstrip(". "))

    def cut(self, text: str) -> str:
        """The longest beginning of `text` that ends before a comma, or else before a blank, and has at most `tokens`
        tokens; one word at least."""
        for between in (", ", " "):
            pieces = text.split(between)
            while len(pieces) > 1 and not self._fits(between.join(pieces)):
                pieces.pop()
            text = between.join(pieces)
        return text

    def _fits(self, text: str) -> bool:
        return len(self.vlm.prompt.text(" " + text)) <= self.tokens


class LlavaPromptTrue(LlavaPrompt):
    """The backbone with the truth in words: every trait (`WHOLE` tokens hold them all), or the first that fit in `tokens`
    tokens. `truth` maps the digest of a reference picture to its description (`truth_of`); by default the benchmark's own
    is taken."""

    name = "llava-prompt-true"

    def __init__(
        self, vlm: Personal, truth: Mapping[str, str] | None = None, *, tokens: int = WHOLE, names: Names = "rows"
    ) -> None:
        super().__init__(vlm, tokens=tokens, names=names)
        self.truth = truth

    def prepare(self, album: Pictures) -> None:
        bench = album.benchmark
        if self.truth is None and isinstance(bench, Benchmark):
            other = bench.validation
            self.truth = truth_of(bench, album) | (truth_of(other, other.album()) if other is not None else {})

    def describe(self, image: Image.Image) -> str:
        known = (self.truth or {}).get(digest_of(image))
        if known is None:
            raise RequestError(
                f"{self.name} is told the truth about the people of the portraits benchmark, and of this picture there "
                "is none.",
                "Measure another system, for example llava-prompt.",
            )
        return self.cut(known)


def truth_of(bench: BenchmarkScenes, album: Pictures) -> dict[str, str]:
    """The digest of every reference picture of a benchmark, look-alikes too -> who it shows, in words."""
    people = dict(zip(bench.names, bench.people, strict=True))
    for name, alike in zip(bench.names, bench.lookalikes, strict=True):
        people |= {f"{name}~{k}": p for k, p in zip(CHANGES, alike, strict=True)}
    return {digest_of(album.reference(key)): describe(person, SLOTS) for key, person in people.items()}
