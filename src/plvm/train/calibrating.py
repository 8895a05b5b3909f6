"""The verdicts of a trained Aligner from a dataset: its validation people, enrolled, and their pictures."""

from __future__ import annotations

from functools import partial

from plvm.data.dataset import Dataset, Split
from plvm.data.shards import REFERENCE
from plvm.personal import Personal
from plvm.presence.calibration import Calibration
from plvm.presence.fit_verdicts import Labelled, Report, fit_verdicts
from plvm.presence.verdicts import RARE
from plvm.types import Concept

AT_ONCE = 32  # references in memory together


def calibration_of(
    vlm: Personal, dataset: Dataset, split: Split, *, rare: float = RARE, report: Report | None = None
) -> Calibration:
    """The calibration that the people and pictures of a split give; `rare` as in `fit_verdicts`. Raises RequestError where they
    are too few.

    The people get names of their own; in a dataset they are called by keys.
    """
    names = {key: f"p{i}" for i, key in enumerate(split.people)}
    people: list[Concept] = []
    for start in range(0, len(split.people), AT_ONCE):
        some = split.people[start : start + AT_ONCE]
        tokens = vlm.tokens_of([[dataset.image(f"{key}-{REFERENCE}")] for key in some])
        people += [Concept(names[key], t, vlm.fingerprint) for key, t in zip(some, tokens, strict=True)]
        if report is not None:
            report("people enrolled", len(people), len(split.people))
    pictures = [
        Labelled(partial(dataset.image, key), tuple(names[person] for person in present))
        for key, present in split.pictures
    ]
    return fit_verdicts(vlm.engine, people, pictures, rare=rare, report=report)
