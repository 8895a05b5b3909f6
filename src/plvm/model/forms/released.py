"""The form "released": the architecture of the authors' checkpoint."""

from __future__ import annotations

import torch
from torch import Tensor

from plvm.errors import CheckpointError
from plvm.model.aligner import Aligner, AlignerConfig, Rows
from plvm.model.heads import MLPHead
from plvm.model.resampler import PerceiverResampler


class ReleasedAligner(Aligner):
    """The resampler reads all tokens; its query 0 is the word, the others are the context."""

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__(config)
        c = config
        self.resampler = PerceiverResampler(c.encoder_width, c.width, c.context_tokens + 1, c.blocks, c.heads)
        self.head = MLPHead(c.encoder_width, c.mlp_hidden, c.width)

    def forward(self, z: Tensor | None, patches: Tensor) -> Rows:
        if z is None:
            raise CheckpointError("The released form needs an encoder with a global token.", "Use DINOv2, CLIP or ViT.")
        out = self.resampler(torch.cat([z.unsqueeze(1), patches], 1))
        return Rows(out[:, 0], self.head(z), out[:, 1:])


FORM = ReleasedAligner
