"""Calling the roll: everyone who is enrolled, one picture, and a verdict about each.

The likeliest by key are asked about, each alone in its prompt; evidence decides, and one place in a picture can be only one
person: who the model says is there, if it can be asked with the rivals in its prompt, or else who has the most evidence wins it.
Where somebody is, the model says itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from plvm.engine.engine import Engine
from plvm.engine.prefix import ImagePrefix
from plvm.engine.score import choose
from plvm.presence.calibration import Calibration
from plvm.presence.key_reader import near, side_of
from plvm.presence.verdicts import ASKED, NO, YES
from plvm.types import Concept, SamplingParams

WHERE = "Where is {name}?"
ANSWER = 24  # tokens of the longest answer about a place
RIVALS = 4  # in one prompt: as many as `photo` was taught with


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
    """How alike N concepts are to a picture at best, float32[N], and at which of its tokens, int64[N], which lie in a square of
    `side`, 0 where they do not; `asks`: the questions who is there, as `ImageTokens` has them."""

    best: Tensor
    places: Tensor
    side: int
    asks: tuple[str, ...] = ()


def likenesses(engine: Engine, calibration: Calibration, picture: ImagePrefix, concepts: Sequence[Concept]) -> Likenesses | None:
    """How alike everyone is to the picture, by their keys; None where the calibration has no reader."""
    tokens = picture.seen
    if calibration.reader is None or tokens is None or not concepts:
        return None
    found = calibration.reader.likeness(tokens.rows, torch.stack([c.tokens.key for c in concepts])).max(0)
    side = side_of(len(tokens.rows)) if engine.backbone.family.grid else 0
    return Likenesses(found.values, found.indices, side, tokens.asks)


def candidates(alike: Likenesses | None, count: int, most: int = ASKED) -> list[int]:
    """The `most` of `count` concepts that are most alike, best first; all where nothing is known of it."""
    return list(range(count)) if alike is None else alike.best.argsort(descending=True)[:most].tolist()


def call_roll(
    engine: Engine, calibration: Calibration, picture: ImagePrefix, concepts: Sequence[Concept],
    *, namespace: str = "default", chances: Sequence[float] | None = None,
) -> list[Presence]:  # fmt: skip
    """A verdict about everyone, in order, without places. `chances` are P(Yes) of all, where they are known already.

    Raises AlignerMismatchError, DuplicateConceptError."""
    engine.check(concepts)
    alike = likenesses(engine, calibration, picture, concepts)
    asked = candidates(alike, len(concepts))
    some = [concepts[i] for i in asked]
    if chances is None:
        known = dict(zip(asked, engine.recognize([picture], some, None, namespace=namespace)[0], strict=True))
    else:
        known = dict(enumerate(chances))
    likeness = torch.zeros(len(asked)) if alike is None else alike.best[asked]
    evidence = calibration.verdicts.evidence(torch.tensor([known[i] for i in asked]), likeness).tolist()
    standing = set(range(len(asked)))
    if alike is not None:
        places, least = alike.places[asked].tolist(), calibration.verdicts.thresholds(len(concepts))[1]
        rivals = {place: rows for place, rows in contested(evidence, places, least).items() if place < len(alike.asks)}
        said = {rows[named(engine, picture, alike.asks[p], [some[r] for r in rows], namespace)] for p, rows in rivals.items()}
        standing = winners(evidence, places, alike.side, said)
    found = [Presence(c.name, probability=known.get(i)) for i, c in enumerate(concepts)]
    for row, i in enumerate(asked):
        verdict = calibration.verdicts.verdict(evidence[row], len(concepts)) if row in standing else NO
        found[i] = replace(found[i], verdict=verdict, evidence=evidence[row])
    return found


def contested(evidence: Sequence[float], places: Sequence[int], least: float) -> dict[int, list[int]]:
    """The places at which several have `least` evidence or more, and those who have most of it there, RIVALS at most."""
    found: dict[int, list[int]] = {}
    for i in sorted(range(len(evidence)), key=lambda i: -evidence[i]):
        if evidence[i] >= least:
            found.setdefault(places[i], []).append(i)
    return {place: rows[:RIVALS] for place, rows in found.items() if len(rows) > 1}


def named(engine: Engine, picture: ImagePrefix, question: str, rivals: Sequence[Concept], namespace: str) -> int:
    """The number of the one among `rivals`, all of whom are in the prompt, whom the model likeliest answers `question` with."""
    (request,) = engine.requests([(picture, question, rivals)], strict_names=True, namespace=namespace)
    answers = [engine.backbone.family.names.replace("{name}", f"<{c.name}>") for c in rivals]
    return int(choose(engine.backbone, engine.prompt, request, answers).argmax())


def winners(evidence: Sequence[float], places: Sequence[int], side: int, said: Collection[int] = ()) -> set[int]:
    """Who has the most evidence at their place, or is the one who is `said` to be there: nobody near them is a winner too."""
    close = near(places, side)
    won: list[int] = []
    for i in sorted(range(len(evidence)), key=lambda i: (i not in said, -evidence[i])):
        if not any(close[i, j] for j in won):
            won.append(i)
    return set(won)


def with_places(
    engine: Engine, pictures: Sequence[ImagePrefix], concepts: Sequence[Concept], found: Sequence[Sequence[Presence]],
    *, namespace: str = "default",
) -> list[list[Presence]]:  # fmt: skip
    """Of each picture those who are not a no, surest first, yes before unsure, each with what the model says of where that is."""
    known = {c.name: c for c in concepts}
    there = [sorted((p for p in own if p.verdict != NO), key=lambda p: (p.verdict != YES, -p.evidence)) for own in found]
    asked = [
        (picture, WHERE.replace("{name}", f"<{p.name}>"), (known[p.name],))
        for picture, own in zip(pictures, there, strict=True)
        for p in own
    ]
    requests = engine.requests(asked, strict_names=True, namespace=namespace)
    answers = iter(engine.answer(requests, SamplingParams(max_tokens=ANSWER)))
    return [[replace(p, place=next(answers).shown([known[p.name]])) for p in own] for own in there]
