"""The figures: equal to scikit-learn's and to cases done by hand; intervals resample identities; counts are merged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from plvm_lab.evaluate.metrics import (
    BINS,
    Counts,
    Scored,
    accuracy,
    best_threshold,
    difference,
    ece,
    recognition,
    roc,
    weights,
)  # fmt: skip


def some_scores(seed: int = 0, n: int = 600, groups: int = 12, ties: bool = True) -> Scored:
    """Scores that know something; with ties among them."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.2
    score = np.clip(rng.normal(0.4 + 0.3 * truth, 0.2), 0, 1)
    return Scored.of(truth, np.round(score, 2) if ties else score, [f"g{i}" for i in rng.integers(0, groups, n)])


@pytest.mark.parametrize("ties", [True, False])
def test_auc_and_balanced_accuracy_are_those_of_scikit_learn(ties: bool) -> None:
    s = some_scores(ties=ties)
    found = recognition(s)
    assert found["auc"]["value"] == pytest.approx(roc_auc_score(s.truth, s.probability), abs=1e-6)
    assert found["mean"]["value"] == pytest.approx(balanced_accuracy_score(s.truth, s.probability > 0.5), abs=1e-6)
    assert (found["n_positive"], found["n_negative"]) == (s.truth.sum(), (~s.truth).sum())


def test_the_equal_error_rate_is_where_scikit_learns_roc_curve_crosses() -> None:
    s = some_scores(seed=3)
    false, hits, _ = roc_curve(s.truth, s.probability, drop_intermediate=False)
    at = np.linspace(0, 1, 200_001)
    crossing = at[np.abs(at - (1 - np.interp(at, false, hits))).argmin()]
    assert recognition(s)["eer"]["value"] == pytest.approx(crossing, abs=1e-4)


def test_every_resample_of_the_auc_is_the_auc_of_the_repeated_items() -> None:
    s = some_scores(seed=5, n=200, groups=5)
    names = sorted(set(s.groups))
    drawn = []
    for row in weights(len(names), 300, seed=7):
        times = np.array([row[names.index(g)] for g in s.groups])
        drawn.append(roc_auc_score(np.repeat(s.truth, times), np.repeat(s.probability, times)))
    found = recognition(s, resamples=300, seed=7)["auc"]
    assert [found["low"], found["high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=1e-6)


def test_recognition_by_hand() -> None:
    found = recognition(Scored.of([True, True, False, False, False], [0.9, 0.5, 0.5, 0.2, 0.7], list("aabbb")))
    assert found["positive"]["value"] == 0.5, "0.5 is not over 0.5: the answer is No"
    assert found["negative"]["value"] == pytest.approx(2 / 3)
    assert found["mean"]["value"] == pytest.approx(7 / 12)
    assert found["auc"]["value"] == pytest.approx(4.5 / 6)


def test_a_perfect_and_a_reversed_ranking_have_error_rates_0_and_1() -> None:
    truth = [True, True, False, False]
    assert recognition(Scored.of(truth, [0.9, 0.8, 0.2, 0.1], list("aabb")))["eer"]["value"] == 0
    assert recognition(Scored.of(truth, [0.1, 0.2, 0.8, 0.9], list("aabb")))["eer"]["value"] == 1


def test_an_answer_that_cannot_be_read_is_wrong_whatever_the_truth_is() -> None:
    found = recognition(Scored.of([True, False, True, False], [math.nan, math.nan, 0.9, 0.1], list("abab")))
    assert found["positive"]["value"] == found["negative"]["value"] == 0.5
    assert found["auc"]["value"] == 0.25, "it also ranks as the worst answer"


def test_accuracy_by_hand() -> None:
    found = accuracy([True, True, False, True], list("aabb"))
    assert (found["value"], found["n"]) == (0.75, 4)
    assert found["low"] == 0.5 and found["high"] == 1.0, "a, a or b, b can be drawn"


def test_what_is_always_right_has_no_width_and_nothing_has_no_value() -> None:
    assert accuracy([True] * 5, list("abcde")) == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 5}
    assert accuracy([], []) == {"value": None, "low": None, "high": None, "n": 0}


def test_intervals_are_over_identities_not_over_items() -> None:
    right = [i < 200 for i in range(400)]
    whole = accuracy(right, [f"g{i // 100}" for i in range(400)])  # four identities, each all right or all wrong
    single = accuracy(right, [f"g{i}" for i in range(400)])
    assert whole["high"] - whole["low"] > 5 * (single["high"] - single["low"])


def test_intervals_have_about_the_width_that_theory_gives() -> None:
    right = np.random.default_rng(1).random(1000) < 0.8
    found = accuracy(list(right), [f"g{i}" for i in range(1000)])
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * math.sqrt(0.8 * 0.2 / 1000), rel=0.15)


def test_the_same_seed_gives_the_same_interval() -> None:
    s = some_scores()
    assert recognition(s, seed=4) == recognition(s, seed=4) != recognition(s, seed=5)


def test_a_paired_difference_is_surer_than_two_accuracies() -> None:
    rng = np.random.default_rng(2)
    groups = [f"g{i % 34}" for i in range(680)]
    hard = rng.random(34)
    first = [bool(rng.random() < hard[i % 34]) for i in range(680)]
    second = [right and i % 20 != 0 for i, right in enumerate(first)]
    lost = difference(first, second, groups)
    alone = accuracy(first, groups)
    assert lost["value"] == pytest.approx(np.mean(first) - np.mean(second), abs=1e-6)
    assert 0 < lost["low"] < lost["value"] < lost["high"]
    assert lost["high"] - lost["low"] < 0.5 * (alone["high"] - alone["low"])
    assert difference(first, first, groups)["high"] == 0


def test_merged_counts_equal_the_count_of_everything_and_not_the_mean_of_shares() -> None:
    a, b = Counts.of([True], ["x"]), Counts.of([False, False, True], ["x", "y", "y"])
    merged = a + b
    assert merged.share == 0.5, "the mean of the shares would be 2/3"
    assert merged == Counts.of([True, False, False, True], ["x", "x", "y", "y"])
    assert merged.figure() == accuracy([True, False, False, True], ["x", "x", "y", "y"])


def test_calibration_by_hand() -> None:
    truth, p = [True, False, True, True], [0.95, 0.95, 0.15, math.nan]
    found = ece(Scored.of(truth, p, list("abcd")))
    # bin 0.9..1: mean 0.95 against a share of 0.5, two of three; bin 0.1..0.2: 0.15 against 1, one of three
    assert found["value"] == pytest.approx((2 * 0.45 + 0.85) / 3, abs=1e-6) and found["n"] == 3
    assert ece(Scored.of([True], [math.nan], ["a"]))["value"] is None


def test_calibration_is_that_of_bins_counted_one_by_one_with_scikit_learns_curve() -> None:
    s = some_scores(seed=8, ties=False)
    shares, means = calibration_curve(s.truth, s.probability, n_bins=BINS)
    counts = np.histogram(s.probability, bins=np.linspace(0, 1, BINS + 1))[0]
    expected = np.sum(counts[counts > 0] * np.abs(shares - means)) / counts.sum()
    found = ece(s)
    assert found["value"] == pytest.approx(expected, abs=1e-6) and found["low"] <= found["value"] < found["high"]
    honest = np.random.default_rng(0).random(5000)
    drawn = np.random.default_rng(1).random(5000) < honest
    assert ece(Scored.of(drawn, honest, [str(i % 40) for i in range(5000)]))["value"] < 0.03


@pytest.mark.parametrize("ties", [True, False])
def test_the_roc_curve_is_scikit_learns(ties: bool) -> None:
    s = some_scores(seed=4, ties=ties)
    false, true, _ = roc_curve(s.truth, s.probability, drop_intermediate=False)
    found = roc(s)
    assert len(found["false"]) <= 101 and (found["false"][0], found["true"][-1]) == (0, 1)
    points = {(round(float(a), 5), round(float(b), 5)) for a, b in zip(false, true, strict=True)}
    assert set(zip(found["false"], found["true"], strict=True)) <= points
    area = np.trapezoid(found["true"], found["false"])
    assert area == pytest.approx(roc_auc_score(s.truth, s.probability), abs=0.01)


def test_the_best_threshold_is_the_best_of_all_that_could_be_tried() -> None:
    s = some_scores(seed=6)
    threshold, balance = best_threshold(s.truth, s.probability)
    tried = [balanced_accuracy_score(s.truth, s.probability > t) for t in np.linspace(-0.001, 1, 2003)]
    assert balance == pytest.approx(max(tried)) == balanced_accuracy_score(s.truth, s.probability > threshold)
    assert best_threshold(np.array([True, True]), np.array([0.1, 0.2]))[0] == 0.5
