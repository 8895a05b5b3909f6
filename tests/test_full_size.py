"""The full-size benchmark in miniature: every step runs, and both ways of training compute the same loss."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "research" / "benchmarks"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script writes."""
    out = tmp_path_factory.mktemp("full_size") / "result.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        patch.setattr(sys, "argv", ["full_size.py", "--tiny", "--device", "cpu", "--seed", "7", "--out", str(out)])
        runpy.run_path(str(BENCHMARKS / "full_size.py"), run_name="__main__")
    return json.loads(out.read_text())


def test_the_result_says_where_it_comes_from(result: dict[str, Any]) -> None:
    assert "full_size.py --tiny --device cpu" in result["command"] and result["seed"] == 7
    assert {"commit", "versions", "machine", "time"} <= set(result)
    assert (result["weights"], result["device"], result["dtype"]) == ("random", "cpu", "float32")
    assert result["preset"] == "paper-7b, in miniature"


def test_every_step_was_measured(result: dict[str, Any]) -> None:
    for name in ("enrol", "prefill", "decode", "score", "train"):
        assert result[name]["peak_gib"] > 0, name
    assert result["enrol"]["pictures_per_second"] > 0
    assert result["prefill"]["tokens"]["image_prefix"] == 16 + 2, "the picture, the user's cue and a line's end"
    assert result["score"]["pairs"] == 3 * 4


def test_decoding_is_compared_with_what_the_memory_can_deliver(result: dict[str, Any]) -> None:
    decode = result["decode"]
    layers = 2 * (4 * 64**2 + 3 * 64 * 128 + 2 * 64)
    assert decode["bytes_per_token"] == 4 * (layers + 32_000 * 64), "the layers and the LM head, in float32"
    limit = 1000 * decode["bytes_per_token"] / (1e9 * decode["bandwidth_gb_per_second"])
    assert decode["limit_ms_per_token"] == pytest.approx(limit, rel=0.02)
    assert decode["share_of_limit"] == pytest.approx(limit / decode["ms_per_token"], rel=0.02)


def test_naive_and_shared_training_compute_the_same_loss(result: dict[str, Any]) -> None:
    train = result["train"]
    assert train["losses"]["naive"] == pytest.approx(train["losses"]["shared"], abs=2e-4)
    assert train["samples_per_step"] == {"naive": 2, "shared": 3}


def test_the_claims_are_those_figures_against_their_bars(result: dict[str, Any]) -> None:
    claims = result["claims"]
    assert {name: (c["bar"], c["value"]) for name, c in claims.items()} == {
        "enrol_ms": (6.0, result["enrol"]["encoder_and_aligner_ms"]),
        "decode_share_of_limit": (0.5, result["decode"]["share_of_limit"]),
        "score_seconds": (40.0, result["score"]["seconds"]),
        "shared_over_naive": (4.0, result["train"]["shared_over_naive"]),
    }
    assert claims["enrol_ms"]["holds"] == (claims["enrol_ms"]["value"] <= 6.0)
    assert claims["shared_over_naive"]["holds"] == (claims["shared_over_naive"]["value"] >= 4.0)
