"""The rows of tokens that carry a code, and the kinds of tokens, read off their rows.

A code (a unit vector `[W]`) stands in the directions in which the words' embeddings vary least; the rest of a row says what kind
of token it is: a face at one of the known places, a person's name, a person's context token. The rows of faces are written
here; those of people come from an Aligner, so what a row holds is read with a margin: it carries a code where it has more in the
codes' directions than any word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MARGIN = 1.01  # over the largest word, for rounding
_NEAR = 0.1  # of the face row's length: how far from the row that was written a face's row may be, by rounding


@dataclass(frozen=True, eq=False)
class Kinds:
    """Of tokens `[B, T]`: the code each carries `[B, T, W]`, how much it is a person `[B, T]` (0..1), a person's context token,
    a face, and the face's place `[B, T, P]` (one of P is 1)."""

    code: Tensor
    person: Tensor
    context: Tensor
    face: Tensor
    place: Tensor


class CodeRows(nn.Module):
    """Codes of `width` numbers -> rows of tokens of `full` numbers, and back; `size` is a code's length in a row."""

    basis: Tensor
    quiet: Tensor

    def __init__(self, full: int, width: int, places: int, size: float) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("basis", torch.zeros(width, full))
        self.register_buffer("quiet", torch.zeros(()))
        self.face_row, self.context_row = nn.Parameter(0.05 * torch.randn(full)), nn.Parameter(0.05 * torch.randn(full))
        self.word_row, self.head_row = nn.Parameter(torch.zeros(full)), nn.Parameter(torch.zeros(full))
        self.place_rows = nn.Parameter(0.05 * torch.randn(places, full))
        self.head_size = nn.Parameter(torch.tensor(size))

    @torch.no_grad()
    def begin(self, embeddings: Tensor) -> None:
        """Put codes into the directions that the words' rows `embeddings [V, D]` leave free."""
        self.basis.copy_(free_directions(embeddings, len(self.basis)))
        self.quiet.copy_(_MARGIN * (embeddings @ self.basis.T).norm(dim=-1).max())

    def emptied(self, x: Tensor) -> Tensor:
        """`x [..., D]` without what it has in the codes' directions."""
        return x - (x @ self.basis.T) @ self.basis

    def faces(self, codes: Tensor, places: Tensor) -> Tensor:
        """Rows `[F, D]` of faces with `codes [F, W]` at the places int64[F]."""
        return self.size * codes @ self.basis + self.emptied(self.face_row + self.place_rows[places])

    def people(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Word, head and context rows `[N, D]` of people with `codes [N, W]`, as the language model was pretrained on them."""
        code = codes @ self.basis
        word, context = self.emptied(self.word_row), self.emptied(self.context_row)
        return self.size * code + word, self.head_size * code + self.emptied(self.head_row), self.size * code + context

    def kinds(self, rows: Tensor) -> Kinds:
        """What the tokens of `rows [B, T, D]` are."""
        with torch.autocast(rows.device.type, enabled=False):
            return self._read(rows)

    def _read(self, rows: Tensor) -> Kinds:
        inside = rows @ self.basis.T
        size = inside.norm(dim=-1)
        sure = ((size - self.quiet) / (self.size - self.quiet) * 2).clamp(0, 1)
        rest = rows - inside @ self.basis
        known = self.emptied(self.face_row + self.place_rows)
        with torch.no_grad():
            exact = rest.double() if rest.dtype == torch.float64 else rest.float()
            away, place = torch.cdist(exact, known.to(exact).expand(len(rest), -1, -1)).min(-1)
        face = ((away < _NEAR * known.norm(dim=-1).mean()) & (sure > 0)).to(rows)
        person = sure * (1 - face)
        word, context = self.emptied(self.word_row), self.emptied(self.context_row)
        apart = context - word
        along = (rest - (word + context) / 2) @ apart / apart.square().sum().clamp(min=1e-12)  # -1/2 a name, 1/2 context
        marked = F.one_hot(place, len(known)).to(rows) * face[..., None]
        return Kinds(inside / size.clamp(min=1e-6)[..., None], person, person * (2 * along).clamp(0, 1), face, marked)

    def names(self) -> dict[str, Tensor]:
        """How an Aligner of the form `anchored` whose code is of RMS 1 makes these rows: its parameters as training begins."""
        width, full = self.basis.shape
        found = {"code.weight": torch.eye(width), "code.bias": torch.zeros(width), "tag": torch.tensor(1.0)}
        for part, size, row in (("word", self.size, self.word_row), ("head", self.head_size, self.head_row)):
            bias = self.emptied(row)
            found[f"{part}.linear.weight"] = size / math.sqrt(width) * self.basis.T
            found[f"{part}.linear.bias"] = bias
            found[f"{part}.scale"] = ((size**2 + bias.square().sum()) / full).sqrt()
        found["free.bias"] = self.emptied(self.context_row - self.word_row)
        found["free_scale"] = found["free.bias"].square().mean().sqrt()
        return {name: value.detach().float().clone() for name, value in found.items()}


def free_directions(embeddings: Tensor, width: int) -> Tensor:
    """The `width` directions `[width, D]` in which `embeddings [V, D]` vary least."""
    _, vectors = torch.linalg.eigh(torch.cov(embeddings.T.double()))
    return vectors[:, :width].T.to(embeddings.dtype).contiguous()
