"""The mini family's frozen parts, untrained: stock transformers classes with small configs."""

from __future__ import annotations

from typing import Any

import torch

from plvm_lab.families.mini.patch_words import (
    look_words,
    position_basis,
    shown_words,
    single,
    speaks_of_people,
    trait_words,
    word_codes,
)
from plvm_lab.families.mini.recipe import Recipe

LOOK_LAYER = 1  # the layer whose first heads find where a trait is to be seen
GATHER_LAYER = 3  # the layer whose first heads bring a description's traits together in its full stop
SHOWN_HEADS = 2  # how many heads of a layer are shown where to attend


def build_vlm(recipe: Recipe, tokenizer: Any) -> Any:
    """A `LlavaForConditionalGeneration`: CLIP vision tower, projector, Llama."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    vision = CLIPVisionConfig(
        hidden_size=recipe.tower_width,
        intermediate_size=4 * recipe.tower_width,
        num_hidden_layers=recipe.tower_layers,
        num_attention_heads=max(1, recipe.tower_width // 48),
        image_size=recipe.image_size,
        patch_size=recipe.patch,
        projection_dim=recipe.tower_width,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.head_width,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000_000.0},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        initializer_range=recipe.width**-0.5,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=recipe.patches,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )
    model = LlavaForConditionalGeneration(config)
    position = model.model.vision_tower.embeddings.position_embedding
    with torch.no_grad():
        position.weight[1:] = plane_waves(recipe.image_size // recipe.patch, recipe.tower_width)
    words_first(model.model.language_model)
    places = position_basis(recipe.image_size // recipe.patch, recipe.width)
    layers, table = model.model.language_model.layers, model.model.language_model.embed_tokens.weight
    if speaks_of_people(tokenizer):
        traits = separate_traits(table, tokenizer)
        shown = word_codes(len(places) // 2, recipe.width)[: len(traits)]
        match_at_birth(layers[LOOK_LAYER].self_attn, traits, shown)
        looks = [shown_words().index(word) for word in look_words()]
        copy_at_birth(layers[-1].self_attn, word_codes(len(places) // 2, recipe.width)[looks], gain=1.0)
    for index in (LOOK_LAYER, GATHER_LAYER):
        copy_at_birth(layers[index].self_attn, places)
    return model


@torch.no_grad()
def words_first(language: Any) -> None:
    """Start from word rows of size 1 and blocks that add nothing: a token is its word until a block learns to say more.

    With small rows and random blocks the words drown after the first layer, and nobody finds them again.
    """
    language.embed_tokens.weight.normal_()
    for layer in language.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()


@torch.no_grad()
def separate_traits(table: torch.Tensor, tokenizer: Any) -> torch.Tensor:
    """Give the rows of the traits' words directions of their own, as many as fit; returns these [N, width], of size 1."""
    rows = [single(tokenizer, " " + word) for word in trait_words()][: table.shape[1]]
    directions = torch.linalg.qr(table[rows].T)[0].T
    table[rows] = directions * table.shape[1] ** 0.5
    return directions


@torch.no_grad()
def copy_at_birth(attention: Any, first: torch.Tensor, gain: float = 3.0) -> None:
    """Let a layer's first heads hand on what they attend to, the directions `first` [N, width] before all others: their output
    projection undoes their values at initialisation."""
    width, size = attention.v_proj.in_features, attention.head_dim
    for head in range(SHOWN_HEADS):
        rows = slice(head * size, (head + 1) * size)
        basis = torch.linalg.qr(torch.cat([first, torch.randn(width, width)])[:size].T)[0].T
        attention.v_proj.weight[rows] = basis
        attention.o_proj.weight[:, rows] = gain / SHOWN_HEADS * basis.T


@torch.no_grad()
def match_at_birth(attention: Any, words: torch.Tensor, shown: torch.Tensor, gain: float = 1.4) -> None:
    """Let a layer's first heads find a trait's word (words [N, width]) in the patches that show it (shown [N, width]): each
    head does its share of the traits.

    Only in dimensions that the rotary embedding turns slowly, so that likeness counts at any distance. Without this, a word
    finds the patches that show it only after thousands of steps.
    """
    half = attention.head_dim // 2
    slow = [d for pair in range(half - 1, 3 * half // 8 - 1, -1) for d in (pair, pair + half)]
    for head in range(SHOWN_HEADS):
        asked, seen = words[head::SHOWN_HEADS][: len(slow)], shown[head::SHOWN_HEADS][: len(slow)]
        rows = [head * attention.head_dim + d for d in slow[: len(asked)]]
        attention.q_proj.weight[rows] = gain * asked
        attention.k_proj.weight[rows] = gain * seen


def build_encoder(recipe: Recipe) -> Any:
    """A `Dinov2Model` for reference pictures."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=recipe.encoder_width,
        num_hidden_layers=recipe.encoder_layers,
        num_attention_heads=max(1, recipe.encoder_width // 48),
        mlp_ratio=4,
        image_size=recipe.reference_size,
        patch_size=recipe.reference_patch,
    )
    model = Dinov2Model(config)
    with torch.no_grad():
        waves = plane_waves(recipe.reference_size // recipe.reference_patch, recipe.encoder_width)
        model.embeddings.position_embeddings[0, 1:] = waves
    return model


def image_processor(size: int) -> Any:
    """The processor of both vision models: RGB, resized to size x size, scaled to [-1, 1]."""
    from transformers import CLIPImageProcessorPil

    return CLIPImageProcessorPil(
        do_resize=True,
        size={"height": size, "width": size},
        do_center_crop=False,
        do_normalize=True,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )


def plane_waves(side: int, width: int, std: float = 0.5) -> torch.Tensor:
    """2-D sine-cosine positions [side * side, width] with the given standard deviation, row by row."""
    quarter = width // 4
    frequency = torch.exp(torch.linspace(0, -4, quarter))
    steps = torch.arange(side, dtype=torch.float32)[:, None] * frequency
    waves = torch.cat([steps.sin(), steps.cos()], 1)
    grid = torch.cat([waves[None].expand(side, -1, -1), waves[:, None].expand(-1, side, -1)], -1).reshape(
        side * side, -1
    )
    grid = torch.nn.functional.pad(grid, (0, width - grid.shape[1]))
    return (grid - grid.mean(0)) / grid.std() * std
