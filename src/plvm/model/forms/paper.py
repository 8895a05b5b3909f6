"""The form "paper", section 3.1: f1 and f2 map the global token to `word` and `head`, the resampler T maps the patches to
`context`. With `bounded` (ours), every output keeps the size of the frozen rows, and training starts from a mean name.

Where a backbone takes for a concept only what is nearly such a row as it was pretrained with (the family `photo`), no gradient
leads there from random rows: training then starts from parts fitted to those rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.model.aligner import Aligner, AlignerConfig, FrozenRows, Rows
from plvm.model.heads import MLPHead, bounded
from plvm.model.resampler import Resampler

FITTED, AT_ONCE, RATE = 400, 256, 3e-3  # steps, references a step and rate of fitting to the rows of pretraining


class PaperAligner(Aligner):
    """f1, f2 and T of the paper; K+2 queries where the encoder has no global token (SAM)."""

    _pretrained: Mapping[str, Tensor] | None = None  # how the backbone's concepts were written in its pretraining

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
        if self.config.global_token and frozen.names is not None and "code.weight" in frozen.names:
            self._pretrained = frozen.names
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

    @property
    def reads_references(self) -> bool:
        return self._pretrained is not None

    @torch.enable_grad()
    def see_references(self, z: Tensor) -> None:
        """Learn to write as pretraining did, for mixtures of global tokens z [N, E]; patches are taken to be like these."""
        assert self._pretrained is not None
        optimizer = torch.optim.Adam(self.parameters(), lr=RATE)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, FITTED)
        random = torch.Generator().manual_seed(0)
        for _ in range(FITTED):
            mixed = F.normalize(torch.randn(AT_ONCE, len(z), generator=random) @ z, dim=-1) * z.norm(dim=-1).mean()
            pairs = zip(self(mixed, mixed[:, None]), pretrained_rows(self._pretrained, mixed, self.config), strict=True)
            loss = sum((F.mse_loss(own, known) / known.square().mean() for own, known in pairs), torch.zeros(()))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            falling.step()
        self.zero_grad(set_to_none=True)

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


@torch.no_grad()
def pretrained_rows(names: Mapping[str, Tensor], z: Tensor, config: AlignerConfig) -> Rows:
    """The rows of concepts with global tokens z [N, E] as the backbone was pretrained with them: `names` are the maps."""
    code = bounded(F.linear(z, names["code.weight"], names["code.bias"]), 1.0)
    word, head = (
        bounded(F.linear(code, names[f"{part}.linear.weight"], names[f"{part}.linear.bias"]), names[f"{part}.scale"])
        for part in ("word", "head")
    )
    context = names["tag"] * word + bounded(names["free.bias"], names["free_scale"])
    return Rows(word, head, context[:, None].expand(-1, config.context_tokens, -1))


FORM = PaperAligner
