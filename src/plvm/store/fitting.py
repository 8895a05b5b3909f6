"""Whether concepts from elsewhere can be what their Aligner makes: tokens like those of its other concepts.

An Aligner gives all its concepts the same shapes, and rows of much the same length; a row far longer than the others would
drown every other word of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from plvm.errors import StoreError
from plvm.types import Concept, ConceptTokens

MAX_VALUE = 65_504.0  # the largest number of float16, in which backbones compute
MAX_RATIO = 30.0  # of a row's length to the usual one of its Aligner
KEY_LENGTH = 1.0
_TOLERANCE = 0.05
_PARTS = ("word", "head", "context", "key")


def check_fitting(new: Sequence[Concept], kept: Sequence[Concept]) -> None:
    """Raise StoreError for the first of `new` whose tokens are not such as its Aligner makes, by what it is known to have made:
    the others of `new`, and those of `kept`."""
    for aligner in dict.fromkeys(concept.aligner for concept in new):
        made = [concept for concept in kept if concept.aligner == aligner]
        own = [concept for concept in new if concept.aligner == aligner]
        peers = [*made, *own]
        usual = _shapes(peers[0].tokens)
        lengths = [_longest(concept.tokens) for concept in peers]
        limits = {part: MAX_RATIO * median(length[part] for length in lengths) for part in _PARTS}
        for concept, length in zip(own, lengths[len(made) :], strict=True):
            if (reason := _flaw(concept.tokens, usual, length, limits)) is not None:
                raise StoreError(
                    f"The tokens of <{concept.name}> are not what its Aligner ({aligner[:12]}) makes: {reason}. "
                    "Nothing was changed.",
                    "Export it again where it came from, or enrol it from its picture: `plvm add NAME PICTURE`.",
                )


def _shapes(tokens: ConceptTokens) -> dict[str, tuple[int, ...]]:
    return {part: tuple(getattr(tokens, part).shape) for part in _PARTS}


def _longest(tokens: ConceptTokens) -> dict[str, float]:
    """The length of the longest row of each part."""
    return {part: float(getattr(tokens, part).norm(dim=-1).max()) for part in _PARTS}


def _flaw(
    tokens: ConceptTokens, usual: dict[str, tuple[int, ...]], length: dict[str, float], limits: dict[str, float]
) -> str | None:
    shapes = _shapes(tokens)
    for part in _PARTS:
        if shapes[part] != usual[part]:
            return f"{part} has the shape {list(shapes[part])}, others have {list(usual[part])}"
        if float(getattr(tokens, part).abs().max()) > MAX_VALUE:
            return f"{part} holds numbers over {MAX_VALUE:,.0f}"
        if length[part] > limits[part] > 0:
            return f"{part} is {length[part]:.3g} long, over {MAX_RATIO:.0f} times the usual length"
    if abs(length["key"] - KEY_LENGTH) > _TOLERANCE:
        return f"key is {length['key']:.3g} long, not {KEY_LENGTH:.0f}"
    return None
