"""A photo family in miniature, untrained: drawn "faces", random frozen parts, no download. A face is a square of a colour that
is its person's; the finder of the tests finds squares. A thing is a dim surface, which it does not."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from transformers import LlamaConfig, LlamaForCausalLM

from plvm.model.checkpoint import save_aligner
from plvm.model.photo.face_processor import CodeSpace
from plvm.model.photo.photo_files import PhotoSettings, Spaces, save_photo_encoder, save_photo_model
from plvm.model.photo.photo_model import PhotoConfig, PhotoModel, update_shapes
from plvm.model.photo.photo_parts import save_parts
from plvm.model.photo.photo_reference import PhotoReferenceConfig
from plvm.model.photo.thing_processor import ThingSettings, reference_of
from plvm.model.pretrained import load_backbone, load_encoder
from plvm.train.initialization import read_names, untrained
from plvm.train.settings import Shape
from plvm.vision.face_chip import UPRIGHT
from plvm.vision.face_code import FaceCode
from plvm.vision.face_finder import Face, FaceFinder
from plvm.vision.photo_reader import described
from plvm.vision.thing_code import ThingCode, pooled_whole
from plvm_lab.families.mini.tokenizer import build_tokenizer
from toys import an_aligner, awake

WIDTH = 8
THING_WIDTH, THINGS = 6, 8
SIZE = 6.0
SETTINGS = PhotoSettings(things=ThingSettings(short=96))  # small, to be quick


def colour(person: int) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(person * 0.381966 % 1, 1.0, 1.0))


def drawn(*people: int, side: int = 60) -> Image.Image:
    """A picture of these people, left to right, a coloured square each."""
    image = Image.new("RGB", ((side + 20) * max(1, len(people)), side + 40), "black")
    pen = ImageDraw.Draw(image)
    for place, person in enumerate(people):
        left = 10 + (side + 20) * place
        pen.rectangle((left, 20, left + side - 1, 20 + side - 1), fill=colour(person))
        pen.rectangle((left, 20 + side // 2, left + side // 2, 20 + side - 1), fill=colour(person + 3))
    return image


def pattern(thing: int, side: int = 96) -> Image.Image:
    """A thing: a dim surface of a colour of its own, a quarter of it of another."""
    image = Image.new("RGB", (side, side), dim(thing))
    ImageDraw.Draw(image).rectangle((0, side // 2, side // 2, side), fill=dim(thing + 3))
    return image


def dim(thing: int) -> tuple[int, ...]:
    """A thing's colour, too dark for a face."""
    return tuple(part * 95 // 255 for part in colour(thing))


def with_thing(thing: int, *people: int, side: int = 30) -> Image.Image:
    """Three times as wide as high: people, and a thing that fills the last third."""
    image = Image.new("RGB", (300, 100), "black")
    image.paste(drawn(*people, side=side).crop((0, 0, 200, 100)), (0, 0))
    image.paste(pattern(thing, 100), (200, 0))
    return image


def squares(_: FaceFinder, image: Image.Image) -> list[Face]:
    """The squares of a drawn picture, as a finder of faces has faces; what is left of one that is covered is none."""
    lit = np.asarray(image).max(2) > 100
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lit.any(0).astype(int), [0]]))).reshape(-1, 2).tolist()
    found = []
    for left, right in edges:
        top, bottom = np.flatnonzero(lit[:, left:right].any(1))[[0, -1]].tolist()
        if min(right - left, bottom - top) < 8:
            continue
        found.append(Face((left, top, right, bottom + 1), UPRIGHT * (right - left) / 150 + [left, top], 1.0))
    return found


def surfaces(_: ThingCode, pixels: torch.Tensor) -> torch.Tensor:
    """A map `[N, 1280, H/32, W/32]` of pictures by how near each place's colour is to those of the drawn things."""
    colours = torch.tensor([dim(thing) for thing in range(THINGS)], dtype=torch.float32)
    seen = torch.nn.functional.avg_pool2d(pixels.float(), 32)
    near = torch.exp(-(seen[:, None] - colours[None, :, :, None, None]).square().sum(2) / 500)
    mixed = torch.rand(1280, THINGS, generator=torch.Generator().manual_seed(0)) ** 4
    return torch.einsum("nkhw,ck->nchw", near, mixed)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a photo family: aligner/, backbone/, encoder/, parts/."""
    return write_photo_family(tmp_path_factory.mktemp("photo"))


@pytest.fixture(autouse=True)
def finds_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaceFinder, "find", squares)
    monkeypatch.setattr(ThingCode, "forward", surfaces)


def write_photo_family(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer: Any = build_tokenizer(count=150)
    tokenizer.add_tokens(["Yes", "No"])
    shape = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True,
    )  # fmt: skip
    language = awake(LlamaForCausalLM(shape), 1)
    face_code, thing_code = FaceCode(), ThingCode()
    save_parts(folder / "parts", FaceFinder(), face_code, thing_code, language, tokenizer)
    config = PhotoConfig(
        tokenizer.convert_tokens_to_ids("<image>"), "../parts", WIDTH, THING_WIDTH, SIZE, rank=2, narrow_rank=1, inner=6,
        after_looks=1, after_names=3,
    )  # fmt: skip
    spaces = Spaces(space_of(face_code), thing_space_of())
    model = PhotoModel(language, config)
    model.decoder.rows.begin(language.get_input_embeddings().weight)
    awake_heads(model)
    updates = {k: 0.1 * torch.randn(s) for k, s in update_shapes(language, config).items()}
    save_photo_model(folder / "backbone", model, updates, spaces, SETTINGS)
    reference = PhotoReferenceConfig(WIDTH + THING_WIDTH, THING_WIDTH, "../parts")
    save_photo_encoder(folder / "encoder", reference, spaces, SETTINGS)
    backbone, encoder = load_backbone(folder / "backbone"), load_encoder(folder / "encoder")
    own = replace(an_aligner(backbone, encoder_width=WIDTH + THING_WIDTH).config, code_width=WIDTH + THING_WIDTH, free_tokens=1)
    aligner = untrained(
        Shape("anchored", K=2), own, backbone, encoder, 0, read_names(str(folder / "backbone"))
    )
    aligner.config = replace(aligner.config, backbone="../backbone", encoder="../encoder")
    save_aligner(folder / "aligner", aligner, backbone.template(), {})
    return folder


def space_of(face_code: FaceCode) -> CodeSpace:
    """The space in which the drawn people differ most."""
    pictures = [drawn(person) for person in range(9)]
    seen = torch.cat([torch.from_numpy(described(face_code, image, squares(FaceFinder(), image))) for image in pictures])
    return spread(seen, WIDTH)


def thing_space_of() -> CodeSpace:
    """The space in which the drawn things differ most."""
    pictures = np.stack([np.asarray(reference_of(pattern(thing)), dtype=np.float32) for thing in range(THINGS)])
    return spread(pooled_whole(surfaces(ThingCode(), torch.from_numpy(pictures).permute(0, 3, 1, 2))), THING_WIDTH)


def spread(seen: torch.Tensor, width: int) -> CodeSpace:
    """The space of `width` directions in which what was seen differs most."""
    directions = torch.linalg.svd(seen - seen.mean(0) + 1e-6 * torch.randn(seen.shape), full_matrices=True).Vh
    return CodeSpace(seen.mean(0), directions[:width].T.contiguous())


def awake_heads(model: PhotoModel) -> None:
    """Heads and rows as large as trained ones, so that what they add changes answers."""
    with torch.no_grad():
        for name, p in model.decoder.named_parameters():
            if name.startswith("rows.") and p.ndim:
                p.copy_(0.5 * torch.randn_like(p))
            elif name.startswith("looks.places") or (name.startswith(("looks.", "names.")) and p.ndim == 1):
                p.copy_(torch.randn_like(p))
