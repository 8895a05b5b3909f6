"""The suite: what knows the truth scores 1, what knows nothing scores chance, and a run that stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from guess import Guess
from oracle import BENCH, Constant, Oracle
from oracle import album as album
from plvm.errors import RequestError
from plvm.personal import Personal
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.evaluate.protocols import PARTS
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.evaluate.system import ABILITIES, RECOGNIZE, Ask, System
from plvm_lab.systems import build_system


@pytest.fixture(scope="module")
def oracle(album: Drawings) -> Oracle:
    return Oracle(BENCH, album)


@pytest.fixture(scope="module")
def perfect(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("perfect")
    return evaluate(oracle, BENCH, out, command="pytest"), out


def test_a_system_that_knows_the_truth_scores_one_everywhere(perfect: tuple[dict[str, Any], Path]) -> None:
    s, _ = perfect
    for part in ("recognition", "recognition_lookalikes", "recognition_three_concepts"):
        assert s[part]["mean"]["value"] == s[part]["auc"]["value"] == 1.0
    assert s["recognition"]["eer"]["value"] == 0
    assert s["text_qa"]["accuracy"]["value"] == s["visual_qa"]["accuracy"]["value"] == 1.0
    for count in "123":
        who = s["who"][count]
        assert (who["right"]["value"], who["wrong"]["value"], who["unknown"]["value"]) == (1.0, 0.0, 1.0)
    assert s["dialogue"]["from_start"]["value"] == s["dialogue"]["added_later"]["value"] == 1.0
    assert (
        s["held_out_wordings"]["recognition"]["lost"]["value"]
        == s["held_out_wordings"]["text_qa"]["lost"]["value"]
        == 0
    )
    assert s["recognition_strict"]["mean"]["value"] == s["recognition_strict"]["same_as_probability"]["value"] == 1.0
    assert s["captions"]["all"]["recall"]["value"] == s["captions"]["all"]["precision"]["value"] == 1.0
    for count in "24":
        crowd = s["several_concepts"][count]
        assert crowd["recognition"]["mean"]["value"] == crowd["visual_qa"]["value"] == 1.0
        assert crowd["lost"]["value"] == 0.0
    assert s["unparsable"] == 0 and s["skipped"] == []


def test_the_controls_take_away_what_they_should(perfect: tuple[dict[str, Any], Path]) -> None:
    text, visual = perfect[0]["controls"]["text_qa"], perfect[0]["controls"]["visual_qa"]
    assert text["permuted"]["value"] == visual["permuted"]["value"] == 1.0
    assert visual["no_image"]["value"] < 0.75, "without the picture the oracle sees nothing"
    assert sum(f["value"] for f in text["constant"].values()) == pytest.approx(1, abs=1e-5)


def test_every_figure_has_an_interval_and_the_summary_says_where_it_comes_from(
    perfect: tuple[dict[str, Any], Path],
) -> None:
    summary, out = perfect

    def figures(node: Any) -> list[dict[str, Any]]:
        if isinstance(node, dict):
            return [node] if "value" in node else [f for child in node.values() for f in figures(child)]
        return []

    assert len(figures(summary)) > 60
    for figure in figures(summary):
        assert set(figure) == {"value", "low", "high", "n"}
        assert figure["value"] is None or figure["low"] <= figure["value"] <= figure["high"]
    assert summary["seed"] == 5 and summary["command"] == "pytest" and summary["versions"]["torch"]
    assert summary["timing"]["recognition"]["n"] == len(BENCH.names) * len(BENCH.pictures)
    assert json.loads((out / "summary.json").read_text()) == summary


def test_there_is_one_record_per_item_and_every_part_makes_as_many_as_it_says(
    perfect: tuple[dict[str, Any], Path],
) -> None:
    summary, out = perfect
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert len(records) == summary["n"] == sum(PARTS[part].count(BENCH) for part in BENCH.parts)
    assert {r["part"] for r in records} == set(BENCH.parts)
    assert all("answer" in r and "right" in r and ("truth" in r or "key" in r) for r in records)


@pytest.mark.parametrize(("yes", "positive"), [(0.9, 1.0), (0.1, 0.0), (0.5, 0.0)])
def test_a_constant_answer_has_a_recognition_mean_of_one_half(tmp_path: Path, yes: float, positive: float) -> None:
    found = evaluate(Constant(yes), BENCH, tmp_path, parts=["recognition", "recognition_lookalikes"])
    assert found["recognition"]["positive"]["value"] == positive
    for part in ("recognition", "recognition_lookalikes"):
        assert found[part]["mean"]["value"] == found[part]["auc"]["value"] == 0.5


def test_what_cannot_be_read_is_wrong_and_counted_aloud(tmp_path: Path) -> None:
    found = evaluate(
        Constant(float("nan")), BENCH, tmp_path, parts=["recognition", "who", "dialogue", "recognition_strict"]
    )
    assert found["recognition_strict"]["mean"]["value"] == 0 and found["recognition_strict"]["unparsable"] == 6 * 36
    assert found["recognition"]["mean"]["value"] == 0 and found["recognition"]["unparsable"] == 6 * 36
    assert found["who"]["1"]["unparsable"] == sum(BENCH.size.who) and found["who"]["1"]["right"]["value"] == 0
    assert found["unparsable"] > 6 * 36 + 3 * sum(BENCH.size.who)


def test_always_the_first_option_is_the_constant_control(tmp_path: Path) -> None:
    found = evaluate(Constant(0.5), BENCH, tmp_path, parts=["visual_qa", "controls"])
    constant = found["controls"]["visual_qa"]["constant"]["A"]
    assert found["visual_qa"]["accuracy"] == constant and 0.25 < constant["value"] < 0.6


def test_the_threshold_comes_from_the_validation_identities(tmp_path: Path) -> None:
    bench = portraits("test", 3, SMALL)
    assert bench.validation is not None and bench.validation.split == "val"
    assert not set(bench.people) & set(bench.validation.people)
    album, other = bench.album(), bench.validation.album()
    truth = {a.query(p).tobytes(): set(b.shown(p)) for b, a in ((bench, album), (bench.validation, other))
             for p in range(len(b.pictures))}  # fmt: skip

    class Timid(Guess):
        """Knows it, but says Yes to nothing: its threshold is wrong."""

        def chance(self, image: Image.Image, name: str) -> float:
            return super().chance(image, name) * 0.4

    found = evaluate(Timid("timid", truth, 1.0), bench, tmp_path, parts=["recognition", "validation"])["recognition"]
    assert found["mean"]["value"] == 0.5 and found["tuned"]["mean"]["value"] > 0.97
    assert 0.15 < found["tuned"]["threshold"] < 0.25 and found["auc"]["value"] == 1.0


class Interrupted(Oracle):
    """Breaks off in the middle of the multiple choice, once."""

    broken = False

    def choose(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        if not self.broken:
            self.broken = True
            raise KeyboardInterrupt
        return super().choose(asks)


def test_a_run_that_was_stopped_goes_on_and_ends_as_if_it_had_not(
    album: Drawings, perfect: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    system = Interrupted(BENCH, album)
    with pytest.raises(KeyboardInterrupt):
        evaluate(system, BENCH, tmp_path)
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"part": "text_qa", "half a li')  # what a kill in the middle of a write leaves
    asked: list[str] = []
    found = evaluate(system, BENCH, tmp_path, progress=lambda part, done, total: asked.append(part))
    assert "recognition" not in asked and "text_qa" in asked
    whole, out = perfect
    assert (tmp_path / "records.jsonl").read_bytes() == (out / "records.jsonl").read_bytes()
    for part in BENCH.parts:
        assert found[part] == whole[part]


def test_a_finished_run_asks_nothing_again_but_another_system_does(tmp_path: Path) -> None:
    asked: list[str] = []
    for system, again in ((Constant(0.9), True), (Constant(0.9), False)):
        asked.clear()
        evaluate(system, BENCH, tmp_path, parts=["recognition"], progress=lambda part, done, total: asked.append(part))
        assert bool(asked) == again
    other = Constant(0.1)
    other.name = "another constant"
    found = evaluate(other, BENCH, tmp_path, parts=["recognition"])
    assert found["recognition"]["positive"]["value"] == 0
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 6 * 36


class OnlyRecognizes(System):
    """Sees everybody everywhere, and can say nothing else."""

    def learn(self, name: str, *images: Image.Image) -> str:
        return name

    def recognize(self, images: Sequence[Image.Image], concepts: Sequence[str]) -> np.ndarray:
        return np.ones((len(images), len(concepts)))


def test_parts_that_a_system_cannot_do_are_skipped_and_named(tmp_path: Path) -> None:
    assert Constant(0.9).abilities == set(ABILITIES)
    system = OnlyRecognizes()
    assert system.abilities == {RECOGNIZE}
    found = evaluate(system, BENCH, tmp_path)
    assert "recognition" in found and found["skipped"] == [
        part for part in BENCH.parts if PARTS[part].needs != RECOGNIZE
    ]


def test_unknown_parts_and_systems_are_refused_with_the_nearest_name(tmp_path: Path, vlm: Personal) -> None:
    with pytest.raises(RequestError, match='"visual_qa"'):
        evaluate(Constant(0.5), BENCH, tmp_path, parts=["visual-qa"])
    with pytest.raises(RequestError, match='"embedding"'):
        build_system("embeding", vlm)
