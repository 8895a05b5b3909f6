"""Two heads between the layers of a language model that compare codes of faces and windows with those of people and things.

Codes are read from the inputs, never from the residual stream: after a few layers it has a norm of hundreds and no direction of
it is free. What a head adds is in units of the stream's own size (RMS) at that place. Like attention, a head sees what stands
before a token and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_NOTHING = 1e-6  # instead of 0, where a logarithm is taken


@dataclass(frozen=True, eq=False)
class Found:
    """The N tokens of one kind among all S of each row: where they stand int64[B, N], their codes `[B, N, W]`, how much they are
    of that kind `[B, N]`, and which of them each of T tokens sees bool[B, T, N]."""

    at: Tensor
    codes: Tensor
    marks: Tensor
    seen: Tensor

    @classmethod
    def among(cls, codes: Tensor, marks: Tensor, seen: Tensor) -> Found:
        """Those with a mark above 0 among `codes [B, S, W]` with `marks [B, S]`, of which T tokens see `seen` bool[B, T, S]."""
        there = marks > 0
        count = int(there.sum(1).max())
        at = there.int().argsort(dim=1, descending=True, stable=True)[:, :count]
        own = marks.gather(1, at)
        visible = (seen & there[:, None]).gather(2, at[:, None].expand(-1, seen.shape[1], -1))
        return cls(at, codes.gather(1, at[..., None].expand(-1, -1, codes.shape[-1])), own, visible)

    def of(self, values: Tensor) -> Tensor:
        """Theirs of `values [B, S, X]`."""
        return values.gather(1, self.at[..., None].expand(-1, -1, values.shape[-1]))

    def share(self, scores: Tensor, null: Tensor) -> Tensor:
        """The softmax of `scores [B, T, N]` over those that are seen, each as far as it is marked, and over `null`, which comes
        last: `[B, T, N + 1]`."""
        weighed = scores + self.marks.clamp(min=_NOTHING).log()[:, None]
        weighed = weighed.masked_fill(~self.seen, float("-inf"))
        return torch.cat([weighed, null.expand(*weighed.shape[:-1], 1)], -1).softmax(-1)


class Bar(nn.Module):
    """How alike two codes have to be, for faces and for things: a gain and a threshold of each. The numbers of a code from
    `face_width` on are those of things."""

    def __init__(self, face_width: int, null: float) -> None:
        super().__init__()
        self.face_width = face_width
        self.gain, self.null = nn.Parameter(torch.tensor(15.0)), nn.Parameter(torch.tensor(null))
        self.thing_gain, self.thing_null = nn.Parameter(torch.tensor(15.0)), nn.Parameter(torch.tensor(0.4))

    def forward(self, ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
        """(scores `[B, T, N]` of codes `ours [B, T, W]` for `theirs [B, N, W]`, the score `[B, T, 1]` of nothing). A thing is
        never taken for a face."""
        thing, other = (codes[..., self.face_width :].square().sum(-1, keepdim=True) for codes in (ours, theirs))
        same = thing * other.mT + (1 - thing) * (1 - other).mT
        gain = torch.lerp(self.gain, self.thing_gain, thing)
        alike = torch.einsum("btw,bnw->btn", ours, theirs)
        return gain * alike + same.clamp(min=_NOTHING).log(), gain * torch.lerp(self.null, self.thing_null, thing)


class ConceptsLookAround(nn.Module):
    """Head 1: at every token of a concept its code looks at the faces and windows or at nothing, and says where, or not here."""

    def __init__(self, places: int, width: int, face_width: int) -> None:
        super().__init__()
        self.bar = Bar(face_width, 0.4)
        self.here, self.not_here = nn.Parameter(0.1 * torch.randn(width)), nn.Parameter(0.1 * torch.randn(width))
        self.places = nn.Parameter(0.1 * torch.randn(places, width))

    def forward(self, codes: Tensor, faces: Found, places: Tensor) -> Tensor:
        """What tokens with `codes [B, T, W]` get `[B, T, D]`; `places [B, N, P]` are where the faces are."""
        share = faces.share(*self.bar(codes, faces.codes))
        seen, none = share[..., :-1], share[..., -1:]
        return seen @ (places @ self.places) + (1 - none) * self.here + none * self.not_here


class NamesForPlaces(nn.Module):
    """Head 2: any token may point at concepts (as the sentence means them) or at faces and windows (by place), and gets the code
    of what it points at; a face's code first looks for the concept it belongs to, or for nobody. Of concepts it also gets where
    they are, so that a place can be said as a name can."""

    def __init__(self, places: int, width: int, inner: int, face_width: int) -> None:
        super().__init__()
        self.to_person, self.of_person = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.to_face, self.of_face = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.of_place = nn.Linear(width, inner, bias=False)
        self.gates = nn.Linear(width, 2)
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(self.gates.bias, -1.0)
        self.bar = Bar(face_width, 0.45)
        self.code_size = nn.Parameter(torch.tensor(4.0))
        self.known, self.stranger = nn.Parameter(0.1 * torch.randn(width)), nn.Parameter(0.1 * torch.randn(width))
        self.places, self.away = nn.Parameter(0.1 * torch.randn(places, width)), nn.Parameter(0.1 * torch.randn(width))
        self.place_gate = nn.Linear(width, 1)
        nn.init.zeros_(self.place_gate.weight)

    def keys(self, x: Tensor, face: Tensor, places: Tensor) -> Tensor:
        """What tokens are pointed at by `[B, T, inner]`: `x [B, T, D]` is the stream over its RMS, `face [B, T]` says which are
        faces and `places [B, T, D]` are the rows of their places."""
        return torch.where(face[..., None] > 0, self.of_face(x) + self.of_place(places), self.of_person(x))

    def forward(self, x: Tensor, keys: Tensor, faces: Found, people: Found, places: Tensor) -> tuple[Tensor, Tensor]:
        """What each token gets `[B, T, D]`, and the code that it copies `[B, T, W]` (longer, the surer it is); `keys [B, S,
        inner]` are those of all tokens, `places [B, N, P]` are where the faces are."""
        direct = _pointed(self.to_person(x), keys, people)
        looked = self.looked(x, keys, faces)
        by_face = self._onward(looked, faces, people)
        person_gate, face_gate = self.gates(x).sigmoid().split(1, -1)
        share = person_gate * direct + face_gate * by_face
        known = by_face.sum(-1, keepdim=True)
        strange = looked.sum(-1, keepdim=True) - known
        stands = self._onward(direct, people, faces)
        away = direct.sum(-1, keepdim=True) - stands.sum(-1, keepdim=True)
        got = face_gate * (known * self.known + strange * self.stranger)
        got = got + self.place_gate(x).sigmoid() * (stands @ (places @ self.places) + away * self.away)
        return got, self.code_size * (share @ people.codes)

    def looked(self, x: Tensor, keys: Tensor, faces: Found) -> Tensor:
        """How much each token points at each of the faces and windows `[B, T, N]`; arguments as for `forward`."""
        return _pointed(self.to_face(x), keys, faces)

    def _onward(self, meant: Tensor, these: Found, those: Found) -> Tensor:
        """How much each token that means M of `these` `[B, T, M]` thereby means the N of `those` like them `[B, T, N]`."""
        alike, null = self.bar(these.codes, those.codes)
        tokens, count = meant.shape[1:]
        each = Found(those.at, those.codes, those.marks, those.seen.repeat_interleave(count, 1))
        share = each.share(alike.repeat(1, tokens, 1), null.repeat(1, tokens, 1))[..., :-1]
        return torch.einsum("btm,btmn->btn", meant, share.unflatten(1, (tokens, count)))


def _pointed(queries: Tensor, keys: Tensor, these: Found) -> Tensor:
    """How much tokens with `queries [B, T, inner]` point at these by their `keys [B, S, inner]`, `[B, T, N]`; the rest of 1 is at
    none of them."""
    scores = torch.einsum("bti,bni->btn", queries, these.of(keys)) / math.sqrt(keys.shape[-1])
    return these.share(scores, queries.new_zeros(()))[..., :-1]
