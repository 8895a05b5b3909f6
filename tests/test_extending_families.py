"""A new family of backbones is one file: a toy one, of a model type that plvm has never heard of, does all that the others do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, LlavaConfig, LlavaForConditionalGeneration

import hub
import plvm
from backbone_families import SHORT, stock_logits
from plvm.engine.gathered import gather
from plvm.engine.prefix import compute_prefixes
from plvm.engine.request import Request
from plvm.errors import CheckpointError
from plvm.model import backbones
from plvm.model.checkpoint import save_aligner
from plvm.model.pretrained import load_backbone
from plvm.prompt.image_first import Prompt
from toys import a_concept, an_aligner, awake, extended, picture

TOY = '''"""A toy family: every picture stands between two words, and people say what they want in capitals."""

from plvm.model.backbone_family import Family
from plvm.prompt.template import Template


class Toy(Family):
    types = ("toy_vlm",)

    def template(self):
        return Template(begin=f"{self.tokenizer.bos_token}WHAT: ", after_image=" \\n", first_gap="", user="WHAT:")

    def _ids(self, pixels, index, count):
        mark = tuple(self.tokenizer(" picture", add_special_tokens=False)["input_ids"])
        return (*mark, *(self.image_id,) * count, *mark)


FAMILY = Toy
'''


class ToyConfig(LlavaConfig):
    model_type = "toy_vlm"


class ToyModel(LlavaForConditionalGeneration):
    config_class = ToyConfig


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with a stock model of the new type, as the Hub would have it."""
    AutoConfig.register("toy_vlm", ToyConfig, exist_ok=True)
    AutoModelForImageTextToText.register(ToyConfig, ToyModel, exist_ok=True)
    torch.manual_seed(5)
    llava, tokenizer, processor = hub.llava()
    shape = {k: v for k, v in llava.config.to_dict().items() if k not in ("model_type", "architectures")}
    awake(ToyModel(ToyConfig(**shape)), 1).save_pretrained(tmp_path / "backbone")
    tokenizer.save_pretrained(tmp_path / "backbone")
    processor.save_pretrained(tmp_path / "backbone")
    return tmp_path / "backbone"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The family's one file, in a folder where families are looked for."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy_family.py").write_text(TOY)
    monkeypatch.setattr(backbones, "__path__", [*backbones.__path__, str(tmp_path / "more")])
    yield
    sys.modules.pop(f"{backbones.__name__}.toy_family", None)
    vars(backbones).pop("toy_family", None)


def test_without_its_file_the_model_is_refused_and_the_known_types_are_listed(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match='is that of a "toy_vlm" model') as caught:
        load_backbone(checkpoint)
    assert "qwen2_5_vl" in caught.value.hint and "toy_vlm" not in caught.value.hint


def test_with_it_the_model_enrols_asks_chats_and_recognises(toy: None, checkpoint: Path, tmp_path: Path) -> None:
    backbone = load_backbone(checkpoint)
    encoder = hub.write_encoder(tmp_path / "encoder", "dinov2")
    aligner = an_aligner(backbone, "paper", encoder_width=32, backbone="../backbone", encoder=f"../{encoder.name}")
    save_aligner(tmp_path / "aligner", aligner, backbone.template(), {})
    vlm = plvm.load(tmp_path / "aligner", device="cpu")
    billie, avril = vlm.enroll("billie", picture(11)), vlm.enroll("avril", picture(12))
    answer = vlm.ask(picture(1), "Where is <billie>?", [billie], SHORT)
    chat = vlm.chat(picture(1), [billie])
    assert chat.ask("Where is <billie>?", SHORT).text == answer.text != ""
    chat.add(avril)
    assert chat.ask("Is <avril> there?", SHORT).prompt_tokens > answer.prompt_tokens
    assert len(vlm.recognize([picture(1), picture(2)], [billie, avril])) == 2


def test_its_logits_are_those_of_the_stock_model_on_what_the_file_says(toy: None, checkpoint: Path) -> None:
    backbone = load_backbone(checkpoint, dtype=torch.float64)
    prompt = Prompt(backbone.tokenizer, backbone.template())
    concept = a_concept("billie", 0, backbone.width)
    prefix = compute_prefixes(backbone, prompt, [picture(1)])[0]
    g = gather(backbone, prompt, [Request(prefix, "Is <billie> here?", (concept,))])
    with torch.no_grad():
        hidden, _ = backbone.hidden(g.vocabulary.embed(g.ids, backbone.word_rows), g.past, g.layout.positions)
        ours = g.vocabulary.logits(hidden, backbone.head_rows)[0]

    pixels = backbone.image_processor(images=[picture(1)], return_tensors="pt")
    before, after = prompt.prefix()
    mark, image = (backbone.tokenizer(t, add_special_tokens=False)["input_ids"] for t in (" picture", "<image>"))
    written = [*before, *mark, *image * 16, *mark, *after]
    assert prefix.length == len(written) and "WHAT:" in backbone.tokenizer.decode(before)
    whole = torch.tensor([[*written, *g.ids[0].tolist()]])
    with torch.no_grad():
        theirs = stock_logits(extended(backbone, [concept]), {"input_ids": whole, **pixels})
    torch.testing.assert_close(ours, theirs[-len(ours) :, : backbone.vocabulary_size + 1], rtol=0, atol=1e-8)
