"""Model folders: what was saved comes back, and whatever is wrong with a folder is said in words."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import plvm
from plvm.errors import CheckpointError
from plvm.model.aligner import Aligner
from plvm.model.backbone import Backbone
from plvm.model.checkpoint import fingerprint, load_aligner, save_aligner
from plvm.model.encoder import Encoder
from plvm.model.pretrained import load_backbone, load_encoder
from plvm.personal import Personal
from plvm.prompt.image_first import Prompt
from plvm.prompt.template import Template
from plvm.types import SamplingParams
from plvm_lab.families.mini.parts import build_encoder, build_vlm, image_processor
from toys import RECIPE, an_aligner, awake, picture

SHORT = SamplingParams(max_tokens=8)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> tuple[Path, Personal]:
    """A whole family on disk, as `plvm mini build` lays it out, and the object that was saved."""
    root = tmp_path_factory.mktemp("family")
    backbone = Backbone(awake(build_vlm(RECIPE, tokenizer), 1), tokenizer, image_processor(RECIPE.image_size))
    encoder = Encoder(awake(build_encoder(RECIPE), 2), image_processor(RECIPE.reference_size))
    aligner = an_aligner(backbone, backbone="../backbone", encoder="../encoder")
    for part, name in ((backbone, "backbone"), (encoder, "encoder")):
        part.model.save_pretrained(root / name)
        part.image_processor.save_pretrained(root / name)
    tokenizer.save_pretrained(root / "backbone")
    template = Template(recognize="Is {name} here? Answer with Yes or No.")
    save_aligner(root / "aligner", aligner, template, {"steps": 3})
    return root, Personal(backbone, encoder, aligner, Prompt(tokenizer, template), fingerprint(aligner, template))


@pytest.fixture
def family(original: tuple[Path, Personal], tmp_path: Path) -> Path:
    """A copy of the family that a test may damage."""
    shutil.copytree(original[0], tmp_path / "family")
    return tmp_path / "family"


def change(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not ...}))


# ---- there and back


@pytest.mark.parametrize("architecture", ["paper", "released", "anchored"])
def test_saved_and_reloaded_aligner_gives_identical_concept_tokens(
    backbone: Backbone, tmp_path: Path, architecture: str
) -> None:
    aligner, template = an_aligner(backbone, architecture), Template(user="Human:")
    save_aligner(tmp_path, aligner, template, {"seed": 1, "names": ["é"]})
    loaded, its_template, record = load_aligner(tmp_path)
    loaded.use_words(backbone.word_rows.float())
    z_ref = torch.randn(2, 17, RECIPE.encoder_width)
    for a, b in zip(aligner.tokens_from_features(z_ref), loaded.tokens_from_features(z_ref), strict=True):
        assert torch.equal(a, b)
    assert (loaded.config, its_template, record) == (aligner.config, template, {"seed": 1, "names": ["é"]})
    assert fingerprint(loaded, its_template) == fingerprint(aligner, template)
    assert not loaded.training and all(p.requires_grad for p in loaded.parameters())
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "aligner.safetensors", "config.json", "template.json", "training.json",
    ]  # fmt: skip


def test_half_precision_halves_the_file_and_loads_as_single(aligner: Aligner, tmp_path: Path) -> None:
    save_aligner(tmp_path / "a", aligner, Template(), {})
    save_aligner(tmp_path / "b", aligner, Template(), {}, dtype=torch.float16)
    sizes = [(tmp_path / f / "aligner.safetensors").stat().st_size for f in "ab"]
    assert sizes[1] < 0.6 * sizes[0]
    first, second = load_aligner(tmp_path / "b"), load_aligner(tmp_path / "b")
    assert all(p.dtype == torch.float32 for p in first[0].parameters())
    assert fingerprint(*first[:2]) == fingerprint(*second[:2])


def test_a_fingerprint_names_weights_config_and_template(backbone: Backbone, aligner: Aligner) -> None:
    mine = fingerprint(aligner, Template())
    other = an_aligner(backbone)
    assert fingerprint(other, Template()) == mine and len(mine) == 16 and int(mine, 16) >= 0
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-4
    assert fingerprint(other, Template()) != mine
    assert fingerprint(aligner, Template(yes=" yes")) != mine
    assert fingerprint(an_aligner(backbone, encoder="x"), Template()) != mine


def test_aligners_from_before_templates_grew_keep_their_fingerprint(aligner: Aligner) -> None:
    """So that the concepts that they made stay theirs."""
    digest = hashlib.sha256()
    first = ("begin", "after_image", "define", "user", "assistant", "yes", "no", "recognize")
    template = {k: v for k, v in asdict(Template()).items() if k in first}
    for part in (asdict(aligner.config), template):
        digest.update(json.dumps(part, sort_keys=True).encode() + b"\n")
    for name, tensor in sorted(aligner.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    assert fingerprint(aligner, Template()) == digest.hexdigest()[:16]
    assert fingerprint(aligner, Template(form="definitions-first")) != digest.hexdigest()[:16]


def test_a_loaded_family_answers_as_the_saved_one(original: tuple[Path, Personal]) -> None:
    root, saved = original
    loaded = plvm.load(root / "aligner", device="cpu")
    assert loaded.fingerprint == saved.fingerprint and loaded.prompt.template == saved.prompt.template
    a, b = (vlm.enroll("billie", picture(1), picture(2)) for vlm in (saved, loaded))
    for part in ("word", "head", "context", "key"):
        assert torch.equal(getattr(a.tokens, part), getattr(b.tokens, part))
    for question in ("Where is <billie>?", "What is that?"):
        said = [vlm.ask(picture(3), question, [a], SHORT).text for vlm in (saved, loaded)]
        assert said[0] == said[1]
    assert saved.recognize([picture(3)], [a]) == loaded.recognize([picture(3)], [a])


def test_frozen_parts_in_half_precision_run_in_single_on_a_cpu(family: Path) -> None:
    for name, load in (("backbone", load_backbone), ("encoder", load_encoder)):
        part: Any = load(family / name)  # type: ignore[operator]
        part.model.half().save_pretrained(family / name)
    assert (family / "backbone" / "model.safetensors").stat().st_size < 1_200_000
    vlm = plvm.load(family / "aligner", device="cpu")
    assert vlm.backbone.dtype == torch.float32
    assert vlm.ask(picture(1), "Who is <a>?", [vlm.enroll("a", picture(2))], SHORT).text
    assert not any(p.requires_grad for m in (vlm.backbone.model, vlm.encoder.model) for p in m.parameters())


# ---- refusals


def without(name: str) -> Callable[[Path], None]:
    return lambda aligner: (aligner / name).unlink()


def truncate(name: str) -> Callable[[Path], None]:
    def do(aligner: Path) -> None:
        path = aligner / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return do


def poison(aligner: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(aligner / "aligner.safetensors")
    weights["point.bias"][0] = float("nan")
    save_file(weights, aligner / "aligner.safetensors")


def use_a_wider_encoder(aligner: Path) -> None:
    build_encoder(replace(RECIPE, encoder_width=96)).save_pretrained(aligner.parent / "encoder")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("template.json"), "Missing: template.json"),
        (without("aligner.safetensors"), "Missing: aligner.safetensors"),
        (lambda a: shutil.rmtree(a), "There is no folder"),
        (truncate("aligner.safetensors"), "is damaged"),
        (truncate("config.json"), "is damaged"),
        (lambda a: (a / "aligner.safetensors").write_bytes(b""), "is damaged"),
        (lambda a: (a / "template.json").write_text("[1]"), "holds no JSON object"),
        (lambda a: (a / "training.json").write_bytes(b"\xff\xfe"), "is damaged"),
        (lambda a: change(a / "config.json", contxt_tokens=8), 'Did you mean "context_tokens"?'),
        (lambda a: change(a / "template.json", asistant="x"), 'Did you mean "assistant"?'),
        (lambda a: change(a / "config.json", version=2), "has version 2; this plvm reads version 1"),
        (lambda a: change(a / "config.json", version=...), "has version None"),
        (lambda a: change(a / "config.json", architecture="new"), "There is no Aligner architecture 'new'"),
        (lambda a: change(a / "config.json", width="64"), '"width" cannot be "64"'),
        (lambda a: change(a / "config.json", blocks=0), '"blocks" cannot be 0'),
        (lambda a: change(a / "config.json", global_token=1), '"global_token" cannot be 1'),
        (lambda a: change(a / "config.json", width=10**9), "does not fit its config.json"),
        (lambda a: change(a / "config.json", context_tokens=5), "does not fit its config.json"),
        (lambda a: change(a / "config.json", backbone=""), "names no backbone"),
        (lambda a: change(a / "config.json", encoder="../nowhere"), "There is no folder"),
        (lambda a: change(a / "config.json", encoder="../backbone"), "cannot be loaded as a vision encoder"),
        (use_a_wider_encoder, "an encoder of width 48"),
        (lambda a: change(a / "template.json", yes=" Yes indeed"), "must be one token"),
        (poison, "point.bias is not finite"),
    ],
)
def test_a_damaged_aligner_is_refused_in_words(family: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(family / "aligner")
    with pytest.raises(CheckpointError) as caught:
        plvm.load(family / "aligner", device="cpu")
    assert message in str(caught.value) and caught.value.hint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: (b / "config.json").unlink(), "Missing: config.json"),
        (lambda b: (b / "preprocessor_config.json").unlink(), "Missing: preprocessor_config.json"),
        (lambda b: (b / "model.safetensors").unlink(), "cannot be loaded"),
        (truncate("model.safetensors"), "cannot be loaded"),
        (truncate("config.json"), "cannot be loaded"),
        (truncate("tokenizer.json"), "cannot be loaded"),
    ],
)
def test_a_damaged_backbone_is_refused_in_words(family: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(family / "backbone")
    with pytest.raises(CheckpointError) as caught:
        load_backbone(family / "backbone")
    assert message in str(caught.value) and caught.value.hint


def test_a_frozen_part_that_lacks_weights_is_refused_instead_of_filled_with_noise(family: Path) -> None:
    from safetensors.torch import load_file, save_file

    for name, load in (("backbone", load_backbone), ("encoder", load_encoder)):
        path = family / name / "model.safetensors"
        weights = load_file(path)
        dropped = next(k for k in weights if k.endswith("weight"))
        save_file({k: v for k, v in weights.items() if k != dropped}, path, metadata={"format": "pt"})
        with pytest.raises(CheckpointError, match="lacks 1 of the model's weights"):
            load(family / name)  # type: ignore[operator]


def test_a_pickled_model_is_not_read(family: Path) -> None:
    backbone = family / "backbone"
    model = load_backbone(backbone).model
    (backbone / "model.safetensors").unlink()
    torch.save(model.state_dict(), backbone / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_backbone(backbone)


def test_mini_without_weights_says_how_to_build_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("plvm.families.FOLDER", tmp_path)
    with pytest.raises(CheckpointError, match="mini family") as caught:
        plvm.load("mini")
    assert "plvm mini build" in caught.value.hint


def test_a_hub_id_that_cannot_be_had_is_refused_in_words() -> None:
    with pytest.raises(CheckpointError, match="nobody/nothing is neither a folder"):
        plvm.load("nobody/nothing")


def test_concepts_of_another_fingerprint_are_refused(original: tuple[Path, Personal]) -> None:
    vlm = original[1]
    concept = replace(vlm.enroll("billie", picture(1)), aligner="0123456789abcdef")
    with pytest.raises(plvm.AlignerMismatchError, match="0123456789abcdef"):
        vlm.ask(None, "Who is <billie>?", [concept])


# ---- the package


def test_every_public_name_is_there() -> None:
    assert all(getattr(plvm, name) is not None for name in plvm.__all__)
    assert set(plvm.__all__) <= set(dir(plvm))
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        plvm.lode  # noqa: B018


def test_light_public_names_load_neither_torch_nor_transformers() -> None:
    code = (
        "import sys, plvm; plvm.Concept, plvm.SamplingParams, plvm.PlvmError, plvm.ConceptStore; "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    root = Path(plvm.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_version_is_the_one_of_the_project_file() -> None:
    project = Path(__file__).parent.parent / "pyproject.toml"
    assert f'version = "{plvm.__version__}"' in project.read_text()
