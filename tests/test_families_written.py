"""How every family of backbones writes pictures and dialogues: as the stock processor and chat template do it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import hub
from backbone_families import QUESTION, SHORT, pictures
from backbone_families import exact as exact
from backbone_families import folder as folder
from backbone_families import people as people
from backbone_families import prefixes as prefixes
from backbone_families import prompt as prompt
from plvm.engine.decoding import never_chosen
from plvm.engine.generate import generate
from plvm.engine.prefix import ImagePrefix, compute_prefixes
from plvm.engine.request import Request
from plvm.errors import CheckpointError, RequestError
from plvm.model.backbone import Backbone
from plvm.model.backbone_family import families
from plvm.model.pretrained import load_backbone
from plvm.prompt.image_first import Prompt
from plvm.prompt.orders import prompt_of
from plvm.prompt.turns import Tokens
from plvm.prompt.vocabulary import vocabulary_of
from plvm.types import Concept


def test_a_question_is_written_as_the_models_own_chat_template_does_it(exact: Backbone, prompt: Prompt) -> None:
    tokenizer, tokens = exact.tokenizer, Tokens()
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]
    text = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    if tokenizer.bos_token and whole[0] != tokenizer.bos_token_id:
        whole = [tokenizer.bos_token_id, *whole]  # the tokenizers of Llama and Vicuna add it themselves
    image = list(exact.image_tokens(exact.pixels(pictures()[:1]))[0].ids)
    if exact.family.axes == 3:  # the chat template writes what stands around the image tokens
        assert [whole[whole.index(image[0])], whole[whole.index(image[-1])]] == [image[0], image[-1]]
        whole = [i for i in whole if i not in (image[0], image[-1])]
    at = whole.index(exact.image_id)
    before, after = prompt.prefix()
    prompt.turn(tokens, QUESTION, [], vocabulary_of([[]], exact.word_rows))
    assert [*before, *image, *after, *tokens.ids] == [*whole[:at], *image, *whole[at + 1 :]]


@pytest.mark.parametrize("family", ["smol", "idefics3"])
def test_tiles_are_marked_as_the_stock_processor_marks_them(family: str) -> None:
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    backbone = Backbone(*hub.FAMILIES[family]())
    pixels = backbone.pixels(pictures())
    assert pixels.tiles == ((3, 3), (2, 3), (3, 2)), "rows, columns"
    for (rows, columns), image in zip(pixels.tiles, backbone.image_tokens(pixels), strict=True):
        each = len(image.rows) // (rows * columns + 1)
        text = get_image_prompt_string(rows, columns, each, "<fake_token_around_image>", "<image>", "<global-img>")
        assert list(image.ids) == backbone.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_second_turn_is_written_as_the_chat_template_does_it(exact: Backbone, prompt: Prompt) -> None:
    tokenizer, tokens = exact.tokenizer, Tokens()
    vocabulary = vocabulary_of([[]], exact.word_rows)
    tokens.add(prompt.prefix()[0])
    tokens.add([exact.image_id])
    tokens.add(prompt.prefix()[1])
    prompt.turn(tokens, QUESTION, [], vocabulary, answer="On the left.")
    prompt.turn(tokens, "And who is that?", [], vocabulary, first=False)

    def says(role: str, *content: Any) -> dict[str, Any]:
        return {"role": role, "content": list(content)}

    def text(words: str) -> dict[str, str]:
        return {"type": "text", "text": words}

    turns = [
        says("user", {"type": "image"}, text(QUESTION)), says("assistant", text("On the left.")),
        says("user", text("And who is that?")),
    ]  # fmt: skip
    stock = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    shown = tokenizer.decode(tokens.ids)
    for mark in ("<|vision_start|>", "<|vision_end|>"):
        stock = stock.replace(mark, "")
    if type(exact.family).__name__ == "Llava":  # its chat template leaves the end token of Vicuna's dialogues out
        shown, stock = shown.replace("</s>", " "), "<s>" + stock
    if type(exact.family).__name__ == "Onevision":  # text alone has no blank before its line end
        stock = stock.replace("<|im_start|>assistant \n", "<|im_start|>assistant\n")
    assert "".join(shown.split()) == "".join(stock.split())


def test_yes_no_and_the_end_are_single_tokens_and_control_tokens_are_never_said(
    exact: Backbone, prompt: Prompt
) -> None:
    banned = never_chosen(exact, prompt)
    assert not banned[[prompt.yes_id, prompt.no_id, prompt.end_id]].any()
    assert banned[exact.image_id] and banned[len(exact.tokenizer) :].all()
    for text in ("<image>", "<|image_pad|>", "<|im_end|>", "<end_of_utterance>", "</s>"):
        assert not any(banned[i] for i in prompt.text(text))


# ---- pictures of any size


def test_pictures_of_different_sizes_share_a_batch(
    exact: Backbone, prompt: Prompt, prefixes: list[ImagePrefix]
) -> None:
    for image, together in zip(pictures(), prefixes, strict=False):
        alone = compute_prefixes(exact, prompt, [image])[0]
        assert (alone.length, alone.shift, alone.digest) == (together.length, together.shift, together.digest)
        for a, b in zip(alone.past, together.past, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    one_size = exact.model.config.model_type == "llava"
    assert (len({p.length for p in prefixes[:3]}) == 1) is one_size
    assert (prefixes[0].shift < 0) is (exact.family.axes == 3) and prefixes[3].shift == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 100), (100, 1), (2000, 20), (37, 41), (640, 480)])
def test_pictures_of_any_shape_become_tokens(exact: Backbone, prompt: Prompt, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (10, 200, 30))
    tokens = exact.image_tokens(exact.pixels([image]))[0]
    assert sum(i == exact.image_id for i in tokens.ids) == len(tokens.rows) > 0
    assert tokens.places.shape == (exact.family.axes, len(tokens.ids)) and tokens.rows.isfinite().all()
    assert compute_prefixes(exact, prompt, [image])[0].length == len(tokens.ids) + sum(map(len, prompt.prefix()))


# ---- refusals


def test_definitions_before_the_picture_work_or_are_refused_with_the_reason(
    exact: Backbone, prompt: Prompt, people: list[Concept]
) -> None:
    words = {"yes": "Yes", "no": "No"} if exact.tokenizer.bos_token == "<s>" else {}
    template = replace(exact.template(), form="definitions-first", user="USER: ", **words)
    other = prompt_of(exact.tokenizer, template)
    if exact.family.axes == 3:
        with pytest.raises(RequestError, match="picture must come before the concepts"):
            compute_prefixes(exact, other, pictures()[:1])
        return
    prefix = compute_prefixes(exact, other, pictures()[:1])[0]
    answer = generate(exact, other, [Request(prefix, "Where is <billie>?", (people[0],))], SHORT)[0]
    assert answer.prompt_tokens > prefix.length + len(prefix.features if prefix.features is not None else ())


def test_a_model_of_no_known_family_is_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be loaded as a vision-language model") as caught:
        load_backbone(folder / "encoder")
    assert all(kind in caught.value.hint for kind in families())
