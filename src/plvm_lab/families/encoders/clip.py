"""The objective of CLIP: pictures and captions find each other in a batch. The text encoder is thrown away afterwards."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm_lab.families.encoders.objective import Objective
from plvm_lab.families.encoders.training_pictures import Pictures
from plvm_lab.families.mini.vision import jitter, to_pixels
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.person import PHRASES

TEXT_LAYERS = 2
PHRASES_IN_CAPTION = (3, 6)  # a caption tells some of what is to be seen, as captions do


def caption(truth: Mapping[str, Any], rng: random.Random) -> str:
    """A person's picture in words: some traits, the clothes, the activity, the place and the light."""
    (who,) = truth["people"]
    told = [PHRASES[slot][value] for slot, value in who["traits"].items()]
    phrases = rng.sample(told, rng.randint(*PHRASES_IN_CAPTION))
    clothes = f"a {who['color']} {S.CLOTHES[who['clothes']]}"
    where = f"{S.PLACES[truth['place']]} {S.LIGHTS[truth['light']]}"
    return f"a person with {', '.join(phrases)}, wearing {clothes}, {S.ACTIVITIES[who['activity']]} {where}"


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation."""
    return re.findall(r"[a-z-]+", text.lower())


class Captions(Objective):
    """The symmetric cross-entropy of a batch's likenesses between pictures and captions, with a learned temperature."""

    def __init__(self, encoder: Any, pictures: Pictures, batch: int, steps: int) -> None:
        from transformers import CLIPTextConfig, CLIPTextModel

        self.encoder, self.pictures, self.batch = encoder, pictures, batch
        rng = random.Random("plvm-captions")
        known = sorted({w for truth in pictures.truths for _ in range(8) for w in words_of(caption(truth, rng))})
        self.unknown, self.end = len(known), len(known) + 1
        self.ids = {word: i for i, word in enumerate(known)}
        width = encoder.config.hidden_size
        config = CLIPTextConfig(
            vocab_size=len(known) + 2, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=encoder.config.num_attention_heads, max_position_embeddings=64, projection_dim=width,
            bos_token_id=None, pad_token_id=self.end, eos_token_id=self.end,
        )  # fmt: skip
        self.text = CLIPTextModel(config)
        self.join: Any = nn.ModuleDict({k: nn.Linear(width, width, bias=False) for k in ("picture", "text")})
        self.join.register_parameter("sharpness", nn.Parameter(torch.tensor(2.66)))  # exp(2.66) = 1 / 0.07

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "text": self.text, "join": self.join}

    @property
    def result(self) -> Any:
        return self.encoder

    def tokens(self, captions: list[str]) -> Tensor:
        """int64[B, T], each caption closed and filled up by the end's id."""
        rows = [[self.ids.get(w, self.unknown) for w in words_of(c)][:63] for c in captions]
        longest = max(map(len, rows)) + 1
        return torch.tensor([[*r, *[self.end] * (longest - len(r))] for r in rows])

    def losses(self, step: int, rng: random.Random) -> Mapping[str, Tensor]:
        rows = self.pictures.draw(rng, self.batch)
        ids = self.tokens([caption(self.pictures.truths[i], rng) for i in rows])
        shown = self.encoder(jitter(to_pixels(self.pictures.pixels(rows)))).pooler_output
        said = self.text(ids).pooler_output
        left, right = F.normalize(self.join["picture"](shown).float()), F.normalize(self.join["text"](said).float())
        likeness = self.join.sharpness.clamp(max=4.6).exp() * left @ right.T
        own = torch.arange(len(rows))
        loss = (F.cross_entropy(likeness, own) + F.cross_entropy(likeness.T, own)) / 2
        return {"total": loss, "matched": (likeness.argmax(1) == own).float().mean()}
