"""Calling the roll: everyone who is enrolled, one picture, and a verdict about each.

The likeliest by key are asked about, each alone in its prompt; evidence decides, and one place in a picture can be only one
person: who has the most evidence there wins it. Where somebody is, the model says itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from plvm.engine.engine import Engine
from plvm.images import Source, open_image
from plvm.presence.calibration import Calibration
from plvm.presence.key_reader import near
from plvm.presence.verdicts import ASKED, NO, YES
from plvm.types import Concept, SamplingParams

WHERE = "Where is {name}?"
ANSWER = 24  # tokens of the longest answer about a place


@dataclass(frozen=True)
class Presence:
    """Whether somebody is in a picture: `verdict` is "yes", "no" or "unsure"; `probability` is P(Yes), None for who was not asked
    about, being unlike the picture; `evidence` is in log-odds; `place` is what the model says of where they are."""

    name: str
    verdict: str = NO
    probability: float | None = None
    evidence: float = float("-inf")
    place: str = ""


@dataclass(frozen=True, eq=False)
class Likenesses:
    """How alike N concepts are to a picture at best, float32[N], and at which token of its `tokens`, int64[N]."""

    best: Tensor
    places: Tensor
    tokens: int


def tokens_of(engine: Engine, image: Source) -> Tensor:
    """The picture's tokens [P, D] as the backbone has them. Raises ImageError."""
    with torch.inference_mode():
        (tokens,) = engine.backbone.image_tokens(engine.backbone.pixels([open_image(image)]))
    return tokens.rows.float().cpu()


def likenesses(engine: Engine, calibration: Calibration, image: Source, concepts: Sequence[Concept]) -> Likenesses | None:
    """How alike everyone is to the picture, by their keys; None where the calibration has no reader."""
    if calibration.reader is None or not concepts:
        return None
    tokens = tokens_of(engine, image)
    found = calibration.reader.likeness(tokens, torch.stack([c.tokens.key for c in concepts])).max(0)
    return Likenesses(found.values, found.indices, len(tokens))


def candidates(alike: Likenesses | None, count: int, most: int = ASKED) -> list[int]:
    """The `most` of `count` concepts that are most alike, best first; all where nothing is known of it."""
    return list(range(count)) if alike is None else alike.best.argsort(descending=True)[:most].tolist()


def call_roll(
    engine: Engine, calibration: Calibration, image: Source, concepts: Sequence[Concept],
    *, namespace: str = "default", chances: Sequence[float] | None = None,
) -> list[Presence]:  # fmt: skip
    """A verdict about everyone, in order, without places. `chances` are P(Yes) of all, where they are known already.

    Raises ImageError, AlignerMismatchError, DuplicateConceptError."""
    engine.check(concepts)
    alike = likenesses(engine, calibration, image, concepts)
    asked = candidates(alike, len(concepts))
    if chances is None:
        some = engine.recognize([image], [concepts[i] for i in asked], None, namespace=namespace)[0]
        known = dict(zip(asked, some, strict=True))
    else:
        known = dict(enumerate(chances))
    likeness = torch.zeros(len(asked)) if alike is None else alike.best[asked]
    evidence = calibration.verdicts.evidence(torch.tensor([known[i] for i in asked]), likeness).tolist()
    standing = set(range(len(asked))) if alike is None else winners(evidence, alike.places[asked].tolist(), alike.tokens)
    found = [Presence(c.name, probability=known.get(i)) for i, c in enumerate(concepts)]
    for row, i in enumerate(asked):
        verdict = calibration.verdicts.verdict(evidence[row], len(concepts)) if row in standing else NO
        found[i] = replace(found[i], verdict=verdict, evidence=evidence[row])
    return found


def winners(evidence: Sequence[float], places: Sequence[int], tokens: int) -> set[int]:
    """Who has the most evidence at their place: nobody near them who has more is a winner too."""
    close = near(places, tokens)
    won: list[int] = []
    for i in sorted(range(len(evidence)), key=lambda i: -evidence[i]):
        if not any(close[i, j] for j in won):
            won.append(i)
    return set(won)


def with_places(
    engine: Engine, image: Source, concepts: Sequence[Concept], found: Sequence[Presence], *, namespace: str = "default"
) -> list[Presence]:
    """Those who are not a no, surest first, yes before unsure, each with what the model says of where they are."""
    known = {c.name: c for c in concepts}
    there = sorted((p for p in found if p.verdict != NO), key=lambda p: (p.verdict != YES, -p.evidence))
    asked = [(image, WHERE.replace("{name}", f"<{p.name}>"), (known[p.name],)) for p in there]
    requests = engine.requests(asked, strict_names=True, namespace=namespace)
    answers = engine.answer(requests, SamplingParams(max_tokens=ANSWER))
    return [replace(p, place=answer.shown([known[p.name]])) for p, answer in zip(there, answers, strict=True)]
