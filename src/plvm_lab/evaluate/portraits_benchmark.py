"""The portraits benchmark: its people and scenes (`benchmark_scenes.py`) with everything that is asked about them. The
multiple-choice questions are made in `multiple_choice.py`, those with several names at stake in `multi_concept.py`; the
pixels are in `drawings.py`. A pure function of (split, seed, size)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from plvm_lab.evaluate import multi_concept, multiple_choice
from plvm_lab.evaluate.benchmark_scenes import SMALL, VALIDATION, VERSION, BenchmarkScenes, Size
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.items import Caption, Choice, Pair, Script, Who
from plvm_lab.evaluate.protocols import FACE_PARTS, PARTS
from plvm_lab.portraits.questions import VISUAL_KINDS

__all__ = ["SMALL", "VALIDATION", "VERSION", "Benchmark", "Size", "portraits"]


@dataclass(frozen=True)
class Benchmark(BenchmarkScenes):
    """The people and scenes of one split, and the questions about them, made when they are first asked for."""

    visual_kinds: tuple[str, ...] = VISUAL_KINDS

    @property
    def key(self) -> str:
        """What tells this benchmark from others: "portraits/1/test/0"; other kinds of visual questions stand in it."""
        return super().key + ("" if self.visual_kinds == VISUAL_KINDS else f"/{'+'.join(self.visual_kinds)}")

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts of the suite that it has items for; "validation" where there is another split to choose a threshold
        on."""
        without = {"recognition_several", *FACE_PARTS} | ({"validation"} if self.validation is None else set())
        return tuple(part for part in PARTS if part not in without)

    @cached_property
    def validation(self) -> Benchmark | None:
        """A small benchmark of other identities, to choose thresholds on; None for one that is validation itself."""
        return portraits("val", self.seed, VALIDATION) if self.split == "test" else None

    def album(self, folder: Path | None = None) -> Drawings:
        """Its pictures, drawn when asked for and kept in `folder`."""
        return Drawings(self, folder)

    @cached_property
    def text_qa(self) -> tuple[Choice, ...]:
        """Multiple choice about traits, without a picture."""
        return multiple_choice.text_questions(self)

    @cached_property
    def visual_qa(self) -> tuple[Choice, ...]:
        """Multiple choice about how an identity looks in a picture."""
        return multiple_choice.visual_questions(self)

    @cached_property
    def held_out_text(self) -> tuple[tuple[Choice, Choice], ...]:
        """Questions about traits, each in a trained wording and in one that no training has seen."""
        return multiple_choice.reworded_text(self)

    @cached_property
    def held_out_visual(self) -> tuple[tuple[Choice, Choice], ...]:
        """Questions about looks, each in a trained wording and in one that no training has seen."""
        return multiple_choice.reworded_visual(self)

    @cached_property
    def held_out_pairs(self) -> tuple[tuple[Pair, Pair], ...]:
        """Recognition questions, each in the protocol's wording and in one that no training has seen."""
        return multi_concept.reworded_pairs(self)

    @cached_property
    def lookalike_pairs(self) -> tuple[Pair, ...]:
        """Recognition questions about identities and their look-alikes, on the pictures of the identities."""
        return multi_concept.lookalike_pairs(self)

    @cached_property
    def triples(self) -> tuple[Pair, ...]:
        """`size.triples` recognition questions with three concepts in the prompt."""
        return multi_concept.pairs_among(self, "triples", 3, self.size.triples)

    def pairs_among(self, concepts: int) -> tuple[Pair, ...]:
        """A third as many recognition questions as `triples`, with this many concepts in the prompt."""
        return multi_concept.pairs_among(self, f"crowd-{concepts}", concepts, self.size.triples // 3)

    def choices_among(self, concepts: int) -> tuple[Choice, ...]:
        """A third of the visual questions, with this many concepts in the prompt."""
        return multi_concept.choices_among(self, concepts)

    @cached_property
    def captions(self) -> tuple[Caption, ...]:
        """Every picture with a question whose answer should say the names that the prompt and the picture share."""
        return multi_concept.captions(self)

    def who(self, concepts: int) -> tuple[Who, ...]:
        """The WHO questions with this many concepts in the prompt."""
        return multi_concept.who_questions(self, concepts)

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        """`size.dialogues` dialogues in four turns, in which a second concept may join late."""
        return multi_concept.scripts(self)

    def with_visual_kinds(self, *kinds: str) -> Benchmark:
        """The same people and scenes, asked about how they look by other kinds of questions (registered in
        `portraits.questions`)."""
        return replace(self, visual_kinds=kinds)


def portraits(split: str = "test", seed: int = 0, size: Size | None = None) -> Benchmark:
    """The portraits benchmark of a split ("test" or "val"); seed 0 of "test" in full size is the published one. Draws no
    pixels. Raises RequestError for another split."""
    return Benchmark.drawn(split, seed, size if size is not None else Size())
