"""Yes, no or unsure, from the evidence that somebody is in a picture and the number of those who were looked for.

Evidence is a number in log-odds: of P(Yes), and of how alike the picture reads to the concept's key. With N people enrolled, N
strangers can be taken for somebody; so the evidence that a yes needs grows with N, and a picture's false names do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

YES, NO, UNSURE = "yes", "no", "unsure"
ASKED = 24  # so many are asked about, those whose keys are likest; of fewer, all
COUNTS = (1, 3, 10, 30, 100, 300, 1000)  # numbers of people for which thresholds are kept
FALSE_NAMES = 0.4  # a picture, expected of those who get a yes
FALSE_DOUBTS = 1.0  # likewise, of those who get at least unsure
MISSED = 5.0  # somebody who gets no yes weighs as much as so many strangers who get one
OVERLOOKED = 20.0  # likewise, not even unsure
RARE = 0.01  # with few people: the share of strangers who may get a yes
RARELY = 4  # times as many may get at least unsure
MOST = 1 - 1e-6  # P(Yes) is no surer than this


@dataclass(frozen=True)
class Verdicts:
    """evidence = offset + odds * logit P(Yes) + likeness * (how alike the key reads, in [-1, 1]).

    With counts[i] people enrolled a yes needs yes[i], unsure needs unsure[i]; between and beyond them, log-linearly. `people`
    and `pictures` say on how many that was fitted; 0: it was not, and only P(Yes) counts.
    """

    offset: float = 0.0
    odds: float = 1.0
    likeness: float = 0.0
    counts: tuple[int, ...] = (1, 1000)
    yes: tuple[float, ...] = (0.0, math.log(1000))
    unsure: tuple[float, ...] = (-1.0, math.log(1000) - 1)
    people: int = 0
    pictures: int = 0

    @property
    def calibrated(self) -> bool:
        """Whether it was fitted on people and pictures."""
        return self.pictures > 0

    def evidence(self, chances: Tensor, likeness: Tensor) -> Tensor:
        """The evidence of P(Yes) and likeness, of the same shape."""
        odds = torch.logit(chances.double(), eps=1 - MOST)
        return self.offset + self.odds * odds + self.likeness * likeness.double()

    def thresholds(self, enrolled: int) -> tuple[float, float]:
        """(what a yes needs, what unsure needs) with so many people enrolled."""
        return _between(enrolled, self.counts, self.yes), _between(enrolled, self.counts, self.unsure)

    def verdict(self, evidence: float, enrolled: int) -> str:
        """ "yes", "no" or "unsure" about one of so many people."""
        yes, unsure = self.thresholds(enrolled)
        return YES if evidence >= yes else UNSURE if evidence >= unsure else NO


def _between(enrolled: int, counts: Sequence[int], values: Sequence[float]) -> float:
    """The value at `enrolled`, on straight lines over log(count); the last one goes on, below the first count nothing falls."""
    if enrolled <= counts[0] or len(counts) == 1:
        return values[0]
    i = next((i for i in range(1, len(counts)) if enrolled <= counts[i]), len(counts) - 1)
    share = math.log(enrolled / counts[i - 1]) / math.log(counts[i] / counts[i - 1])
    return values[i - 1] + share * (values[i] - values[i - 1])


@dataclass(frozen=True, eq=False)
class Sightings:
    """What was seen of M (picture, person): chances P(Yes) [M], likeness [M], present bool[M], and weights [M]: of how many
    pairs each one stands for."""

    chances: Tensor
    likeness: Tensor
    present: Tensor
    weights: Tensor


def fit_weights(seen: Sightings) -> Verdicts:
    """Logistic regression of presence on the log-odds of P(Yes) and on likeness; thresholds are still those of nobody."""
    odds = torch.logit(seen.chances.double(), eps=1 - MOST)
    x = torch.stack([torch.ones_like(odds), odds, seen.likeness.double()], 1)
    y, weights = seen.present.double(), seen.weights.double()
    beta = torch.zeros(3, dtype=torch.double)
    hold = 1e-2 * torch.eye(3, dtype=torch.double)
    for _ in range(60):  # Newton's method, a step of at most 2 at a time
        p = (x @ beta).sigmoid()
        curve = (x * (weights * p * (1 - p)).clamp_min(1e-12)[:, None]).T @ x + hold
        step = torch.linalg.solve(curve, x.T @ (weights * (y - p)) - hold @ beta)
        beta = beta + step * min(1.0, 2.0 / float(step.abs().max().clamp_min(1e-12)))
    offset, by_odds, by_likeness = (round(float(b), 5) for b in beta)
    return Verdicts(offset, by_odds, by_likeness)


Weighed = tuple[Tensor, Tensor]  # evidence [M], and of how many pairs each one stands for [M]


def fit_thresholds(
    verdicts: Verdicts, present: Tensor, strangers: Weighed, people: int, pictures: int,
    *, alone: Weighed | None = None, rare: float = RARE,
) -> Verdicts:  # fmt: skip
    """`verdicts` with thresholds from the evidence of all who are there, and of `strangers` in the same pictures.

    A threshold makes the fewest mistakes a picture: those who are there and missed, weighed, and strangers who reach it, of N
    enrolled. Whatever that would be, the share of strangers is at most `rare`, in pictures of nobody who is enrolled if there are
    such (`alone`), for there nobody beats them. What needs more people than there were goes on rising.
    """
    values, share = _ordered(strangers)
    most = _ordered(alone if alone is not None else strangers)
    over = torch.cat([torch.zeros(1), share[:-1]])  # the strangers that reach more than values[i]
    there = present.double().sort().values
    counts = [n for n in COUNTS if n <= people] or [1]
    needs: list[tuple[float, ...]] = []
    for allowed, few, missed in ((FALSE_NAMES, rare, MISSED), (FALSE_DOUBTS, RARELY * rare, OVERLOOKED)):
        found: list[float] = []
        for n in counts:
            cost = missed * torch.searchsorted(there, values, right=True) / pictures + n * over
            best = float(values[int(cost.argmin())]) + 1e-4
            least = max(_reached_by(values, share, allowed / n), _reached_by(*most, few))
            found.append(round(max(best, least, *found[-1:], -20.0), 5))
        needs.append(tuple(found))
    unsure = tuple(min(pair) for pair in zip(*needs, strict=True))
    return replace(verdicts, counts=tuple(counts), yes=needs[0], unsure=unsure, people=people, pictures=pictures)


def _ordered(strangers: Weighed) -> Weighed:
    """Their evidence, most first, and the share of them that has as much or more."""
    evidence, weights = (t.double() for t in strangers)
    order = evidence.argsort(descending=True)
    return evidence[order], weights[order].cumsum(0) / weights.sum()


def _reached_by(values: Tensor, share: Tensor, most: float) -> float:
    """The least evidence that at most `most` of the strangers reach, who fall in `values` with the cumulated `share`."""
    passed = int((share <= most).sum())
    return float(values[min(passed, len(values) - 1)]) + 1e-4
