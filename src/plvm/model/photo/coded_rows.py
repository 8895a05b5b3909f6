"""The rows of tokens that carry a code, and the kinds of tokens, read off their rows.

A code (a unit vector `[W]`) stands in the directions in which the words' embeddings vary least; the rest of a row says what kind
of token it is: a face or a window at one of the known places, a name, a context token. Faces and things have directions of their
own, so a face is like no thing at all. The rows of faces and windows are written here; those of concepts come from an Aligner, so
what a row holds is read with a margin: it carries a code where it has more in the codes' directions than any word.
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
    """Of tokens `[B, T]`: the code each carries `[B, T, W]`, how much it is a concept `[B, T]` (0..1), a concept's context token,
    a face or a window, and the place of that `[B, T, P]` (one of P is 1)."""

    code: Tensor
    person: Tensor
    context: Tensor
    face: Tensor
    place: Tensor


class CodeRows(nn.Module):
    """Codes of `width` numbers, of which the last `thing_width` are those of things -> rows of tokens of `full` numbers, and
    back; `size` is a code's length in a row."""

    basis: Tensor
    quiet: Tensor

    def __init__(self, full: int, width: int, thing_width: int, places: int, size: float) -> None:
        super().__init__()
        self.size, self.face_width = size, width - thing_width
        self.register_buffer("basis", torch.zeros(width, full))
        self.register_buffer("quiet", torch.zeros(2))  # the most that a word has in the directions of faces, and of things
        self.face_row, self.context_row = nn.Parameter(0.05 * torch.randn(full)), nn.Parameter(0.05 * torch.randn(full))
        self.word_row, self.head_row = nn.Parameter(torch.zeros(full)), nn.Parameter(torch.zeros(full))
        self.place_rows = nn.Parameter(0.05 * torch.randn(places, full))
        self.head_size = nn.Parameter(torch.tensor(size))

    @torch.no_grad()
    def begin(self, embeddings: Tensor) -> None:
        """Put codes into the directions that the words' rows `embeddings [V, D]` leave free."""
        self.basis.copy_(free_directions(embeddings, len(self.basis)))
        self.quiet.copy_(_MARGIN * self._sizes(embeddings @ self.basis.T).amax(0))

    def _sizes(self, inside: Tensor) -> Tensor:
        """How long `inside [..., W]` is in the directions of faces, and of things: `[..., 2]`."""
        parts = inside[..., : self.face_width], inside[..., self.face_width :]
        return torch.stack([part.norm(dim=-1) for part in parts], -1)

    def emptied(self, x: Tensor) -> Tensor:
        """`x [..., D]` without what it has in the codes' directions."""
        return x - (x @ self.basis.T) @ self.basis

    def last(self, state: Tensor, copied: Tensor) -> Tensor:
        """The last states `[B, T, D]` with nothing but the codes `copied [B, T, W]` in the directions that say names."""
        said = self.basis[: self.face_width]
        return state - (state @ said.T) @ said + self.spoken(copied) @ said

    def spoken(self, codes: Tensor) -> Tensor:
        """Codes `[..., W]` as names are told apart by `[..., F]`, in the directions of faces alone: the last states of words
        need all others. Of a thing's code the first numbers have to do."""
        face, thing = codes.split([self.face_width, codes.shape[-1] - self.face_width], -1)
        short = thing[..., : self.face_width]
        return face + F.pad(short, (0, self.face_width - short.shape[-1]))

    def of_faces(self, codes: Tensor) -> Tensor:
        """Codes of faces `[..., F]` among those of everything `[..., W]`."""
        return F.pad(codes, (0, len(self.basis) - self.face_width))

    def of_things(self, codes: Tensor) -> Tensor:
        """Codes of things `[..., W - F]` among those of everything `[..., W]`."""
        return F.pad(codes, (self.face_width, 0))

    def seen(self, codes: Tensor, places: Tensor) -> Tensor:
        """Rows `[N, D]` of faces and windows with `codes [N, W]` at the places int64[N]."""
        return self.size * codes @ self.basis + self.emptied(self.face_row + self.place_rows[places])

    def concepts(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Word, head and context rows `[N, D]` of concepts with `codes [N, W]`, as the language model was pretrained on them."""
        code, said = self.size * codes @ self.basis, self.basis[: self.face_width]
        head = self.head_size * self.spoken(codes) @ said + self.emptied(self.head_row)
        return code + self.emptied(self.word_row), head, code + self.emptied(self.context_row)

    def kinds(self, rows: Tensor) -> Kinds:
        """What the tokens of `rows [B, T, D]` are."""
        with torch.autocast(rows.device.type, enabled=False):
            return self._read(rows)

    def _read(self, rows: Tensor) -> Kinds:
        inside = rows @ self.basis.T
        sizes = self._sizes(inside)
        sure = ((sizes - self.quiet) / (self.size - self.quiet) * 2).clamp(0, 1).amax(-1)
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
        code = inside / inside.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        return Kinds(code, person, person * (2 * along).clamp(0, 1), face, marked)

    def kind_of(self, word: Tensor) -> str:
        """Whether a concept's word row `[D]` carries the code of a person's face or of a thing: "person" or "thing"."""
        face, thing = self._sizes(word.to(self.basis) @ self.basis.T)
        return "thing" if thing > face else "person"

    def names(self) -> dict[str, Tensor]:
        """How an Aligner of the form `anchored` whose code is of RMS 1 makes these rows: its parameters as training begins."""
        width, full = self.basis.shape
        found = {"code.weight": torch.eye(width), "code.bias": torch.zeros(width), "tag": torch.tensor(1.0)}
        said = self.spoken(torch.eye(width).to(self.basis)) @ self.basis[: self.face_width]
        for part, size, row, onto in (
            ("word", self.size, self.word_row, self.basis), ("head", self.head_size, self.head_row, said),
        ):  # fmt: skip
            bias = self.emptied(row)
            found[f"{part}.linear.weight"] = size / math.sqrt(width) * onto.T
            found[f"{part}.linear.bias"] = bias
            found[f"{part}.scale"] = ((size**2 + bias.square().sum()) / full).sqrt()
        found["free.bias"] = self.emptied(self.context_row - self.word_row)
        found["free_scale"] = found["free.bias"].square().mean().sqrt()
        return {name: value.detach().float().clone() for name, value in found.items()}


def free_directions(embeddings: Tensor, width: int) -> Tensor:
    """The `width` directions `[width, D]` in which `embeddings [V, D]` vary least."""
    _, vectors = torch.linalg.eigh(torch.cov(embeddings.T.double()))
    return vectors[:, :width].T.to(embeddings.dtype).contiguous()
