"""The objective of ViT: classes. The global token tells the traits of the person in the picture."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from plvm_lab.families.encoders.objective import Objective
from plvm_lab.families.encoders.training_pictures import Pictures
from plvm_lab.families.mini.vision import Reader, jitter, list_index, to_pixels
from plvm_lab.portraits.person import PHRASES, SLOTS


class Classes(Objective):
    """Cross-entropy of linear read-outs of the global token, one per trait."""

    def __init__(self, encoder: Any, pictures: Pictures, batch: int, steps: int) -> None:
        self.encoder, self.pictures, self.batch = encoder, pictures, batch
        self.reader = Reader({s: len(PHRASES[s]) for s in SLOTS}, encoder.config.hidden_size)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "reader": self.reader}

    @property
    def result(self) -> Any:
        return self.encoder

    def losses(self, step: int, rng: random.Random) -> Mapping[str, Tensor]:
        rows = self.pictures.draw(rng, self.batch)
        shown = [self.pictures.truths[i]["people"][0]["traits"] for i in rows]
        target = {s: torch.tensor([list_index(s, traits[s]) for traits in shown]) for s in SLOTS}
        z = self.encoder(jitter(to_pixels(self.pictures.pixels(rows)))).last_hidden_state
        loss, hits = self.reader.loss(z[:, 0], target)
        return {"total": loss, "traits": hits}
