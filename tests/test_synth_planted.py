"""Planted faults: what is wrong is caught by the filter whose job it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from plvm.data.spec import Identity, Spec
from plvm.errors import CheckpointError
from plvm_lab.synth.filters import Face, Filters
from plvm_lab.synth.planted import RIGHT, measure, plant
from plvm_lab.synth.portrait_judge import GRID, WEIGHTS, Judge, find_boxes, load_judge, word_ids
from plvm_lab.synth.portraits_generator import PortraitsGenerator


def test_without_models_doubles_and_blanks_are_caught_and_nothing_good_is_lost() -> None:
    found = measure(Filters(), pictures=60, share=0.5)
    for kind in ("blank", "double"):
        entry = found["faults"][kind]
        assert entry["planted"] == entry["by_the_right_filter"] > 0
    assert found["faults"]["person"]["caught"] == found["faults"]["scene"]["caught"] == 0
    assert found["good"]["pictures"] > 15 and found["good"]["lost"] == 0


def test_a_planted_stranger_differs_in_nothing_but_who_it_is() -> None:
    generator = PortraitsGenerator(Spec(identities=40, per_identity=3, size=64, filters=False))
    kinds = set()
    for i, key in enumerate(generator.keys()):
        identity = Identity(key, "test", i)
        good = [s.image for s in generator.make(identity)[0][1:]]
        for planted, image in zip(plant(generator, identity, 0.6)[1], good, strict=True):
            kinds.add(planted.fault)
            same = np.array_equal(np.asarray(planted.image), np.asarray(image))
            assert same == (planted.fault == "")
            if planted.fault == "person":  # the corners show the place, and the place is the same
                assert np.array_equal(np.asarray(planted.image)[:4, :4], np.asarray(image)[:4, :4])
    assert kinds == {"", *RIGHT}


class Refuser:
    """Says of everything that it does not fit."""

    text_threshold = face_threshold = 0.5

    def similarity(self, pictures: Sequence[Image.Image], prompts: Sequence[str]) -> list[float]:
        return [0.0 for _ in pictures]

    def faces(self, pictures: Sequence[Image.Image]) -> list[list[Face]]:
        return [[] for _ in pictures]


def test_filters_that_refuse_everything_are_told_what_they_cost() -> None:
    found = measure(Filters(Refuser(), Refuser()), pictures=10)
    assert found["good"]["lost"] == found["good"]["pictures"] > 0
    assert found["good"]["by"]["text"] == found["good"]["pictures"]


def test_boxes_are_where_the_peaks_of_the_face_map_are() -> None:
    import torch

    maps = torch.full((2, GRID, GRID), -9.0)
    maps[:, 5, 15], maps[:, 12, 4] = torch.tensor([4.0, np.log(0.1)]), torch.tensor([3.0, np.log(0.2)])
    maps[:, 12, 5] = torch.tensor([1.0, np.log(0.2)])  # the flank of the second one
    big, small = find_boxes(maps, (200, 100))
    assert np.allclose(big, (4.62 * 10 - 40, 62.5 - 20, 4.62 * 10 + 40, 62.5 + 20), atol=1.5)
    assert np.allclose(small, (155 - 20, 27.5 - 10, 155 + 20, 27.5 + 10), atol=0.5)
    assert find_boxes(torch.full((2, GRID, GRID), -1.0), (9, 9)) == []


def test_an_untrained_judge_scores_between_minus_one_and_one_and_alone_as_in_a_batch() -> None:
    judge = Judge().eval()
    pictures = [Image.effect_noise((90, 90), 40 + i).convert("RGB") for i in range(3)]
    prompts = ["A person is waving.", "A person is reading.", ""]
    together = judge.similarity(pictures, prompts)
    alone = [judge.similarity([p], [t])[0] for p, t in zip(pictures, prompts, strict=True)]
    assert np.allclose(together, alone, atol=1e-5) and all(-1 <= s <= 1 for s in together)
    assert word_ids("A red hat.") == word_ids("a red, hat") != word_ids("a hat red")


def test_where_there_is_no_judge_the_error_says_how_to_get_one(tmp_path: object) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_judge(str(tmp_path))
    assert "plvm mini judge" in caught.value.hint and "--no-filters" in caught.value.hint


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.exists(), reason="the package carries no judge")
def test_the_shipped_judge_catches_what_is_wrong_and_keeps_what_is_good() -> None:
    judge = load_judge()
    found = measure(Filters(judge, judge), pictures=1000)
    for kind, entry in found["faults"].items():
        assert entry["by_the_right_filter"] >= 0.95 * entry["planted"] > 0, (kind, entry)
    assert found["good"]["lost"] < 0.05 * found["good"]["pictures"]
