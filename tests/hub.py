"""Tiny untrained checkpoints in the layout of the Hugging Face Hub: config, weights in several safetensors files, tokenizer
files, processor config. Each family has the tokenizer format, the control tokens and the chat template of its original."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from llama import llama_tokenizer
from plvm_lab.families.mini.tokenizer import sentences
from toys import awake

ROLES = "user User assistant Assistant system Yes No You are a helpful"
TEXT = [*sentences(0, 60), *(ROLES.split() * 9)]
WIDTH, LAYERS = 48, 2
MAX_SHARD = "150KB"

CHAT_TEMPLATES = {
    "llava": (
        "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}"
        "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    ),
    "onevision": (
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\n' + content['text'] }}"
        "{% endfor %}{{'<|im_end|>'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "qwen": (
        "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\n' }}{% for content in message['content'] %}"
        "{% if content['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
        "{% else %}{{ content['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "smol": (
        "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
        "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
        "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
        "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
    ),
}
CHAT_TEMPLATES["idefics3"] = CHAT_TEMPLATES["smol"].replace("<|im_start|>", "<|begin_of_text|>")
TILES = [f"<row_{r}_col_{c}>" for r in range(1, 5) for c in range(1, 5)]
SMOL = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *TILES]
QWEN = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]


def byte_level(special: Sequence[str], **tokens: str) -> Any:
    """A tokenizer in the format of GPT-2, Qwen and SmolLM: byte-level BPE without a blank before the first word."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens(list(special))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **tokens)


def text_config(kind: str, tokenizer: Any, **more: Any) -> dict[str, Any]:
    """A small language model's config; the table is larger than the tokenizer, as it is on the Hub."""
    return dict(
        model_type=kind, vocab_size=len(tokenizer) + 6, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=4096, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, tie_word_embeddings=False, **more,
    )  # fmt: skip


def vision_config(kind: str, size: int, **more: Any) -> dict[str, Any]:
    return dict(
        model_type=kind, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        image_size=size, patch_size=14, **more,
    )  # fmt: skip


def llava() -> tuple[Any, Any, Any]:
    from transformers import CLIPImageProcessorPil, LlavaConfig, LlavaForConditionalGeneration

    tokenizer = llama_tokenizer()
    config = LlavaConfig(
        vision_config=vision_config("clip_vision_model", 56, projection_dim=32),
        text_config=text_config("llama", tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        vision_feature_layer=-2,
    )
    processor = CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    return LlavaForConditionalGeneration(config), tokenizer, processor


def onevision() -> tuple[Any, Any, Any]:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessorPil,
    )

    tokenizer = byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"], eos_token="<|im_end|>"
    )
    pinpoints = [[42 * r, 42 * c] for r in range(1, 4) for c in range(1, 4)]
    config = LlavaOnevisionConfig(
        vision_config=vision_config("siglip_vision_model", 42, vision_use_head=False),
        text_config=text_config("qwen2", tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_id=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_aspect_ratio="anyres_max_2",
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    processor = LlavaOnevisionImageProcessorPil(size={"height": 42, "width": 42}, image_grid_pinpoints=pinpoints)
    return LlavaOnevisionForConditionalGeneration(config), tokenizer, processor


def qwen() -> tuple[Any, Any, Any]:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil

    tokenizer = byte_level(QWEN, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    marks = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{mark}|>")
        for name, mark in (("vision_start", "vision_start"), ("vision_end", "vision_end"), ("image", "image_pad"),
                           ("video", "video_pad"))
    }  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 4, 6]}
    config = Qwen2_5_VLConfig(
        vision_config={
            "model_type": "qwen2_5_vl", "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2,
            "out_hidden_size": WIDTH, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
            "window_size": 56, "fullatt_block_indexes": [1],
        },
        text_config=text_config("qwen2_5_vl_text", tokenizer, rope_parameters=rope),
        **marks,
    )  # fmt: skip
    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 24})
    return Qwen2_5_VLForConditionalGeneration(config), tokenizer, processor


def smol() -> tuple[Any, Any, Any]:
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessorPil

    tokenizer = byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *SMOL], bos_token="<|im_start|>", eos_token="<end_of_utterance>"
    )
    return _smol(SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessorPil, "smolvlm_vision", tokenizer)


def idefics3() -> tuple[Any, Any, Any]:
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil

    special = ["<|begin_of_text|>", "<|end_of_text|>", *SMOL]
    tokenizer = byte_level(special, bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>")
    return _smol(
        Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessorPil, "idefics3_vision", tokenizer
    )


def _smol(config: Any, model: Any, processor: Any, vision: str, tokenizer: Any) -> tuple[Any, Any, Any]:
    whole = config(
        vision_config=vision_config(vision, 56),
        text_config=text_config("llama", tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        tie_word_embeddings=False,
    )
    tile = {"longest_edge": 56}
    return model(whole), tokenizer, processor(size={"longest_edge": 168}, max_image_size=tile, do_image_splitting=True)


FAMILIES: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "llava": llava, "onevision": onevision, "qwen": qwen, "smol": smol, "idefics3": idefics3,
}  # fmt: skip


def write_backbone(folder: Path, family: str) -> Path:
    """A checkpoint of a family, wide awake, in float32."""
    torch.manual_seed(5)
    model, tokenizer, processor = FAMILIES[family]()
    tokenizer.chat_template = CHAT_TEMPLATES[family]
    awake(model, 1).save_pretrained(folder, max_shard_size=MAX_SHARD)
    tokenizer.save_pretrained(folder)
    if family == "smol":  # newer repositories keep the image processor inside the processor's own config
        inside = {"processor_class": "SmolVLMProcessor", "image_processor": processor.to_dict()}
        (folder / "processor_config.json").write_text(json.dumps(inside))
    else:
        processor.save_pretrained(folder)
    return folder


def write_encoder(folder: Path, kind: str) -> Path:
    """A checkpoint of a vision encoder as its original has it: whole CLIP and SAM models, a ViT that classifies."""
    import transformers as t

    torch.manual_seed(6)
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    if kind == "dinov2":
        model = t.Dinov2Model(t.Dinov2Config(**small, mlp_ratio=2, image_size=56, patch_size=14))
        processor = t.BitImageProcessorPil(
            size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56}, image_mean=[0.485, 0.456, 0.406],
            image_std=[0.229, 0.224, 0.225],
        )  # fmt: skip
    elif kind == "clip":
        text = dict(small, vocab_size=99, projection_dim=16)
        vision = dict(small, image_size=224, patch_size=14, projection_dim=16)
        model = t.CLIPModel(t.CLIPConfig(vision_config=vision, text_config=text, projection_dim=16))
        processor = t.CLIPImageProcessorPil()
    elif kind == "vit":
        model, processor = t.ViTForImageClassification(t.ViTConfig(**small)), t.ViTImageProcessorPil()
    else:
        vision = {
            "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 48, "output_channels": 16,
            "image_size": 64, "patch_size": 8, "window_size": 4, "global_attn_indexes": [1], "num_pos_feats": 8,
        }  # fmt: skip
        decoder = {
            "hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        }  # fmt: skip
        prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 8}
        config = t.SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
        model = t.SamModel(config)
        processor = t.SamImageProcessorPil(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
    awake(model, 2).save_pretrained(folder, max_shard_size=MAX_SHARD)
    processor.save_pretrained(folder)
    return folder
