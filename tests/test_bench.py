"""The benchmarks: one row per case, ours and the naive way with equal results, and a last line for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from plvm.cli.main import app
from plvm.products import by_torch
from plvm_lab.measure.asking import Bench, bench_chat, with_window
from plvm_lab.measure.ceiling import layer_flops
from plvm_lab.measure.naive import stock
from plvm_lab.measure.subjects import pictures, subject


def test_its_last_line_is_json_with_a_row_for_every_case(tmp_path: Path) -> None:
    command = ["bench", "train", "--image-tokens", "16", "--packs", "1", "--packs", "4", "--rounds", "1", "--json"]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "result.json")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == json.loads((tmp_path / "result.json").read_text())
    assert [(r["image_tokens"], r["m"]) for r in found["rows"]] == [(16, 1), (16, 4)]
    for row in found["rows"]:
        assert 0 < row["max_gradient_difference"] <= 1e-5, "computed in two ways, and the same"
        assert row["speedup"] > 0 and row["naive_per_s"] > 0 and row["shared_per_s"] > 0
    assert found["rows"][1]["peak_memory_ratio"] < 1
    assert found["n"] == 1 and {"command", "commit", "seed", "machine"} <= set(found)


def test_a_picture_that_is_no_square_is_refused() -> None:
    done = CliRunner().invoke(app, ["bench", "train", "--image-tokens", "60"])
    assert done.exit_code == 2 and "no square" in done.stderr


TOY = ("--subject", "toy", "--image-tokens", "16", "--rounds", "1", "--device", "cpu", "--json")


def rows_of(*words: str) -> list[dict[str, Any]]:
    """What a benchmark found."""
    done = CliRunner().invoke(app, ["bench", *words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert {"command", "commit", "seed", "machine"} <= set(found)
    for row in found["rows"]:
        assert row["ratio"] > 0 and row["times"]["ours"]["seconds"] > 0 and row["times"]["naive"]["seconds"] > 0
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def test_scoring_has_the_probabilities_of_the_naive_way_with_fewer_tokens_and_one_prefix() -> None:
    one, four = rows_of("score", "--concepts", "1", "--concepts", "4", "--pictures", "2", *TOY)
    assert max(one["difference"], four["difference"]) < 1e-6
    assert one["tokens"]["ours"] == one["tokens"]["naive"], "a picture and a suffix, for a single pair"
    assert four["tokens"]["ours"] < one["tokens"]["ours"], "four share a picture"
    assert one["bytes"]["prefix"] == four["bytes"]["prefix"]
    assert 0 < four["share_of_matmul"] < 1.5


def test_a_dialogue_computes_its_new_tokens_alone_and_says_what_the_naive_way_says() -> None:
    second, fourth, joined = rows_of("chat", "--turn", "2", "--turn", "4", *TOY)
    assert max(row["difference"] for row in (second, fourth, joined)) < 1e-5
    assert second["tokens"]["ours"] == fourth["tokens"]["ours"] < second["tokens"]["naive"] < fourth["tokens"]["naive"]
    more = joined["tokens"]["ours"] - fourth["tokens"]["ours"]
    assert joined["joins"] == 1 and more == joined["tokens"]["naive"] - fourth["tokens"]["naive"] > 0
    assert second["over_first"]["ratio"] > 0 and len(fourth["times"]["first"]["each"]) == 1


def test_a_dialogue_of_one_turn_is_measured_and_nobody_joins() -> None:
    (first,) = rows_of("chat", "--turn", "1", *TOY)
    assert (first["turn"], first["joins"]) == (1, 0)


def test_a_turn_at_which_the_window_moves_on_is_measured_too() -> None:
    vlm = subject("toy", image_tokens=16)
    second, sixth, moved = bench_chat(Bench(with_window(vlm, 4), 1), (2, 6), joining=False)
    assert [row["turn"] for row in (second, sixth, moved)] == [2, 6, 5] and moved["moves"] == 1
    assert moved["tokens"]["ours"] > 3 * sixth["tokens"]["ours"], "two turns that are kept, who is in it, and its own"
    assert max(row["difference"] for row in (second, sixth, moved)) < 1e-5
    assert "over_whole" not in second and {"over_whole"} <= sixth.keys() & moved.keys(), "two turns are left, of five"


def test_writing_is_compared_with_the_backbones_own_pass() -> None:
    one, two = rows_of("generate", "--batch", "1", "--batch", "2", "--tokens", "24", *TOY)
    assert one["over_one"]["ratio"] == 1 and two["over_one"]["ratio"] > 0
    assert one["times"]["forward"]["seconds"] > 0 and one["bytes"]["read"] > two["bytes"]["read"]


def test_enrolling_is_compared_with_the_encoders_own_pass() -> None:
    (row,) = rows_of("enroll", "--together", "2", *TOY)
    assert row["over_encoder"]["ratio"] > 0 and row["over_prepared"]["ratio"] > 0
    assert row["bytes"]["concept"] == 4 * (18 * 64 + 64)


@pytest.mark.slow
def test_commands_and_a_server_are_measured_as_processes() -> None:
    (command,) = rows_of("start", "--rounds", "1", "--json")
    assert {"ours", "served", "naive", "import"} == set(command["times"])
    assert command["times"]["served"]["computing"] < command["times"]["ours"]["computing"], "a server has the model already"
    (two,) = rows_of("serve", "--clients", "2", "--rounds", "1", "--json")
    assert two["bytes"]["memory"] is None or two["bytes"]["memory"] > 1e8


def test_a_subject_that_nobody_knows_is_refused() -> None:
    done = CliRunner().invoke(app, ["bench", "score", "--subject", "huge"])
    assert done.exit_code == 2 and "Name one of: mini, photo, medium" in done.stderr


def test_the_naive_way_has_transformers_own_modules_and_says_the_same() -> None:
    encoder = subject("toy", 16, "cpu").encoder
    plain = stock(encoder.model)
    assert any(type(m).__module__.startswith("plvm.") for m in encoder.model.modules())
    assert not any(type(m).__module__.startswith("plvm.") for m in plain.modules())
    pixels = encoder.pixels(pictures(2, 64, 0))
    with torch.inference_mode():
        torch.testing.assert_close(plain(pixel_values=pixels).last_hidden_state, encoder.features(pixels), rtol=1e-4, atol=1e-4)


def test_the_operations_of_layers_are_those_that_torch_counts() -> None:
    backbone = subject("toy", image_tokens=16).backbone
    backbone.language_model.set_attn_implementation("eager")  # whose scores are made for all tokens
    with torch.no_grad(), by_torch(), FlopCounterMode(display=False) as counted:
        backbone.hidden(torch.randn(1, 40, backbone.width), keep=True, last=True)
    assert layer_flops(backbone, 40, 40) == pytest.approx(counted.get_total_flops(), rel=0.01)
