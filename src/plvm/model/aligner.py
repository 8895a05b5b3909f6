"""The Aligner: encoder features of a reference -> concept tokens. The only trainable thing of the whole system.

Three architectures behind one config:

    paper      f1 and f2 map the global token to `word` and `head`, the resampler T maps the patches to `context` (section 3.1).
               With `bounded`, f1 and f2 start from the mean row and every output keeps the size of the frozen rows.
    released   the authors' checkpoint: query 0 of a Perceiver resampler is `word`, the others are `context`.
    anchored   ours: each context token is a mixture of the backbone's own frozen word embeddings - what a small language model
               can already read - plus a few free tokens; the name's rows come from a short code of the global token, and every
               context token carries a share of its owner's word row, so that two people's tokens cannot be confused.

All take z_ref [N, L, E], or [N, R, L, E] for R references of each concept: global tokens are averaged, the patches of all
references stand side by side as keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.errors import CheckpointError
from plvm.model.heads import BoundedRow, MLPHead, bounded
from plvm.model.resampler import PerceiverResampler, Resampler

ARCHITECTURES = ("paper", "released", "anchored")


@dataclass(frozen=True)
class AlignerConfig:
    """Everything that decides an Aligner's shape; the defaults are the paper's with LLaVA-1.5-7B and DINOv2-base.

    `row_rms` is the root-mean-square of the backbone's frozen word rows, used by the bounded forms. `backbone` and `encoder`
    name the frozen parts: a Hub id, or a folder relative to the Aligner's own.
    """

    architecture: str = "paper"
    encoder_width: int = 768
    width: int = 4096
    context_tokens: int = 16
    mlp_hidden: int = 4096
    resampler_width: int = 1024
    blocks: int = 4
    heads: int = 16
    global_token: bool = True
    bounded: bool = False
    row_rms: float = 0.0
    free_tokens: int = 2
    code_width: int = 48
    backbone: str = ""
    encoder: str = ""
    version: int = 1

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise CheckpointError(
                f"There is no Aligner architecture {self.architecture!r}.",
                f"Choose one of: {', '.join(ARCHITECTURES)}.",
            )


class Rows(NamedTuple):
    """A batch of concept tokens: word [N, D], head [N, D], context [N, K, D]."""

    word: Tensor
    head: Tensor
    context: Tensor


class Aligner(nn.Module):
    """The base of the three architectures; `build_aligner` picks one."""

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__()
        self.config = config

    def tokens_from_features(self, z_ref: Tensor) -> Rows:
        """z_ref [N, L, E] or [N, R, L, E] -> word, head [N, D] and context [N, K, D]."""
        if z_ref.ndim == 3:
            z_ref = z_ref.unsqueeze(1)
        if not self.config.global_token:
            return self(None, z_ref.flatten(1, 2))
        return self(z_ref[:, :, 0].mean(1), z_ref[:, :, 1:].flatten(1, 2))

    def use_words(self, word_rows: Tensor) -> None:
        """Hand over the backbone's frozen word embeddings [V, D]; only the anchored form reads them."""


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

    def start_from(self, word: Tensor, head: Tensor) -> None:
        """Bounded form: begin at these mean rows [D], with the MLPs' last layers at zero."""
        with torch.no_grad():
            self.mean_rows.copy_(torch.stack([word, head]))
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


class ReleasedAligner(Aligner):
    """The architecture of the authors' checkpoint: the resampler reads all tokens, query 0 is the word."""

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


class AnchoredAligner(Aligner):
    """Context tokens anchored in the frozen word embeddings, a few free ones, bounded name rows.

    Where the encoder has no global token (SAM), one more query, the last, makes the code of the name's rows.
    """

    word_rows: Tensor
    directions: Tensor

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__(config)
        c = config
        extra = 0 if c.global_token else 1
        self.code = nn.Linear(c.encoder_width if c.global_token else c.resampler_width, c.code_width)
        self.word = BoundedRow(c.code_width, c.width, c.row_rms)
        self.head = BoundedRow(c.code_width, c.width, c.row_rms)
        self.resampler = Resampler(c.encoder_width, c.resampler_width, c.context_tokens + extra, c.blocks, c.heads)
        self.point = nn.Linear(c.resampler_width, c.width)
        self.free = nn.Linear(c.resampler_width, c.width)
        self.sharpness = nn.Parameter(torch.tensor(16.0))
        self.free_scale = nn.Parameter(torch.tensor(c.row_rms))
        self.tag = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("word_rows", torch.zeros(1, c.width), persistent=False)
        self.register_buffer("directions", torch.zeros(1, c.width), persistent=False)

    def use_words(self, word_rows: Tensor) -> None:
        self.word_rows = word_rows.detach().float()
        self.directions = F.normalize(self.word_rows, dim=-1)

    def word_logits(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """patches [N, L, E] -> logits [N, K - free, V] over the backbone's words, and the resampler's output [N, K, W], or
        [N, K+1, W] without a global token."""
        h = self.resampler(patches)
        anchored = h[:, : self.config.context_tokens - self.config.free_tokens]
        pointer = F.normalize(self.point(anchored), dim=-1)
        return self.sharpness * pointer @ self.directions.to(h).T, h

    def rows(self, z: Tensor, logits: Tensor, h: Tensor) -> Rows:
        """What the code is made of ([N, E], or [N, W] without a global token) and `word_logits` -> rows."""
        code = bounded(self.code(z), 1.0)
        word, head = self.word(code), self.head(code)
        words = logits.softmax(-1) @ self.word_rows.to(h)
        free = bounded(self.free(h[:, logits.shape[1] :]), self.free_scale)
        return Rows(word, head, torch.cat([words, free], 1) + self.tag * word.unsqueeze(1))

    def forward(self, z: Tensor | None, patches: Tensor) -> Rows:
        logits, h = self.word_logits(patches)
        return self.rows(h[:, -1], logits, h[:, :-1]) if z is None else self.rows(z, logits, h)


def build_aligner(config: AlignerConfig) -> Aligner:
    """An untrained Aligner of the config's architecture."""
    kinds = {"paper": PaperAligner, "released": ReleasedAligner, "anchored": AnchoredAligner}
    return kinds[config.architecture](config)
