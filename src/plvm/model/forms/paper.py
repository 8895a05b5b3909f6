"""The form "paper", section 3.1: f1 and f2 map the global token to `word` and `head`, the resampler T maps the patches to
`context`. With `bounded` (ours), every output keeps the size of the frozen rows, and training starts from a mean name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from plvm.model.aligner import Aligner, AlignerConfig, FrozenRows, Rows
from plvm.model.heads import MLPHead, bounded
from plvm.model.resampler import Resampler


class PaperAligner(Aligner):
    """f1, f2 and T of the paper; K+2 queries where the encoder has no global token (SAM)."""

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__(config)
        c = config
        extra = 0 if c.global_token else 2
        self.resampler = Resampler(c.encoder_width, c.resampler_width, c.context_tokens + extra, c.blocks, c.heads)
        self.out = nn.Linear(c.resampler_width, c.width)
        if c.global_token:
            self.word = MLPHead(c.encoder_width, c.mlp_hidden, c.width)
            self.head = MLPHead(c.encoder_width, c.mlp_hidden, c.width)
        if c.bounded:
            self.mean_rows = nn.Parameter(torch.zeros(2, c.width))
            self.scales = nn.Parameter(torch.full((3,), c.row_rms))

    @torch.no_grad()
    def start(self, frozen: FrozenRows) -> None:
        """Bounded: begin at the mean name of pretraining, or at the mean word, with the MLPs' last layers at zero."""
        if not (self.config.bounded and self.config.global_token):
            return
        names = frozen.names
        word, head = frozen.means if names is None else (names["word.linear.bias"], names["head.linear.bias"])
        self.mean_rows.copy_(torch.stack([word, head]))
        if names is not None:
            self.scales[:2] = torch.stack([names["word.scale"], names["head.scale"]])
        for mlp in (self.word, self.head):
            for parameter in mlp[4].parameters():
                nn.init.zeros_(parameter)

    def forward(self, z: Tensor | None, patches: Tensor) -> Rows:
        context = self.out(self.resampler(patches))
        if z is None:
            word, head, context = context[:, 0], context[:, 1], context[:, 2:]
        else:
            word, head = self.word(z), self.head(z)
        if not self.config.bounded:
            return Rows(word, head, context)
        return Rows(
            bounded(word + self.mean_rows[0], self.scales[0]),
            bounded(head + self.mean_rows[1], self.scales[1]),
            bounded(context, self.scales[2]),
        )


FORM = PaperAligner
