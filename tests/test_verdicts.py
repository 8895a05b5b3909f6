"""Verdicts on toy values: thresholds, weights, the reader of keys, places that one person wins, and the files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from plvm.errors import CheckpointError
from plvm.presence.calibration import Calibration, load_calibration, save_calibration
from plvm.presence.key_reader import Reader, fit_reader, near, side_of
from plvm.presence.roll import RIVALS, Likenesses, candidates, contested, winners
from plvm.presence.verdicts import FALSE_NAMES, RARE, RARELY, Sightings, Verdicts, fit_thresholds, fit_weights

MISSABLE = torch.linspace(-4, 4, 200)  # of those who are there: so many are low that no threshold is worth a false name less


def strangers(count: int = 200_000) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(1)).double()


def fitted(people: int = 1000) -> Verdicts:
    evidence = strangers()
    return fit_thresholds(Verdicts(), MISSABLE, (evidence, torch.ones_like(evidence)), people, 200)


def test_what_a_yes_needs_grows_with_those_enrolled_and_unsure_needs_less() -> None:
    verdicts = fitted()
    needs = [verdicts.thresholds(n) for n in (1, 5, 25, 60, 100, 400, 1000, 3000, 10_000)]
    yes = [y for y, _ in needs]
    assert yes == sorted(yes) and yes[-1] > yes[-2] > yes[3] > yes[0]
    assert all(unsure < y for y, unsure in needs)
    assert [verdicts.verdict(e, 100) for e in (9.0, -9.0, sum(verdicts.thresholds(100)) / 2)] == ["yes", "no", "unsure"]


@pytest.mark.parametrize("enrolled", [1, 10, 100, 1000])
def test_strangers_get_no_more_false_names_a_picture_than_allowed(enrolled: int) -> None:
    fresh = torch.randn(500_000, generator=torch.Generator().manual_seed(2))
    rate = enrolled * float((fresh >= fitted().thresholds(enrolled)[0]).float().mean())
    allowed = min(FALSE_NAMES, RARE * enrolled)
    assert rate < 1.5 * allowed


@pytest.mark.parametrize("rare", [0.005, 0.02])
def test_in_pictures_of_nobody_no_more_strangers_get_a_yes_than_are_rare(rare: float) -> None:
    evidence, unbeaten = strangers(), strangers() + 1
    ones = torch.ones_like(evidence)
    found = fit_thresholds(Verdicts(), MISSABLE, (evidence, ones), 1000, 200, alone=(unbeaten, ones), rare=rare)
    fresh = torch.randn(500_000, generator=torch.Generator().manual_seed(2)) + 1
    yes, unsure = (float((fresh >= needed).float().mean()) for needed in found.thresholds(1))
    assert yes == pytest.approx(rare, rel=0.1) and unsure == pytest.approx(RARELY * rare, rel=0.1)
    assert found.thresholds(1000)[0] >= fitted().thresholds(1000)[0]


def test_where_both_are_far_apart_a_yes_needs_more_than_any_stranger_has() -> None:
    evidence = strangers(20_000)
    verdicts = fit_thresholds(Verdicts(), torch.linspace(6, 9, 200), (evidence, torch.ones_like(evidence)), 1000, 200)
    assert float(evidence.max()) - 0.1 <= verdicts.thresholds(1000)[0] <= 6


def test_a_stranger_with_a_weight_counts_as_so_many() -> None:
    evidence = strangers(2000)
    twice = fit_thresholds(Verdicts(), MISSABLE, (evidence.repeat_interleave(2), torch.ones(4000)), 300, 5)
    weighted = fit_thresholds(Verdicts(), MISSABLE, (evidence, torch.full((2000,), 2.0)), 300, 5)
    assert weighted.yes == pytest.approx(twice.yes, abs=0.1)


def test_weights_are_those_of_the_logistic_world_that_made_the_values() -> None:
    generator = torch.Generator().manual_seed(3)
    odds, likeness = 2 * torch.randn(20_000, generator=generator), torch.rand(20_000, generator=generator)
    truth = torch.rand(20_000, generator=generator) < (-1 + 0.8 * odds + 3 * likeness).sigmoid()
    found = fit_weights(Sightings(odds.sigmoid(), likeness, truth, torch.ones(20_000)))
    assert (found.offset, found.odds, found.likeness) == pytest.approx((-1, 0.8, 3), abs=0.15)


def test_without_a_fit_only_the_probability_counts_and_many_people_need_a_surer_one() -> None:
    verdicts = Verdicts()
    assert not verdicts.calibrated and fitted().calibrated
    assert verdicts.evidence(torch.tensor([0.5]), torch.tensor([0.9])).item() == pytest.approx(0)
    assert [verdicts.verdict(math.log(9), n) for n in (1, 9, 1000)] == ["yes", "yes", "no"]


def test_the_likest_of_all_tokens_and_all_keys_are_the_candidates() -> None:
    generator = torch.Generator().manual_seed(4)
    tokens, keys = torch.randn(9, 6, generator=generator), torch.randn(50, 4, generator=generator)
    parts = [torch.randn(*shape, generator=generator) for shape in ((6, 4), (4,), (4,), (4, 4))]
    found = Reader(*parts).likeness(tokens, keys)
    weight, bias, mean, scale = parts
    for n, key in enumerate(keys):
        for p, token in enumerate(tokens):
            alone = F.cosine_similarity(token @ weight + bias, (key - mean) @ scale, dim=0)
            assert found[p, n].item() == pytest.approx(alone.item(), abs=1e-5)
    best, places = found.max(0)
    asked = candidates(Likenesses(best, places, 3), 50, 7)
    assert set(asked) == set(sorted(range(50), key=lambda n: -max(found[:, n].tolist()))[:7])
    assert candidates(None, 50, 7) == list(range(50))


def test_a_reader_learns_where_people_are_from_who_is_there_alone() -> None:
    """Hidden keys are written into one token of each picture; the others are noise."""
    generator = torch.Generator().manual_seed(5)
    write = torch.randn(5, 12, generator=generator)
    keys = F.normalize(torch.randn(80, 5, generator=generator), dim=-1)
    pictures, shown, places = [], [], []
    for i in range(240):
        tokens, place = 0.3 * torch.randn(16, 12, generator=generator), int(torch.randint(16, (1,), generator=generator))
        tokens[place] += 2 * keys[i % 80] @ write
        pictures.append(tokens)
        shown.append((i, keys[i % 80]))
        places.append(place)
    reader = fit_reader(pictures[:200], shown[:200])
    found = [reader.likeness(pictures[i], keys) for i in range(200, 240)]
    right = [int(f[:, i % 80].argmax()) == places[i] and int(f.max(0).values.argmax()) == i % 80
             for i, f in zip(range(200, 240), found, strict=True)]  # fmt: skip
    assert sum(right) >= 36


def test_one_place_is_won_by_whoever_has_the_most_evidence_there() -> None:
    assert winners([1.0, 3.0, 2.0, -1.0], [0, 1, 5, 15], 4) == {1, 3}  # 4 x 4: 0, 1 and 5 are neighbours
    assert winners([3.0, 2.0, 1.0], [0, 2, 1], 4) == {0, 1}, "a loser keeps nobody away"
    assert winners([3.0, 2.0, 1.0], [7, 7, 8], 0, said={1}) == {1, 2}, "who is said to be there wins, whatever the evidence"
    assert [side_of(tokens) for tokens in (16, 15, 1)] == [4, 0, 1]
    assert near([3, 4], 4).tolist() == [[True, False], [False, True]], "the end of a row and the start of the next"
    assert near([3, 4, 4], 0).tolist() == [[True, False, False], [False, True, True], [False, True, True]]


def test_a_place_is_contested_by_those_who_may_be_there_the_likest_first() -> None:
    assert contested([1.0, 3.0, 2.0, -1.0, 5.0], [7, 7, 7, 7, 8], 0.0) == {7: [1, 2, 0]}
    assert contested([1.0, -1.0, 2.0], [7, 7, 8], 0.0) == {}, "one alone, and one beside a no, need not be told apart"
    assert contested([float(i) for i in range(9)], [7] * 9, 0.0) == {7: [8, 7, 6, 5, 4][:RIVALS]}


def test_a_saved_calibration_is_the_same_when_loaded_for_its_aligner_and_none_for_another(tmp_path: Path) -> None:
    assert load_calibration(tmp_path, "a").note and not load_calibration(tmp_path, "a").verdicts.calibrated
    reader = Reader(*(torch.randn(*shape).half().float() for shape in ((6, 4), (4,), (4,), (4, 4))))
    save_calibration(tmp_path, Calibration(fitted(), reader, ""), "a")
    again = load_calibration(tmp_path, "a")
    assert again.verdicts == fitted() and again.note == ""
    assert again.reader is not None and torch.equal(again.reader.weight, reader.weight)
    other = load_calibration(tmp_path, "b")
    assert other.reader is None and not other.verdicts.calibrated and "another Aligner" in other.note


@pytest.mark.parametrize("harm", ["text", "key", "length", "rows", "missing"])
def test_a_damaged_calibration_is_refused_with_what_to_do(tmp_path: Path, harm: str) -> None:
    save_calibration(tmp_path, Calibration(fitted(), Reader(torch.ones(6, 4), *(torch.ones(4),) * 2, torch.eye(4)), ""), "a")
    numbers, rows = tmp_path / "verdicts.json", tmp_path / "verdicts.safetensors"
    values = json.loads(numbers.read_text())
    changed = {"key": values | {"surprise": 1}, "length": values | {"yes": [1.0]}}
    if harm in changed:
        numbers.write_text(json.dumps(changed[harm]))
    elif harm == "text":
        numbers.write_text("{")
    elif harm == "rows":
        rows.write_bytes(rows.read_bytes()[:-3])
    else:
        rows.unlink()
    with pytest.raises(CheckpointError) as error:
        load_calibration(tmp_path, "a")
    assert "plvm calibrate" in error.value.hint
