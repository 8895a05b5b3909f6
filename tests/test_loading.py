"""What `plvm.load` takes, and what it says about everything that keeps a model from being loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import hub
import plvm
from plvm.errors import CheckpointError, RequestError
from plvm.model.aligner import AlignerConfig
from plvm.model.backbone_family import families
from plvm.model.checkpoint import fingerprint
from plvm.model.encoder import KINDS
from plvm.model.fetch import PATTERNS, fetch, is_hub_id
from plvm.model.pretrained import count_weights, load_backbone, load_encoder, weight_files
from plvm.model.released_checkpoint import TEMPLATE
from plvm.model.untrained import aligner_config, untrained_backbone
from plvm.presets import PRESETS, Preset, preset
from plvm.prompt.template import Template
from plvm.runtime import _free_main_memory, choose_bits, free_memory
from plvm.types import SamplingParams
from toys import picture

SMALL = {
    "encoder_width": 32, "width": hub.WIDTH, "context_tokens": 4, "mlp_hidden": 16, "resampler_width": 16, "blocks": 1,
    "heads": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """backbone/ (Qwen2.5-VL, several weight files) and encoder/ (DINOv2), in miniature."""
    root = tmp_path_factory.mktemp("parts")
    hub.write_backbone(root / "backbone", "qwen")
    hub.write_encoder(root / "encoder", "dinov2")
    return root


@pytest.fixture
def parts(original: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    shutil.copytree(original, tmp_path / "parts")
    return tmp_path / "parts"


@pytest.fixture
def cache(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Hub's cache on a machine where both parts were downloaded before, and a preset that names them."""
    from huggingface_hub import constants

    for part, repo in (("backbone", "models--tiny--qwen"), ("encoder", "models--tiny--dinov2")):
        commit = "0123456789abcdef0123456789abcdef01234567"
        shutil.copytree(original / part, tmp_path / "cache" / repo / "snapshots" / commit)
        (tmp_path / "cache" / repo / "refs").mkdir()
        (tmp_path / "cache" / repo / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    tiny = Preset("tiny", "tiny/qwen", "tiny/dinov2", aligner=SMALL)
    monkeypatch.setitem(PRESETS, "tiny", tiny)  # type: ignore[misc]
    return tmp_path / "cache"


# ---- presets


def test_a_preset_is_loaded_from_the_cache_without_a_network_and_says_that_it_is_untrained(cache: Path) -> None:
    vlm = plvm.load("tiny", device="cpu")
    assert vlm.notes == ("The Aligner of tiny is untrained: it has to be trained before use.",)
    assert vlm.prompt.template == vlm.backbone.template() and vlm.backbone.name == "tiny/qwen"
    assert vlm.fingerprint == plvm.load("tiny", device="cpu", offline=True).fingerprint
    billie = vlm.enroll("billie", picture(1))
    assert vlm.ask(picture(2), "Where is <billie>?", [billie], SamplingParams(max_tokens=3)).new_tokens


def test_a_folder_of_a_presets_name_comes_first(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="tiny is not an Aligner"):
        plvm.load("tiny", device="cpu")


def test_presets_are_whole_and_their_aligners_fit_their_parts() -> None:
    assert {"paper-7b", "released-7b", "paper-13b"} < set(PRESETS)
    kinds = {p.backbone_config["model_type"] for p in PRESETS.values()}
    assert kinds == {"llava", "llava_onevision", "qwen2_5_vl", "smolvlm"}
    for p in PRESETS.values():
        config = aligner_config(p)
        assert isinstance(config, AlignerConfig) and p.about and p.backbone.count("/") == p.encoder.count("/") == 1
        assert config.width == p.backbone_config["text_config"]["hidden_size"]
        shape = p.encoder_config
        assert config.encoder_width == shape.get("output_channels", shape["hidden_size"])
        assert config.global_token is ("output_channels" not in shape)
        Template(**p.template)
    assert Template(**PRESETS["released-7b"].template) == TEMPLATE


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("paper-7b", 7_062_902_784), ("qwen2.5-vl-7b", 8_292_166_656), ("onevision-7b", None), ("smolvlm2-2.2b", None)],
)
def test_backbones_have_their_full_size_on_the_meta_device(name: str, parameters: int | None) -> None:
    """The totals are those that the original repositories state; the other two are stated in billions."""
    model = untrained_backbone(PRESETS[name])
    total = sum(p.numel() for p in model.parameters())
    assert total == parameters or (name, round(total / 1e9, 1)) in (("onevision-7b", 8.0), ("smolvlm2-2.2b", 2.2))
    assert all(p.is_meta for p in model.parameters())


def test_a_misspelt_preset_is_refused_and_the_nearest_one_is_named() -> None:
    with pytest.raises(CheckpointError, match="no folder paper7b, and no preset") as caught:
        plvm.load("paper7b")
    assert "Did you mean paper-7b?" in caught.value.hint and "mini, " in caught.value.hint


def test_an_unknown_preset_names_the_nearest_one() -> None:
    with pytest.raises(RequestError, match='no preset "paper7b"') as caught:
        preset("paper7b")
    assert "Did you mean paper-7b?" in caught.value.hint and "qwen2.5-vl-7b" in caught.value.hint


def test_a_template_that_needs_no_newer_field_keeps_its_aligners_name(backbone: Any, aligner: Any) -> None:
    """Concepts carry the fingerprint of their Aligner: it must not change because templates can say more."""
    assert fingerprint(aligner, Template()) == fingerprint(aligner, replace(Template(), end="", first_gap=" "))
    assert fingerprint(aligner, Template(first_gap="")) != fingerprint(aligner, Template())


def test_the_page_of_backbones_lists_every_preset_and_every_type() -> None:
    page = (Path(__file__).parents[1] / "docs" / "backbones.md").read_text(encoding="utf-8")
    for p in PRESETS.values():
        assert f"| `{p.name}` | {p.backbone} | {p.encoder} |" in page
    assert all(f"`{kind}`" in page for kind in (*families(), *KINDS))


# ---- damaged folders


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def pickled(folder: Path) -> None:
    for file in weight_files(folder):
        file.unlink()
    (folder / "model.safetensors.index.json").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def with_config(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: weight_files(b)[1].unlink(), "weight files are missing, the first is model-00002-of"),
        (lambda b: cut(weight_files(b)[-1]), "is cut off: it has"),
        (lambda b: weight_files(b)[0].write_bytes(b"\x10"), "is cut off, or no safetensors file"),
        (lambda b: (b / "config.json").unlink(), "Missing: config.json"),
        (lambda b: (b / "preprocessor_config.json").unlink(), "Missing: preprocessor_config.json"),
        (lambda b: (b / "tokenizer.json").unlink(), "cannot be loaded"),
        (pickled, "its weights are pickles"),
        (with_config(model_type="mamba"), 'its config is that of a "mamba" model'),
        (with_config(model_type=None), "its config names no type of model"),
        (with_config(model_type="llava"), "lacks 60 of the model's weights"),
        (shutil.rmtree, "There is no folder"),
    ],
)
def test_a_half_downloaded_or_foreign_folder_is_refused_in_words(
    parts: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(parts / "backbone")
    with pytest.raises(CheckpointError) as caught:
        load_backbone(parts / "backbone")
    assert message in str(caught.value) and caught.value.hint


def test_weights_are_counted_without_being_read(parts: Path) -> None:
    files = weight_files(parts / "backbone")
    model = load_backbone(parts / "backbone").model
    assert len(files) > 3 and count_weights(files) == sum(p.numel() for p in model.parameters())


# ---- the Hub


@pytest.mark.parametrize(
    ("name", "is_id"),
    [
        ("llava-hf/llava-1.5-7b-hf", True),
        ("a/b/c", False),
        ("./a/b", False),
        ("/a/b", False),
        ("mini", False),
        ("~/a", False),
    ],
)
def test_what_can_be_a_repository(name: str, is_id: bool) -> None:
    assert is_hub_id(name) is is_id


def failing(kind: str) -> Exception:
    from huggingface_hub import errors

    response = type("Response", (), {"headers": {}, "request": None, "status_code": 403})()
    if kind in ("GatedRepoError", "RepositoryNotFoundError"):
        return getattr(errors, kind)("no", response=response)  # type: ignore[no-any-return]
    if kind == "OSError":
        return OSError(28, "No space left on device")
    return getattr(errors, kind)("no")  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("kind", "message", "hint"),
    [
        ("GatedRepoError", "owner/name is gated", "https://huggingface.co/owner/name"),
        ("RepositoryNotFoundError", "nor a repository of the Hugging Face Hub", "spelling"),
        ("LocalEntryNotFoundError", "the Hub is out of reach", "hf download owner/name"),
        ("OfflineModeIsEnabled", "the Hub is out of reach", "HF_HUB_OFFLINE"),
        ("HFValidationError", "nor a Hub id", "owner/name"),
        ("OSError", "No space left on device", "space on the disk"),
    ],
)
def test_whatever_keeps_a_repository_from_being_had_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, kind: str, message: str, hint: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise failing(kind)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fails)
    with pytest.raises(CheckpointError, match=message) as caught:
        fetch("owner/name")
    assert hint in caught.value.hint


def test_offline_nothing_is_asked_of_the_network_and_only_plain_files_are_ever_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda _, **options: asked.append(options) or tmp_path)
    fetch("owner/name", offline=True)
    fetch("owner/name")
    assert [a["local_files_only"] for a in asked] == [True, False]
    assert asked[0]["allow_patterns"] == list(PATTERNS) and not any(
        p.endswith((".bin", ".pt", ".py")) for p in PATTERNS
    )


def test_a_repository_that_is_half_in_the_cache_is_refused_in_words(cache: Path) -> None:
    (snapshot,) = (cache / "models--tiny--qwen" / "snapshots").iterdir()
    weight_files(snapshot)[0].unlink()
    with pytest.raises(CheckpointError, match="weight files are missing"):
        plvm.load("tiny", device="cpu", offline=True)


def test_a_wrong_hub_id_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(CheckpointError, match="nobody/nothing is neither a folder here"):
        plvm.load("nobody/nothing", offline=True)


# ---- number formats, bits, memory, devices


@pytest.mark.parametrize("dtype", ["bf16", "int4", "Float32", ""])
def test_a_wrong_number_format_is_refused_before_anything_is_loaded(cache: Path, dtype: str) -> None:
    with pytest.raises(RequestError, match="no number format") as caught:
        plvm.load("tiny", device="cpu", dtype=dtype)
    assert "bfloat16" in caught.value.hint


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_shorter_number_format_is_what_the_parts_then_have(cache: Path, dtype: str) -> None:
    vlm = plvm.load("tiny", device="cpu", dtype=dtype)
    assert vlm.backbone.dtype == next(vlm.encoder.model.parameters()).dtype == getattr(torch, dtype)
    billie = vlm.enroll("billie", picture(1))
    assert billie.tokens.word.dtype == torch.float32
    assert vlm.ask(picture(2), "Where is <billie>?", [billie], SamplingParams(max_tokens=3)).new_tokens


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"bits": 3}, "3 bits", "Use 4 or 8"),
        ({"bits": 4, "device": "cpu"}, "need an NVIDIA GPU", "float16"),
        ({"device_map": "auto"}, "needs accelerate", 'pip install "plvm[quantized]"'),
        ({"device_map": "auto", "device": "cpu"}, "a device map were given", "one of them"),
    ],
)
def test_what_cannot_run_here_is_refused_with_the_reason(
    cache: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str, hint: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=message) as caught:
        plvm.load("tiny", **({"device": "cpu"} | options if "device_map" not in options else options))
    assert hint in caught.value.hint


def test_bits_need_the_library_that_does_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match="needs bitsandbytes and accelerate"):
        choose_bits(8, device="cuda")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert (choose_bits(8, device="cuda:0").value, choose_bits(None).value) == (8, None)


def test_bits_reach_the_library_that_does_them(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    seen: dict[str, Any] = {}

    def stops(*_: Any, **options: Any) -> None:
        seen.update(options)
        raise RuntimeError("stop here")

    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", stops)
    monkeypatch.setattr("plvm.model.pretrained.free_memory", lambda _: None)
    with pytest.raises(CheckpointError, match="stop here"):
        load_backbone(original / "backbone", device="cuda:0", dtype=torch.float16, bits=4)
    config = seen["quantization_config"]
    assert config.load_in_4bit and config.bnb_4bit_compute_dtype == torch.float16
    assert seen["device_map"] == {"": "cuda:0"} and seen["use_safetensors"]


@pytest.mark.parametrize(("installed", "options"), [(True, {"device_map": {"": "cuda"}}), (False, {})])
def test_weights_go_straight_to_the_gpu_where_accelerate_can_do_it(
    original: Path, monkeypatch: pytest.MonkeyPatch, installed: bool, options: dict[str, Any]
) -> None:
    import transformers

    seen: dict[str, Any] = {}
    asked: list[str] = []

    def stops(*_: Any, **given: Any) -> None:
        seen.update(given)
        raise RuntimeError("stop here")

    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", stops)
    monkeypatch.setattr("plvm.model.pretrained.has_package", lambda _: installed)
    monkeypatch.setattr("plvm.model.pretrained.free_memory", lambda device: asked.append(device))
    with pytest.raises(CheckpointError, match="stop here"):
        load_backbone(original / "backbone", device="cuda")
    assert {k: v for k, v in seen.items() if k == "device_map"} == options
    assert asked == (["cuda"] if installed else ["cuda", "cpu"])


def test_too_little_memory_is_noticed_before_loading(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count_weights(weight_files(original / "backbone"))
    monkeypatch.setattr("plvm.model.pretrained.free_memory", lambda _: 3 * numbers)
    with pytest.raises(
        CheckpointError, match=r"needs 0.\d\d MB of memory as float32; cpu has 0.\d\d MB free"
    ) as caught:
        load_backbone(original / "backbone")
    assert "bits=4" in caught.value.hint
    assert load_backbone(original / "backbone", dtype=torch.bfloat16).dtype == torch.bfloat16
    monkeypatch.setattr("plvm.model.pretrained.free_memory", lambda _: 10)
    with pytest.raises(CheckpointError, match="needs .* of memory"):
        load_encoder(original / "encoder")


def test_memory_that_ends_while_loading_is_said_in_words(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    def fails(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.AutoModelForImageTextToText, "from_pretrained", fails)
    with pytest.raises(CheckpointError, match="does not fit into the memory"):
        load_backbone(original / "backbone")


def test_free_memory_is_the_kernels_estimate_within_the_containers_limit(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert _free_main_memory(tmp_path) is None
    write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    assert _free_main_memory(tmp_path) == 5000 * 1024
    write("sys/fs/cgroup/memory.max", "max\n")
    write("sys/fs/cgroup/memory.current", "1000000\n")
    write("sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 400000\n")
    assert _free_main_memory(tmp_path) == 5000 * 1024
    write("sys/fs/cgroup/memory.max", "3000000\n")
    assert _free_main_memory(tmp_path) == 2_400_000
    assert free_memory("mps") is None


# ---- on the command line


def test_the_command_line_takes_presets_formats_and_bits(cache: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from plvm.cli.main import app

    picture(1).save(tmp_path / "party.png")
    ask = ["ask", str(tmp_path / "party.png"), "Who is it?", "--model", "tiny", "--device", "cpu", "--max-tokens", "3"]
    done = CliRunner().invoke(app, [*ask, "--dtype", "bfloat16"])
    assert done.exit_code == 0 and "is untrained" in done.stderr and "untrained" not in done.stdout
    refused = CliRunner().invoke(app, [*ask, "--bits", "4"])
    assert refused.exit_code == 2 and "Weights in 4 bits need an NVIDIA GPU" in refused.stderr
    assert "Traceback" not in refused.stderr
