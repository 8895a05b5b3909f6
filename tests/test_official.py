"""The authors' released Aligner: what is imported computes what its description says, and nothing else is imported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from typer.testing import CliRunner

import plvm
from llama import llama_tokenizer
from plvm.cli.main import app
from plvm.errors import CheckpointError
from plvm.model.aligner import AlignerConfig
from plvm.model.checkpoint import fingerprint, load_aligner
from plvm.model.released_checkpoint import TEMPLATE, import_official
from plvm.types import SamplingParams
from plvm_lab.families.mini.parts import build_encoder, build_vlm, image_processor
from toys import RECIPE, awake, picture

TINY = AlignerConfig(
    "released", encoder_width=RECIPE.encoder_width, width=RECIPE.width, context_tokens=16, mlp_hidden=20,
    backbone="../backbone", encoder="../encoder",
)  # fmt: skip


def shapes(e: int = 768, d: int = 4096, hidden: int = 1024) -> dict[str, tuple[int, ...]]:
    """The release's keys and shapes: encoder width e, language model's width d, 4 blocks of 16 heads of 64."""
    found: dict[str, tuple[int, ...]] = {"latents": (1, 17, e), "proj_in.weight": (e, e), "proj_in.bias": (e,)}
    for i in range(4):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            found |= {f"layers.{i}.{norm}.weight": (e,), f"layers.{i}.{norm}.bias": (e,)}
        found |= {
            f"layers.{i}.0.to_q.weight": (1024, e),
            f"layers.{i}.0.to_kv.weight": (2048, e),
            f"layers.{i}.0.to_out.weight": (e, 1024),
            f"layers.{i}.1.1.weight": (4 * e, e),
            f"layers.{i}.1.3.weight": (e, 4 * e),
        }
    found |= {"proj_out.weight": (d, e), "proj_out.bias": (d,), "norm_out.weight": (d,), "norm_out.bias": (d,)}
    for layer, (rows, columns) in {0: (hidden, e), 2: (hidden, hidden), 4: (d, hidden)}.items():
        found |= {
            f"linear_weight_mapping.{layer}.weight": (rows, columns),
            f"linear_weight_mapping.{layer}.bias": (rows,),
        }
    return found


def weights(sizes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Random values, as large as trained ones; no two tensors alike."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in sizes.items():
        noise = torch.randn(shape, generator=generator)
        scale = shape[-1] ** -0.5 if len(shape) == 2 else 0.3
        is_norm = len(shape) == 1 and ("norm" in name or ".1.0." in name) and name.endswith("weight")
        found[name] = noise * scale + (1.0 if is_norm else 0.0)
    return found


def straight(w: dict[str, Tensor], z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """word, head, context of one reference's features z [L, E], written down step by step."""

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    tokens = z @ w["proj_in.weight"].T + w["proj_in.bias"]
    latents = w["latents"][0]
    for i in range(4):
        at = f"layers.{i}"
        queries = norm(latents, f"{at}.0.norm2")
        both = torch.cat([norm(tokens, f"{at}.0.norm1"), queries])
        q, kv = queries @ w[f"{at}.0.to_q.weight"].T, both @ w[f"{at}.0.to_kv.weight"].T
        k, v = kv[:, :1024], kv[:, 1024:]
        heads = []
        for h in range(16):
            part = slice(64 * h, 64 * h + 64)
            heads.append(torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(64), -1) @ v[:, part])
        latents = latents + torch.cat(heads, 1) @ w[f"{at}.0.to_out.weight"].T
        inner = F.gelu(norm(latents, f"{at}.1.0") @ w[f"{at}.1.1.weight"].T)
        latents = latents + inner @ w[f"{at}.1.3.weight"].T
    out = norm(latents @ w["proj_out.weight"].T + w["proj_out.bias"], "norm_out")
    x = z[0]
    for layer in (0, 2, 4):
        x = x @ w[f"linear_weight_mapping.{layer}.weight"].T + w[f"linear_weight_mapping.{layer}.bias"]
        x = F.gelu(x) if layer < 4 else x
    return out[0], x, out[1:]


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    """A checkpoint file in the release's format with other widths, and its tensors."""
    state = weights(shapes(RECIPE.encoder_width, RECIPE.width, 20))
    torch.save(state, tmp_path / "checkpoint.ckpt")
    return tmp_path / "checkpoint.ckpt", state


# ---- what is imported


def test_a_checkpoint_of_full_size_imports_and_computes_what_its_description_says(tmp_path: Path) -> None:
    state = weights(shapes())
    torch.save(state, tmp_path / "checkpoint.ckpt")
    done = CliRunner().invoke(
        app, ["import-official", str(tmp_path / "checkpoint.ckpt"), "--out", str(tmp_path / "out"), "--json"]
    )
    assert done.exit_code == 0, (done.stderr, done.exception)
    facts = json.loads(done.stdout)
    assert facts["parameters"] == 41_272_832 == sum(v.numel() for v in state.values())
    aligner, template, record = load_aligner(tmp_path / "out")
    assert facts["fingerprint"] == fingerprint(aligner, template) and template == TEMPLATE
    assert (aligner.config.backbone, aligner.config.encoder) == ("llava-hf/llava-1.5-7b-hf", "facebook/dinov2-base")
    assert record["file"] == "checkpoint.ckpt" and len(record["sha256"]) == 64
    z_ref = torch.randn(2, 257, 768, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        rows = aligner.tokens_from_features(z_ref)
    assert [tuple(r.shape) for r in rows] == [(2, 4096), (2, 4096), (2, 16, 4096)]
    for i in range(2):
        for ours, theirs in zip(rows, straight(state, z_ref[i]), strict=True):
            torch.testing.assert_close(ours[i], theirs, rtol=0, atol=1e-4)


def test_half_precision_is_read_too_and_kept_exactly(tiny: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    path, state = tiny
    half = {k: v.half() for k, v in state.items()}
    torch.save(half, path)
    aligner = import_official(path, tmp_path / "out", config=TINY)
    z = torch.randn(1, 17, RECIPE.encoder_width)
    with torch.no_grad():
        rows = aligner.tokens_from_features(z)
    for ours, theirs in zip(rows, straight({k: v.float() for k, v in half.items()}, z[0]), strict=True):
        torch.testing.assert_close(ours[0], theirs, rtol=0, atol=1e-4)


def test_an_imported_folder_loads_enrols_and_talks(tiny: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    tokenizer = llama_tokenizer()
    for name, part in (("backbone", build_vlm(RECIPE, tokenizer)), ("encoder", build_encoder(RECIPE))):
        awake(part, 1).save_pretrained(tmp_path / name)
        size = RECIPE.image_size if name == "backbone" else RECIPE.reference_size
        image_processor(size).save_pretrained(tmp_path / name)
    tokenizer.save_pretrained(tmp_path / "backbone")
    import_official(tiny[0], tmp_path / "out", config=TINY)
    vlm = plvm.load(tmp_path / "out", device="cpu")
    sks = vlm.enroll("sks", picture(1))
    word, head, context = straight(tiny[1], vlm.encoder.features(vlm.encoder.pixels([picture(1)]))[0])
    for ours, theirs in zip((sks.tokens.word, sks.tokens.head, sks.tokens.context), (word, head, context), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    chat = vlm.chat(picture(2), [sks])
    chat.ask("Where is <sks>?", SamplingParams(max_tokens=4))
    chat.add(vlm.enroll("avril", picture(3)))
    assert chat.ask("Who is next to <avril>?", SamplingParams(max_tokens=4)).new_tokens <= 4
    assert vlm.prompt.definitions_first


# ---- what is refused


class Evil:
    """Something that would run a command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.touch, (Path("ran"),)  # type: ignore[return-value]


def refused(path: Path, folder: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        import_official(path, folder, config=TINY, **options)
    assert caught.value.hint and not (folder / "config.json").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("latents"), "1 differences: missing latents [1, 17, 48]"),
        (lambda w: w.update(latents=w["latents"][:, :16]), "latents is [1, 16, 48], not [1, 17, 48]"),
        (lambda w: w.update({"pos_emb.weight": torch.zeros(3)}), "unknown pos_emb.weight"),
        (lambda w: w.update({"proj_in.bias": "text"}), "proj_in.bias is no tensor"),
        (lambda w: w.update({"proj_in.bias": torch.zeros(48, dtype=torch.long)}), "proj_in.bias is no tensor of real"),
        (lambda w: w["norm_out.bias"].fill_(math.nan), "norm_out.bias is not finite"),
        (lambda w: [w.pop(k) for k in list(w) if k.startswith("layers.3")], "and 3 more"),
    ],
)
def test_what_differs_is_listed(
    tiny: tuple[Path, dict[str, Tensor]], tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    path, state = tiny
    change(state)
    torch.save(state, path)
    assert message in refused(path, tmp_path / "out")


def test_a_file_with_code_in_it_is_refused_and_the_code_does_not_run(
    tiny: tuple[Path, dict[str, Tensor]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({**tiny[1], "latents": Evil()}, tiny[0])
    assert "cannot be read as plain tensors" in refused(tiny[0], tmp_path / "out")
    assert not Path("ran").exists()


def test_files_that_are_no_checkpoint_are_refused(tiny: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    path = tiny[0]
    assert "There is no file" in refused(tmp_path / "none.ckpt", tmp_path / "out")
    assert "There is no file" in refused(tmp_path, tmp_path / "out")
    whole = path.read_bytes()
    for data in (b"", b"<html>Quota exceeded</html>", whole[: len(whole) // 2]):
        path.write_bytes(data)
        assert "no PyTorch checkpoint" in refused(path, tmp_path / "out")
    torch.save([1, 2], path)
    assert "holds no state dict" in refused(path, tmp_path / "out")
    torch.save({"state_dict": tiny[1]}, path)
    assert "unknown state_dict" in refused(path, tmp_path / "out")


def test_a_model_that_is_there_is_not_overwritten_unasked(tiny: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_official(tiny[0], out, config=TINY)
    before = (out / "aligner.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="already"):
        import_official(tiny[0], out, config=TINY)
    torch.save(weights(shapes(RECIPE.encoder_width, RECIPE.width, 20), seed=5), tiny[0])
    import_official(tiny[0], out, config=TINY, overwrite=True)
    assert (out / "aligner.safetensors").read_bytes() != before


def test_the_command_line_says_what_is_wrong_in_two_lines(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"not a checkpoint")
    words = ["import-official", str(tmp_path / "x.ckpt"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and done.stdout == "" and len(done.stderr.strip().splitlines()) == 2


def test_copies_of_the_frozen_parts_are_named_by_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(weights(shapes()), tmp_path / "checkpoint.ckpt")
    (tmp_path / "llava").mkdir()
    monkeypatch.chdir(tmp_path)
    words = ["import-official", "checkpoint.ckpt", "--out", "out", "--backbone", "llava", "--encoder", "me/dino"]
    assert CliRunner().invoke(app, words).exit_code == 0
    config = json.loads(Path("out/config.json").read_text())
    assert (config["backbone"], config["encoder"]) == (str(tmp_path / "llava"), "me/dino")
