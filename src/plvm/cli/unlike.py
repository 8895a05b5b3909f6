"""What the verbs say of pictures that are unlike the training: one line on stderr, a number in the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from plvm.cli.console import say

if TYPE_CHECKING:
    from plvm.personal import Personal


def warn(vlm: Personal, scores: Mapping[str, float | None]) -> None:
    """Say which pictures, {file: how unlike the training}, are beyond the limit."""
    if vlm.familiarity is not None and (text := vlm.familiarity.warning(scores)):
        say(text)


def farthest(scores: Sequence[float]) -> float | None:
    """The highest of some pictures' scores, None of none."""
    return max(scores, default=None)


def rounded(score: float | None) -> float | None:
    """A score for machines."""
    return None if score is None else round(score, 3)
