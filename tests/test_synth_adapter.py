"""The ip-adapter generator on tiny random checkpoints in the layouts of the Hub, through the real loaders."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("pyarrow")

from face_pack import write_face_pack
from plvm.data.manifest import read_manifest, read_rows
from plvm.data.shards import QUESTIONS
from plvm.data.spec import Identity, Spec
from plvm.errors import PlvmError, RequestError
from plvm_lab.synth.ip_adapter import AdapterGenerator, settings_of
from plvm_lab.synth.pipeline import synthesize

SIDE, WIDTH = 32, 32


def faces(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        squares = np.random.default_rng(i).integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(squares).resize((80, 80), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg")
    return folder


# ---- without the loaders: what is done with a pipeline


class FakePipe:
    """Stands where a StableDiffusionPipeline stands: counts, flags every picture whose prompt it is told to, and has
    room for so many at once."""

    device = torch.device("cpu")

    def __init__(self, room: int, flagged: str = "") -> None:
        self.room, self.flagged, self.batches = room, flagged, list[int]()

    def prepare_ip_adapter_image_embeds(self, images: Any, *_: Any) -> list[torch.Tensor]:
        return [torch.stack([torch.zeros(1, 2, 3), torch.ones(1, 2, 3)])]

    def __call__(self, prompt: list[str], ip_adapter_image_embeds: list[torch.Tensor], **told: Any) -> Any:
        (embeds,) = ip_adapter_image_embeds
        n = len(prompt)
        assert embeds.shape == (2 * n, 1, 2, 3) and embeds[:n].max() == 0 and embeds[n:].min() == 1
        assert len(told["generator"]) == len(told["negative_prompt"]) == n
        if n > self.room:
            raise torch.OutOfMemoryError("too much")
        self.batches.append(n)
        images = [Image.new("RGB", (8, 8), (g.initial_seed() % 256, 0, 0)) for g in told["generator"]]
        return SimpleNamespace(images=images, nsfw_content_detected=[p == self.flagged for p in prompt])


def a_generator(folder: Path, pipe: Any, **options: Any) -> AdapterGenerator:
    options = {"references": str(faces(folder / "faces")), **options}
    return AdapterGenerator(Spec("ip-adapter", 0, 5, size=SIDE, filters=False, options=options), pipe)


def first_of(generator: AdapterGenerator) -> Any:
    """What it makes of the first face."""
    return generator.make(Identity(generator.keys()[0], "train", 0))


def test_what_does_not_fit_into_memory_is_made_in_halves_and_the_same(tmp_path: Path) -> None:
    wide, narrow = FakePipe(8), FakePipe(2)
    made = [first_of(a_generator(tmp_path / str(p.room), p)) for p in (wide, narrow)]
    assert wide.batches == [5] and narrow.batches == [2, 2, 1]
    seen = [[(s.name, s.prompt, s.image.getpixel((0, 0))) for s in samples[1:]] for samples, _ in made]
    assert seen[0] == seen[1] and len({prompt for _, prompt, _ in seen[0]}) == 5
    with pytest.raises(PlvmError, match="memory"):
        first_of(a_generator(tmp_path / "none", FakePipe(0)))


def test_what_the_safety_checker_flags_is_refused_with_that_reason(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("A person wearing one is waving here.\nA person wearing two is waving here.\n")
    pipe = FakePipe(9, flagged="A person wearing two is waving here.")
    samples, failures = first_of(a_generator(tmp_path, pipe, prompts=str(prompts)))
    assert 2 <= len(failures) <= 3 and len(samples) + len(failures) == 6
    assert {f.reason for f in failures} == {"the safety checker refused it"}


def test_a_dataset_is_not_gone_on_with_when_its_prompts_or_photos_were_edited(tmp_path: Path) -> None:
    prompts, photos, folder = tmp_path / "prompts.txt", faces(tmp_path / "photos"), tmp_path / "d"
    prompts.write_text("A person wearing one is waving here.\nA person wearing two is waving here.\n")
    options = {"references": str(photos), "prompts": str(prompts)}
    spec = Spec("ip-adapter", 0, 2, size=SIDE, shard=1, filters=False, options=options)

    def go_on(pipe: Any) -> Any:
        return synthesize(spec, folder, generator=AdapterGenerator(spec, pipe))

    class Breaks(FakePipe):
        def __call__(self, *words: Any, **told: Any) -> Any:
            if self.batches:
                raise PlvmError("The power went off.")
            return super().__call__(*words, **told)

    with pytest.raises(PlvmError, match="power"):
        go_on(Breaks(9))
    assert len(list(folder.glob(f"*{QUESTIONS}"))) == 1
    before = prompts.read_text()
    prompts.write_text(before.replace("one", "three"))
    with pytest.raises(RequestError, match="The prompts are no longer those") as caught:
        go_on(FakePipe(9))
    assert "--out" in caught.value.hint
    prompts.write_text(before + "\n# a remark is no prompt\n")
    extra = faces(tmp_path / "more", 4) / "3.jpg"
    (photos / "3.jpg").write_bytes(extra.read_bytes())
    with pytest.raises(RequestError, match="The photos are no longer those"):
        go_on(FakePipe(9))
    (photos / "3.jpg").unlink()
    assert sum(go_on(FakePipe(9)).counts[s]["kept"] for s in ("train", "val", "test")) == 9
    assert {r["prompt"] for r in read_rows(folder)} <= {"", *before.splitlines()}
    with pytest.raises(RequestError, match="another dataset"):
        synthesize(Spec(**{**vars(spec), "seed": 1}), folder, generator=AdapterGenerator(spec, FakePipe(9)))


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"scheduler": "magic"}, {"steps": 0}, {"batch": 0}, {"scale": -1.0}):
        with pytest.raises(RequestError):
            settings_of(Spec("ip-adapter", options=wrong))


# ---- with them: everything tiny, random and real


def tokenizer() -> Any:
    """CLIP's tokenizer with single bytes for words."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    letters = sorted(ByteLevel.alphabet())
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    return CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=77)


def text_config() -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=514, hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4,
        projection_dim=16, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip


def vision_config() -> Any:
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=SIDE,
        patch_size=8, projection_dim=16,
    )  # fmt: skip


def processor() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


def write_stable_diffusion(folder: Path) -> None:
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPTextModel

    unet = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH, attention_head_dim=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, sample_size=SIDE,
    )  # fmt: skip
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(text_config=text_config().to_dict(), vision_config=vision_config().to_dict(), projection_dim=16)
    )
    with torch.no_grad():  # nothing is like anything unsafe
        checker.concept_embeds_weights.fill_(9)
        checker.special_care_embeds_weights.fill_(9)
    StableDiffusionPipeline(
        vae, CLIPTextModel(text_config()), tokenizer(), unet, DDIMScheduler(), checker, processor()
    ).save_pretrained(folder)
    write_adapter(unet, folder.parent / "adapter")


def write_adapter(unet: Any, folder: Path) -> None:
    """IP-Adapter's plus-face variant: a resampler of four layers, keys and values for every cross-attention."""
    from safetensors.torch import save_file
    from transformers import CLIPVisionModelWithProjection

    CLIPVisionModelWithProjection(vision_config()).save_pretrained(folder / "models" / "image_encoder")
    weights = {"latents": (1, 4, 64), "proj_in.weight": (64, WIDTH), "proj_in.bias": (64,)}
    weights |= {"proj_out.weight": (WIDTH, 64), "proj_out.bias": (WIDTH,), "norm_out.weight": (WIDTH,)}
    weights["norm_out.bias"] = (WIDTH,)
    for i in range(4):
        norms = {f"layers.{i}.{n}.{p}": (64,) for n in ("0.norm1", "0.norm2", "1.0") for p in ("weight", "bias")}
        weights |= norms | {f"layers.{i}.0.to_q.weight": (64, 64), f"layers.{i}.0.to_kv.weight": (128, 64)}
        weights |= {f"layers.{i}.0.to_out.weight": (64, 64), f"layers.{i}.1.1.weight": (256, 64)}
        weights[f"layers.{i}.1.3.weight"] = (64, 256)
    state = {f"image_proj.{name}": 0.1 * torch.randn(shape) for name, shape in weights.items()}
    for i, name in enumerate(unet.attn_processors):
        if "attn2" in name:
            size = unet.get_submodule(name.removesuffix(".processor")).to_q.weight.shape[0]
            for part in ("k", "v"):
                state[f"ip_adapter.{i}.to_{part}_ip.weight"] = 0.1 * torch.randn(size, WIDTH)
    save_file(state, folder / "models" / "ip-adapter-plus-face_sd15.safetensors")


def write_clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor

    text, vision = text_config().to_dict(), vision_config().to_dict()
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    CLIPProcessor(processor(), tokenizer()).save_pretrained(folder)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("diffusers", "insightface"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    write_stable_diffusion(folder / "sd")
    write_clip(folder / "clip")
    write_face_pack(folder / "faces")
    return folder


def real_spec(checkpoints: Path, references: Path, **changes: Any) -> Spec:
    options = {
        "references": str(references), "model": str(checkpoints / "sd"), "adapter": str(checkpoints / "adapter"),
        "clip": str(checkpoints / "clip"), "faces": str(checkpoints / "faces"), "steps": 2, "batch": 2,
        "device": "cpu", "dtype": "float32",
    }  # fmt: skip
    told: dict[str, Any] = {"text_threshold": -1.0, "face_threshold": -1.0, "shares": (0.6, 0.2, 0.2), "shard": 2}
    return Spec("ip-adapter", 0, 3, size=SIDE, options={**options, **changes.pop("options", {})}, **(told | changes))


def test_the_whole_path_gives_a_valid_dataset(checkpoints: Path, tmp_path: Path) -> None:
    references = faces(tmp_path / "photos")
    (references / "bad.jpg").write_bytes(b"\xff\xd8\xff no")
    manifest = synthesize(real_spec(checkpoints, references), tmp_path / "d")
    rows = read_rows(tmp_path / "d")
    assert len(rows) == 3 * 4 + 1 and manifest.counts["rejections"]["unreadable"] == 1
    made = [r for r in rows if r["prompt"]]
    assert len(made) == 9 and len({r["sha256"] for r in made}) == 9
    assert all(r["faces"] == 1 and -1 <= r["text_score"] <= 1 and -1 <= r["face_score"] <= 1 for r in made)
    assert len({round(r["text_score"], 6) for r in made}) > 1
    assert {(r["width"], r["height"]) for r in made} == {(SIDE, SIDE)}
    assert manifest.generator["safety checker"] == "on" and "2 steps" in manifest.generator["sampling"]
    assert read_manifest(tmp_path / "d").content == manifest.content
    kept = [r for r in made if r["kept"]]
    assert sum(
        r["kind"] == "recognize" and r["answer"].startswith("Yes") for r in read_rows(tmp_path / "d", QUESTIONS)
    ) == len(kept)


def test_the_face_matters(checkpoints: Path, tmp_path: Path) -> None:
    references = faces(tmp_path / "photos", 2)
    spec = real_spec(checkpoints, references, filters=False)
    first = AdapterGenerator(spec)
    seeds = [1, 2]
    a, b = (Image.open(references / f"{i}.jpg").convert("RGB") for i in range(2))
    with_a, with_b, again = (
        [np.asarray(i) for i, _ in first._batch(face, ["A person is waving."] * 2, seeds)] for face in (a, b, a)
    )
    assert all(np.array_equal(x, y) for x, y in zip(with_a, again, strict=True))
    assert not any(np.array_equal(x, y) for x, y in zip(with_a, with_b, strict=True))
    alone = np.asarray(first._batch(a, ["A person is waving."], seeds[1:])[0][0])
    assert np.abs(alone.astype(int) - with_a[1]).max() <= 1, "the same picture alone as in a batch"


def test_missing_models_are_named_with_the_option_that_names_them(checkpoints: Path, tmp_path: Path) -> None:
    references = faces(tmp_path / "photos", 1)
    for option, word in (("model", "--sd"), ("adapter", "--adapter"), ("clip", "--clip"), ("faces", "--faces")):
        spec = real_spec(checkpoints, references, options={option: str(tmp_path / "nothing")})
        with pytest.raises(RequestError) as caught:
            synthesize(spec, tmp_path / option)
        assert word in caught.value.hint, option
