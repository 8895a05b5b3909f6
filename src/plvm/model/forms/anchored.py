"""The form "anchored", ours: each context token is a mixture of the backbone's own frozen word embeddings - what a small language
model can already read - plus a few free tokens, or free ones alone where the backbone was pretrained with such. The name's rows
come from a short code of the global token, and every context token carries a share of its owner's word row, so that two
people's tokens cannot be confused."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm.model.aligner import Aligner, AlignerConfig, FrozenRows, Rows
from plvm.model.heads import BoundedRow, bounded
from plvm.model.resampler import Resampler
from plvm.products import product

NUMBERS = 2**20  # of the words that are read at a time: they fit into a processor's caches


class AnchoredAligner(Aligner):
    """Context tokens anchored in the frozen word embeddings, a few free ones, bounded name rows.

    Where the encoder has no global token (SAM), one more query, the last, makes the code of the name's rows.
    """

    word_supervision = True
    word_rows: Tensor
    lengths: Tensor
    _given = False  # whether the backbone says how a code is read

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
        self.register_buffer("lengths", torch.ones(1), persistent=False)

    @property
    def reads_references(self) -> bool:
        return self.config.global_token and not self._given

    def start(self, frozen: FrozenRows) -> None:
        """Begin with what the backbone was pretrained with: the maps from a code to a name's rows and, where it says so, how a
        code is read and what a free token is before it has learned anything."""
        if frozen.names is None:
            return
        self.load_state_dict(dict(frozen.names), strict=False)
        self._given = "code.weight" in frozen.names
        if "free.bias" in frozen.names:
            nn.init.zeros_(self.free.weight)

    @torch.no_grad()
    def see_references(self, z: Tensor) -> None:
        """Let codes begin with independent coordinates of variance 1 over global tokens z [N, E]."""
        mean = z.mean(0)
        _, scale, basis = torch.linalg.svd(z - mean, full_matrices=False)
        rows = basis[: self.code.out_features] / scale[: self.code.out_features, None].clamp(min=1e-6) * len(z) ** 0.5
        self.code.weight[: len(rows)] = rows
        self.code.bias[: len(rows)] = -rows @ mean

    def extra_loss(self, z_ref: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the words int64[N, A] that anchored tokens point at, and the share that is right. Tokens beyond the
        words, and words beyond the tokens, do not count."""
        logits, _ = self.word_logits(z_ref[:, 1:] if self.config.global_token else z_ref)
        count = min(logits.shape[1], words.shape[-1])
        guess, target = logits[:, :count].flatten(0, 1), words[:, :count].flatten()
        return F.cross_entropy(guess, target), (guess.argmax(-1) == target).float().mean()

    def use_words(self, word_rows: Tensor) -> None:
        self.word_rows = word_rows.detach().float()
        self.lengths = self.word_rows.norm(dim=-1).clamp(min=1e-12)

    def word_logits(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """patches [N, L, E] -> logits [N, K - free, V] over the backbone's words, and the resampler's output [N, K, W], or
        [N, K+1, W] without a global token."""
        h = self.resampler(patches)
        return product(self._pointers(h), self.word_rows.to(h)) / self.lengths.to(h), h

    def _pointers(self, h: Tensor) -> Tensor:
        """The resampler's output -> where anchored tokens point [N, K - free, D], of the length `sharpness`."""
        anchored = h[:, : self.config.context_tokens - self.config.free_tokens]
        return self.sharpness * F.normalize(self.point(anchored), dim=-1)

    def _mixed(self, pointers: Tensor) -> Tensor:
        """The words' rows mixed by the softmax of the logits of pointers [N, A, D]: [N, A, D]. Many words are read once, some at
        a time; whenever a larger logit is met, what was mixed before weighs less."""
        size = max(1, NUMBERS // self.word_rows.shape[1])
        parts = list(zip(self.word_rows.split(size), self.lengths.split(size), strict=True))
        if len(parts) == 1:
            rows = self.word_rows.to(pointers)
            return product(self._logits(pointers, rows, self.lengths).softmax(-1).to(rows), rows.T)
        largest = pointers.new_full((*pointers.shape[:-1], 1), float("-inf"), dtype=self.word_rows.dtype)
        total, mixed = torch.zeros_like(largest), pointers.new_zeros(())
        for rows, lengths in parts:
            own = rows.to(pointers)
            logits = self._logits(pointers, own, lengths)
            before, largest = largest, torch.maximum(largest, logits.detach().amax(-1, keepdim=True))
            weights, less = (logits - largest).exp(), (before - largest).exp()
            total, mixed = less * total + weights.sum(-1, keepdim=True), less * mixed + product(weights.to(own), own.T)
        return mixed / total

    def _logits(self, pointers: Tensor, rows: Tensor, lengths: Tensor) -> Tensor:
        """How well pointers [N, A, D] point at words [V, D] of these lengths, precisely: [N, A, V]."""
        precise = torch.promote_types(pointers.dtype, self.word_rows.dtype)
        return (product(pointers, rows) / lengths.to(pointers)).to(precise)

    def forward(self, z: Tensor | None, patches: Tensor) -> Rows:
        h = self.resampler(patches)
        z, h = (h[:, -1], h[:, :-1]) if z is None else (z, h)
        code = bounded(self.code(z), 1.0)
        word, head = self.word(code), self.head(code)
        pointers = self._pointers(h)
        words = self._mixed(pointers) if pointers.shape[1] else pointers  # no word is read for nobody
        free = bounded(self.free(h[:, words.shape[1] :]), self.free_scale)
        return Rows(word, head, torch.cat([words, free], 1) + self.tag * word.unsqueeze(1))


FORM = AnchoredAligner
