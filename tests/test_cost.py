"""What full-size models cost: the published counts, the arithmetic of their memory, and times where they fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from full_size import MINIATURE
from plvm.cli.main import app
from plvm.errors import RequestError
from plvm.model.untrained import untrained_backbone
from plvm.presets import PRESETS, preset
from plvm.runtime import free_memory
from plvm_lab.measure.cost import GIB, LEAST, RESERVE, backbone_bytes, cost, plan
from plvm_lab.measure.timing import measure


def printed(*words: str) -> Any:
    done = CliRunner().invoke(app, ["cost", *words, "--json"])
    assert done.exit_code == 0, (done.stderr, done.exception)
    return json.loads(done.stdout)


# ---- parameters


def test_the_papers_preset_has_the_papers_parameters() -> None:
    facts = printed("--preset", "paper-7b")
    assert 127.5e6 <= facts["aligner_trainable"] <= 129.5e6
    assert 86e6 <= facts["encoder"] <= 87e6
    assert facts["backbone"] == 7_062_902_784 == sum(facts["backbone_parts"].values())
    assert facts["aligner_share"] == pytest.approx(0.018, abs=0.0005), "1.8 % in the paper's table of costs"


def test_the_released_preset_has_the_parameters_of_the_file_and_the_papers_with_the_encoder() -> None:
    facts = printed("--preset", "released-7b")
    assert facts["aligner_trainable"] == 41_272_832
    assert facts["aligner_with_encoder"] == pytest.approx(127.9e6, abs=0.2e6)
    assert facts["measured"] is None


def llama_parameters(words: int, width: int, inner: int, layers: int) -> int:
    """Of a Llama without shared keys: tables, four square matrices, three of the feed-forward, norms."""
    return 2 * words * width + layers * (4 * width**2 + 3 * width * inner + 2 * width) + width


@pytest.mark.parametrize(("name", "sizes"), [("paper-7b", (4096, 11008, 32)), ("paper-13b", (5120, 13824, 40))])
def test_language_models_have_as_many_parameters_as_their_shapes_say(name: str, sizes: tuple[int, int, int]) -> None:
    parts = cost(PRESETS[name])["backbone_parts"]
    assert parts["language_model"] + parts["lm_head"] == llama_parameters(32_000, *sizes)
    assert parts["multi_modal_projector"] == (1024 + 1) * sizes[0] + (sizes[0] + 1) * sizes[0]


def test_an_unknown_preset_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(RequestError, match="paper7b") as caught:
        preset("paper7b")
    assert "Did you mean paper-7b?" in caught.value.hint
    done = CliRunner().invoke(app, ["cost", "--preset", "lava"])
    assert done.exit_code == 2 and done.stdout == "" and len(done.stderr.strip().splitlines()) == 2


# ---- memory


def test_bytes_follow_from_the_shapes() -> None:
    facts = cost(PRESETS["paper-7b"])
    memory = facts["memory"]
    assert memory["kv_per_token"] == 2 * 32 * 4096 * 2
    assert memory["image_prefix"] == 576 * memory["kv_per_token"]
    assert memory["concept"] == 4 * ((1 + 1 + 16) * 4096 + 768)
    assert memory["training"] == 3 * 4 * facts["aligner_trainable"]
    everything = facts["backbone"] + facts["encoder"]
    assert memory["weights"]["float32"] == 4 * (everything + facts["aligner_trainable"])
    assert memory["weights"]["bfloat16"] == 2 * everything + 4 * facts["aligner_trainable"]


def test_keys_that_heads_share_are_counted_once() -> None:
    per_token = cost(MINIATURE)["memory"]["kv_per_token"]
    assert per_token == 2 * 2 * (2 * 8) * 2, "keys and values, layers, 2 heads of 8, 16 bits"


def test_quantised_backbones_keep_tables_head_and_norms_in_16_bits() -> None:
    backbone = untrained_backbone(MINIATURE)
    weights = {name: p.numel() for name, p in backbone.named_parameters()}
    linear = sum(
        size
        for name, size in weights.items()
        if name.endswith(("proj.weight", "fc1.weight", "fc2.weight", "linear_1.weight", "linear_2.weight"))
    )
    rest = sum(weights.values()) - linear
    assert backbone_bytes(backbone, "int8") == linear + 2 * rest
    assert backbone_bytes(backbone, "int4") == linear * (0.5 + 4 / 64) + 2 * rest


def test_the_planner_takes_the_most_exact_format_that_leaves_room() -> None:
    weights = {"float32": 28 * GIB, "bfloat16": 14 * GIB, "int8": 7 * GIB, "int4": 4 * GIB}
    rows = {row["gib"]: row for row in plan(weights, 2**19)}
    assert {gib: row["format"] for gib, row in rows.items()} == {
        8: "int4", 12: "int8", 16: "int8", 24: "bfloat16", 40: "bfloat16", 80: "bfloat16",
    }  # fmt: skip
    assert rows[24]["kv_tokens"] == (24 * GIB - RESERVE - 14 * GIB) // 2**19 > LEAST
    assert {row["format"] for row in plan(dict.fromkeys(weights, 80 * GIB), 2**19)} == {None}


# ---- times


def test_parts_that_fit_are_timed() -> None:
    facts = measure(MINIATURE, "cpu", torch.float32, repeat=2)
    times = facts["milliseconds"]
    assert set(times) == {"encoder", "aligner", "prefill"} and min(times.values()) > 0
    assert facts["aligner_share"] == pytest.approx(times["aligner"] / (times["aligner"] + times["prefill"]), abs=0.01)
    assert facts["prefill_tokens"] == 16 + 4 + 32 and facts["dtype"] == "float32"


def test_a_machine_that_is_too_small_is_told_so_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plvm_lab.measure.timing.free_memory", lambda _: 12 * GIB)
    done = CliRunner().invoke(app, ["cost", "--measure", "--device", "cpu", "--dtype", "bfloat16"])
    assert done.exit_code == 2 and done.stdout == ""
    assert "needs about 15.6 GiB in bfloat16; 12.0 GiB are free on cpu" in done.stderr


def test_a_measured_preset_is_printed_with_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "miniature", MINIATURE)
    words = ["cost", "--preset", "miniature", "--measure", "--device", "cpu"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert "ON cpu, float32" in done.stdout and "prefill" in done.stdout
    assert set(printed(*words[1:])["measured"]["milliseconds"]) == {"encoder", "aligner", "prefill"}


def test_a_wrong_number_format_lists_the_right_ones() -> None:
    done = CliRunner().invoke(app, ["cost", "--measure", "--dtype", "fp8"])
    assert done.exit_code == 2 and "float32, bfloat16, float16" in done.stderr


def test_free_memory_is_known_on_linux() -> None:
    free = free_memory("cpu")
    assert free is None or free > 2**20
