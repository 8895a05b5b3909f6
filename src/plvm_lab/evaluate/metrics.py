"""Figures from records: shares, recognition, and how sure they are. numpy alone; nothing here knows a model or a file.

Every figure is {"value", "low", "high", "n"}: a share with its 95 % interval from 1,000 bootstrap resamples of the
identities (`groups`), not of the items, because the items of one identity are not independent. Sums of counts are
merged (`Counts.__add__`), never averages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Figure = dict[str, Any]
RESAMPLES = 1000
_CHUNK = 100  # resamples that are held in memory together


def weights(groups: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """int64[resamples, groups]: how often each group was drawn when as many groups are drawn with replacement."""
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)


def figure(value: float, samples: np.ndarray, n: int) -> Figure:
    """A figure; where nothing could be measured, its numbers are None."""
    samples = samples[np.isfinite(samples)]
    if not n or not np.isfinite(value):
        return {"value": None, "low": None, "high": None, "n": n}
    low, high = np.percentile(samples, [2.5, 97.5]) if len(samples) else (value, value)
    return {"value": round(float(value), 6), "low": round(float(low), 6), "high": round(float(high), 6), "n": n}


@dataclass
class Counts:
    """How many were right and how many were asked, by group. Adding two is the count of both sets of items."""

    right: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, right: Sequence[bool], groups: Sequence[str]) -> Counts:
        """The counts of items, each with the group it belongs to."""
        found = cls()
        for one, group in zip(right, groups, strict=True):
            found.right[group] = found.right.get(group, 0) + bool(one)
            found.asked[group] = found.asked.get(group, 0) + 1
        return found

    def __add__(self, other: Counts) -> Counts:
        return Counts(_sum(self.right, other.right), _sum(self.asked, other.asked))

    @property
    def share(self) -> float:
        """Right of asked, over all groups; NaN where nothing was asked."""
        asked = sum(self.asked.values())
        return sum(self.right.values()) / asked if asked else float("nan")

    def figure(self, resamples: int = RESAMPLES, seed: int = 0) -> Figure:
        """The share that was right."""
        groups = sorted(self.asked)
        return figure(self.share, self.samples(groups, resamples, seed), sum(self.asked.values()))

    def samples(self, groups: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
        """float64[resamples]: the share in each resample of `groups`."""
        if not groups:
            return np.full(resamples, np.nan)
        w = weights(len(groups), resamples, seed)
        right = w @ np.array([self.right.get(g, 0) for g in groups])
        asked = w @ np.array([self.asked.get(g, 0) for g in groups])
        return _divide(right, asked)


def _sum(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return {g: a.get(g, 0) + b.get(g, 0) for g in {**a, **b}}


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=np.asarray(b) > 0)


def accuracy(right: Sequence[bool], groups: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0) -> Figure:
    """The share of items that are right."""
    return Counts.of(right, groups).figure(resamples, seed)


def difference(
    first: Sequence[bool], second: Sequence[bool], groups: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> Figure:
    """Share of `first` minus share of `second`, on the same items: paired, so what both have in common cancels."""
    a, b = Counts.of(first, groups), Counts.of(second, groups)
    names = sorted(a.asked)
    samples = a.samples(names, resamples, seed) - b.samples(names, resamples, seed)
    return figure(a.share - b.share, samples, len(groups))


@dataclass(frozen=True, eq=False)
class Scored:
    """Recognition items: truth bool[N], probability float[N] of Yes (NaN: unparsable), groups.

    The decision is strict: Yes where the probability is over `threshold`. An unparsable answer is wrong, and ranks as
    the worst answer there is.
    """

    truth: np.ndarray
    probability: np.ndarray
    groups: Sequence[str]
    threshold: float = 0.5

    @classmethod
    def of(cls, truth: Sequence[bool], probability: Sequence[float], groups: Sequence[str]) -> Scored:
        """From plain sequences of the same length N."""
        return cls(np.asarray(truth, bool), np.asarray(probability, float), groups)

    @property
    def right(self) -> np.ndarray:
        """bool[N]: which answers are right."""
        return np.isfinite(self.probability) & ((self.probability > self.threshold) == self.truth)

    @property
    def ranked(self) -> np.ndarray:
        """Probabilities for ranking: no NaN among them."""
        return np.where(np.isfinite(self.probability), self.probability, np.where(self.truth, -1.0, 2.0))


def recognition(scored: Scored, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Any]:
    """positive, negative: the shares of pairs answered right; mean: their mean (balanced accuracy); auc; eer; the
    counts."""
    names, index = np.unique(np.asarray(scored.groups), return_inverse=True)
    w = weights(len(names), resamples, seed)
    truth, n = scored.truth, len(names)
    out: dict[str, Any] = {}
    rates, drawn = [], []
    for name, of in (("positive", truth), ("negative", ~truth)):
        right = np.bincount(index[of], scored.right[of], n)
        asked = np.bincount(index[of], minlength=n)
        rates.append(right.sum() / asked.sum() if asked.sum() else float("nan"))
        drawn.append(_divide(w @ right, w @ asked))
        out[name] = figure(rates[-1], drawn[-1], int(asked.sum()))
    out["mean"] = figure(float(np.mean(rates)), (drawn[0] + drawn[1]) / 2, len(truth))
    ones = np.ones((1, n), np.int64)
    wins = _wins(scored.ranked, truth, index, n)
    yes, no = (np.bincount(index[of], minlength=n) for of in (truth, ~truth))
    out["auc"] = figure(float(_auc(wins, yes, no, ones)[0]), _auc(wins, yes, no, w), len(truth))
    rate = _eer(scored.ranked, truth, index, np.concatenate([ones, w]))
    out["eer"] = figure(float(rate[0]), rate[1:], len(truth))
    return out | {"n_positive": int(truth.sum()), "n_negative": int((~truth).sum())}


def _wins(score: np.ndarray, truth: np.ndarray, index: np.ndarray, n: int) -> np.ndarray:
    """float64[n, n]: pairs of a positive of group g and a negative of group h that are ranked rightly, ties as
    halves."""
    wins = np.zeros((n, n))
    positive = score[truth]
    for h in range(n):
        negative = np.sort(score[~truth & (index == h)])
        below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
        wins[:, h] = np.bincount(index[truth], below / 2, n)
    return wins


def _auc(wins: np.ndarray, positive: np.ndarray, negative: np.ndarray, w: np.ndarray) -> np.ndarray:
    """float64[R]: the area under the ROC curve in each resample."""
    return _divide(np.einsum("rg,gh,rh->r", w, wins, w), (w @ positive) * (w @ negative))


def _eer(score: np.ndarray, truth: np.ndarray, index: np.ndarray, w: np.ndarray) -> np.ndarray:
    """float64[R]: the error rate where false acceptances and false rejections are equally frequent."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(order) else np.zeros(0, int)
    found = []
    for start in range(0, len(w), _CHUNK):
        each = w[start : start + _CHUNK][:, index[order]]
        hits, alarms = ((each * of[order]).cumsum(1)[:, ends] for of in (truth, ~truth))
        zero = np.zeros((len(each), 1))
        miss = 1 - np.hstack([zero, _divide(hits, hits[:, -1:])])
        false = np.hstack([zero, _divide(alarms, alarms[:, -1:])])
        gap = false - miss
        j = np.clip((gap >= 0).argmax(1), 1, None)
        rows = np.arange(len(each))
        before, after = gap[rows, j - 1], gap[rows, j]
        part = _divide(-before, after - before)
        found.append(false[rows, j - 1] + part * (false[rows, j] - false[rows, j - 1]))
    return np.concatenate(found)


BINS = 10  # of equal width, for calibration
POINTS = 100  # of a ROC curve in a result file


def ece(scored: Scored, *, resamples: int = RESAMPLES, seed: int = 0) -> Figure:
    """The expected calibration error (Guo et al. 2017): how far the mean P(Yes) of a bin is from its share of Yes, on
    average over the items. Answers without a probability are left out. Resampling only adds to a sum of absolute values,
    so the interval is widened to hold the value."""
    known = np.isfinite(scored.probability)
    p, truth = scored.probability[known], scored.truth[known]
    names, index = np.unique(np.asarray(scored.groups)[known], return_inverse=True)
    cell = index * BINS + np.minimum((p * BINS).astype(int), BINS - 1)
    excess = np.bincount(cell, p - truth, len(names) * BINS).reshape(len(names), BINS)  # per identity and bin
    asked = np.bincount(index, minlength=len(names))
    if not len(p):
        return figure(float("nan"), np.zeros(0), 0)
    w = weights(len(names), resamples, seed)
    found = figure(np.abs(excess.sum(0)).sum() / len(p), _divide(np.abs(w @ excess).sum(1), w @ asked), len(p))
    return found | {"low": min(found["low"], found["value"]), "high": max(found["high"], found["value"])}


def roc(scored: Scored) -> dict[str, list[float]]:
    """The ROC curve: the shares of negatives and of positives over each threshold, from the strictest one; at most
    POINTS + 1 of its points, evenly along the curve."""
    order = np.argsort(-scored.ranked, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scored.ranked[order]) != 0, True)) if len(order) else np.zeros(0, int)
    curves = []
    for of in (~scored.truth, scored.truth):
        reached = of[order].cumsum()[ends]
        curves.append(np.concatenate([[0.0], _divide(reached, np.full(len(ends), of.sum()))]))
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(curves[0])) + np.abs(np.diff(curves[1])))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS + 1)))
    return {k: [round(float(x), 5) for x in c[kept]] for k, c in zip(("false", "true"), curves, strict=True)}


def best_threshold(truth: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    """(threshold, balanced accuracy) of the cut `score > threshold`, midway between two scores, with the best
    balance; (0.5, nan) where there is nothing to choose from."""
    order = np.argsort(score)
    score, truth = score[order], truth[order]
    cuts = np.flatnonzero(np.diff(score) > 0)
    if not len(cuts) or truth.all() or not truth.any():
        return 0.5, float("nan")
    missed, refused = truth.cumsum()[cuts] / truth.sum(), (~truth).cumsum()[cuts] / (~truth).sum()
    balance = ((1 - missed) + refused) / 2
    best = int(balance.argmax())
    return float((score[cuts[best]] + score[cuts[best] + 1]) / 2), float(balance[best])
