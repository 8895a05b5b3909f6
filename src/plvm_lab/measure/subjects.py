"""What is measured: the shipped model, or one of any size with random weights, for times depend on shapes alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from plvm.errors import RequestError
from plvm.families import FOLDER
from plvm.model.backbone import Backbone
from plvm.model.encoder import Encoder
from plvm.model.untrained import untrained_aligner, untrained_backbone, untrained_encoder
from plvm.personal import Personal, load
from plvm.presets import Preset
from plvm.prompt.image_first import Prompt
from plvm.types import Concept
from plvm_lab.families.mini.parts import image_processor
from plvm_lab.measure.timing import require_memory

PATCH = 14


def _sized(
    name: str, width: int, layers: int, feed_forward: int, tower: int, encoder: tuple[int, int], side: int, words: int
) -> Preset:
    """A LLaVA of heads of 64 numbers, its tower half as deep, at most 6 layers, and a DINOv2 of (width, layers)."""
    return Preset(
        name, name, name,
        aligner={"encoder_width": encoder[0], "width": width, "mlp_hidden": width, "resampler_width": width // 2,
                 "heads": 4},
        backbone_config={
            "model_type": "llava", "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
            "image_token_id": words - 1, "tie_word_embeddings": False,
            "vision_config": {
                "model_type": "clip_vision_model", "hidden_size": tower, "intermediate_size": 4 * tower, "patch_size": PATCH,
                "num_hidden_layers": min(6, layers), "num_attention_heads": tower // 32, "projection_dim": tower,
            },
            "text_config": {
                "model_type": "llama", "vocab_size": words, "hidden_size": width, "intermediate_size": feed_forward,
                "num_hidden_layers": layers, "num_attention_heads": max(1, width // 64), "max_position_embeddings": 4096,
                "num_key_value_heads": max(1, width // 64), "tie_word_embeddings": False,
            },
        },
        encoder_config={
            "model_type": "dinov2", "hidden_size": encoder[0], "num_hidden_layers": encoder[1], "mlp_ratio": 4,
            "num_attention_heads": max(1, encoder[0] // 64), "image_size": side, "patch_size": PATCH,
        },
        reference_size=side,
    )  # fmt: skip


RANDOM = {  # layers of the language model: 308 M, 57 M parameters, next to none
    "medium": _sized("medium", 1024, 24, 2816, 512, (768, 12), 224, 32_000),
    "small": _sized("small", 512, 12, 1408, 256, (384, 6), 112, 32_000),
    "toy": _sized("toy", 64, 2, 128, 32, (64, 2), 56, 32_000),
}
SHIPPED = ("mini", "photo")
SUBJECTS = (*SHIPPED, *RANDOM)


def subject(
    name: str, image_tokens: int = 576, device: str = "cpu", dtype: torch.dtype | None = None, seed: int = 0
) -> Personal:
    """A subject by name, its weights laid out as after many questions; `image_tokens` is a picture's number of tokens, a square,
    where its weights are random. `dtype` None: float32 for random weights, for others what suits the device. Raises RequestError
    for an unknown one, and where the machine cannot hold it."""
    if name in SHIPPED:
        return prepacked(load(name, device, None if dtype is None else str(dtype).removeprefix("torch.")))
    if name not in RANDOM:
        raise RequestError(f'There is no subject "{name}".', f"Name one of: {', '.join(SUBJECTS)}.")
    side = round(image_tokens**0.5)
    if side < 1 or side**2 != image_tokens:
        raise RequestError(f"{image_tokens} image tokens are no square.", "Name a square number, such as 64 or 576.")
    config = dict(RANDOM[name].backbone_config)
    config["vision_config"] = config["vision_config"] | {"image_size": side * PATCH}
    config["image_seq_length"] = image_tokens
    chosen = replace(RANDOM[name], backbone_config=config)
    dtype = dtype or torch.float32
    require_memory(chosen, device, dtype)
    return prepacked(build(chosen, device, dtype, seed))


def prepacked(vlm: Personal) -> Personal:
    """The same, its backbone as many questions leave it."""
    vlm.backbone.prepack()
    return vlm


def build(chosen: Preset, device: str, dtype: torch.dtype, seed: int) -> Personal:
    """A personal model with random weights; its words are the mini family's, so that nothing has to be downloaded."""
    from transformers import AutoTokenizer

    torch.manual_seed(seed)
    tokenizer: Any = AutoTokenizer.from_pretrained(FOLDER / "mini" / "backbone")
    side = chosen.backbone_config["vision_config"]["image_size"]
    return Personal(
        Backbone(untrained_backbone(chosen, device, dtype), tokenizer, image_processor(side), chosen.backbone),
        Encoder(untrained_encoder(chosen, device, dtype), image_processor(chosen.reference_size), chosen.encoder),
        untrained_aligner(chosen, device),
        Prompt(tokenizer),
        "random",
    )


def pictures(count: int, side: int, seed: int) -> list[Image.Image]:
    """RGB pictures of coarse coloured squares, no two alike."""
    generator = torch.Generator().manual_seed(seed)
    squares = torch.randint(0, 256, (count, 12, 12, 3), generator=generator, dtype=torch.uint8).numpy()
    return [Image.fromarray(s).resize((side, side), Image.Resampling.NEAREST) for s in squares]


def people(vlm: Personal, count: int, seed: int, looks: int = 4) -> list[Concept]:
    """So many concepts under names of their own; they look like one of `looks` enrolled pictures, for that changes no time."""
    tokens = vlm.tokens_of([[p] for p in pictures(min(looks, count), 448, seed + 1)])
    return [Concept(f"n{i}", tokens[i % len(tokens)], vlm.fingerprint) for i in range(count)]
