"""Fitting a calibration: people with their keys, and pictures of which it is known who is in them.

The reader is fitted on one half of the people, the evidence and its thresholds on the other half, in pictures of theirs alone.
Where the family has the reader, the first half's pictures show nobody who is enrolled. Of a family whose keys do not judge,
evidence is the model's P(Yes) alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from plvm.engine.engine import Engine
from plvm.errors import RequestError
from plvm.images import Source, open_image
from plvm.model.backbone_family import ImageTokens
from plvm.presence.calibration import Calibration
from plvm.presence.key_reader import Reader, fit_reader, near
from plvm.presence.roll import Likenesses, candidates, likenesses
from plvm.presence.verdicts import RARE, Sightings, Verdicts, Weighed, fit_thresholds, fit_weights
from plvm.types import Concept

OTHERS = 8  # people asked about in a picture who are not among the likest: they stand for all those
LEAST = 20  # pictures of either half
SPACE = "calibration"  # the namespace of prefixes


@dataclass(frozen=True, eq=False)
class Labelled:
    """A picture, opened when it is needed, and the names of those in it who are enrolled."""

    open: Callable[[], Source]
    present: tuple[str, ...]


Report = Callable[[str, int, int], None]  # (what, done, of)
Look = tuple[Sightings, Likenesses, list[int]]  # what is seen of a picture, how alike all are, and who was asked about


def fit_verdicts(
    engine: Engine, people: Sequence[Concept], pictures: Sequence[Labelled],
    *, rare: float = RARE, seed: int = 0, report: Report | None = None,
) -> Calibration:  # fmt: skip
    """The calibration that `people` and `pictures` give; with few people at most the share `rare` of strangers gets a yes. Raises
    RequestError where there are too few, ImageError.

    Pictures of nobody among `people` serve the thresholds; those in which both halves of the people meet serve nothing.
    """
    engine.check(people)
    tell = report if report is not None else (lambda *_: None)
    readers, judges = halves(people, pictures)
    for_reader = [p for p in pictures if p.present and set(p.present) <= readers]
    for_judging = [p for p in pictures if set(p.present) <= judges]
    if min(len(for_reader), sum(bool(p.present) for p in for_judging)) < LEAST:
        raise RequestError(
            f"{len(pictures)} pictures of {len(people)} people are too few to calibrate on.",
            f"Each half of the people needs {LEAST} pictures of its own; make a dataset with more identities.",
        )
    weight = engine.backbone.family.key_weight()
    reader = Reader.known(weight) if weight is not None else _fitted(engine, for_reader, people, tell)
    read = Calibration(Verdicts(), reader, "")
    crowd = [c for c in people if c.name in judges]
    rng = random.Random(f"plvm-verdicts/{seed}")
    nobodys = [replace(p, present=()) for p in for_reader] if weight is not None else []
    looks = []
    for i, picture in enumerate((*for_judging, *nobodys)):
        looks.append(_look(engine, read, picture, crowd, rng))
        tell("pictures judged", i + 1, len(for_judging) + len(nobodys))
    seen, lonely = looks[: len(for_judging)], looks[len(for_judging) :]
    every = _joined(s for s, _, _ in seen)
    if not engine.backbone.family.keys_judge:
        every = replace(every, likeness=torch.zeros_like(every.likeness))
    verdicts = fit_weights(every)
    there = torch.cat([verdicts.evidence(s.chances, s.likeness)[s.present] for s, _, _ in seen])
    alone = _strangers(verdicts, lonely) if lonely else None
    verdicts = fit_thresholds(verdicts, there, _strangers(verdicts, seen), len(crowd), len(for_judging), alone=alone, rare=rare)
    return Calibration(verdicts, read.reader, "")


def _fitted(engine: Engine, pictures: Sequence[Labelled], people: Sequence[Concept], tell: Report) -> Reader:
    """A reader fitted on pictures of people."""
    keys = {c.name: c.tokens.key.float() for c in people}
    tokens, shown = [], []
    for i, picture in enumerate(pictures):
        tokens.append(_tokens_of(engine, picture.open()).rows.float().cpu())
        shown += [(i, keys[name]) for name in picture.present]
        tell("pictures read", i + 1, len(pictures))
    return fit_reader(tokens, shown)


def _tokens_of(engine: Engine, image: Source) -> ImageTokens:
    with torch.inference_mode():
        return engine.backbone.image_tokens(engine.backbone.pixels([open_image(image)]))[0]


def halves(people: Sequence[Concept], pictures: Sequence[Labelled]) -> tuple[set[str], set[str]]:
    """The names of two halves of the people; those who are pictured together stand next to each other in the order, so that
    few pictures show people of both."""
    order = dict.fromkeys(name for picture in pictures for name in picture.present)
    names = [*order, *(c.name for c in people if c.name not in order)]
    middle = (len(order) + 1) // 2
    return set(names[:middle]), set(names[middle:])


def _look(
    engine: Engine, read: Calibration, picture: Labelled, crowd: Sequence[Concept], rng: random.Random
) -> Look:
    """What is seen of one picture: those who are there, the likest, and a few others who stand for the rest."""
    (image,) = engine.look([picture.open()], namespace=SPACE)
    alike = likenesses(engine, read, image, crowd)
    assert alike is not None
    present = {i for i, c in enumerate(crowd) if c.name in picture.present}
    likest = set(candidates(alike, len(crowd)))
    rest = [i for i in range(len(crowd)) if i not in likest and i not in present]
    others = rng.sample(rest, min(OTHERS, len(rest)))
    asked = [*sorted(present | likest), *others]
    chances = engine.recognize([image], [crowd[i] for i in asked], None, namespace=SPACE)[0]
    weight = len(rest) / len(others) if others else 1.0
    weights = [1.0] * (len(asked) - len(others)) + [weight] * len(others)
    there = torch.tensor([i in present for i in asked])
    return Sightings(torch.tensor(chances), alike.best[asked], there, torch.tensor(weights)), alike, asked


def _joined(seen: Iterable[Sightings]) -> Sightings:
    rows = list(seen)
    return Sightings(*(torch.cat([getattr(s, f) for s in rows]) for f in ("chances", "likeness", "present", "weights")))


def _strangers(verdicts: Verdicts, seen: Sequence[Look]) -> Weighed:
    """The evidence that those have who are not in a picture, and their weights. Who is beaten at their place by somebody who is
    there gets no name, and counts as the least."""
    evidence, weights = [], []
    for s, alike, asked in seen:
        own = verdicts.evidence(s.chances, s.likeness)
        close = near(alike.places[asked].tolist(), alike.side)
        beaten = (close & s.present[None] & (own[None] > own[:, None])).any(1)
        evidence.append(own.masked_fill(beaten, -1e3)[~s.present])
        weights.append(s.weights[~s.present])
    return torch.cat(evidence), torch.cat(weights)
