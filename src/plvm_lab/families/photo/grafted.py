"""A pretrained Llama that compares codes: low-rank updates, and two heads grafted between its layers.

Codes are read from the inputs, never from the residual stream: after a few layers it has a norm of hundreds and no direction
of it is free. For the same reason the last state is emptied in the codes' directions before a name is scored there, and holds
what head 2 copied into them. What a head adds to the stream is scaled by the stream's own size (RMS) at that place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM

SIZE = 3.0  # of a code among the inputs, whose norm is 3.2
_EPSILON = 1e-6


@dataclass(frozen=True, eq=False)
class CodeBatch:
    """Rows of tokens beside the codes they mean. `ids [B, T]`: words of the language below V, then V + c the name of person c of
    the row, V + C + c its context token, V + 2 C + f face f. `positions [B, T]`, `sees [B, T, T]` (True: may look there), `faces
    [B, F, W]`, `faces_there [B, F]`, `places [B, F]` (rows of the table of places), `people [B, C, W]`, `people_there [B, C]`."""

    ids: Tensor
    positions: Tensor
    sees: Tensor
    faces: Tensor
    faces_there: Tensor
    places: Tensor
    people: Tensor
    people_there: Tensor


class LowRank(nn.Module):
    """A frozen linear layer and a low-rank update of it, zero at birth."""

    def __init__(self, frozen: nn.Linear, rank: int) -> None:
        super().__init__()
        self.frozen = frozen
        self.down = nn.Parameter(torch.randn(rank, frozen.in_features) / math.sqrt(frozen.in_features))
        self.up = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.frozen(x) + functional.linear(functional.linear(x, self.down), self.up)


class PeopleLookForFaces(nn.Module):
    """Head 1: at every token of a person that person's code looks at the faces or at nothing, and says where, or not here."""

    def __init__(self, places: Tensor) -> None:
        super().__init__()
        width = places.shape[1]
        self.gain, self.null = nn.Parameter(torch.tensor(15.0)), nn.Parameter(torch.tensor(0.4))
        self.here, self.not_here = nn.Parameter(0.1 * _random(width)), nn.Parameter(0.1 * _random(width))
        self.places = nn.Parameter(0.1 * places.clone())

    def forward(self, batch: CodeBatch) -> Tensor:
        """What each person's tokens get `[B, C, D]`, in units of the stream's RMS."""
        alike = torch.einsum("bcw,bfw->bcf", batch.people, batch.faces)
        share = _with_null(self.gain * alike, self.gain * self.null, batch.faces_there[:, None])
        seen, none = share[..., :-1], share[..., -1:]
        return seen @ self.places[batch.places] + (1 - none) * self.here + none * self.not_here


class NamesForPlaces(nn.Module):
    """Head 2: any token may point at people (as the sentence means them) or at faces (by place), and gets the code of whom it
    points at; a face's code first looks for the person it belongs to, or for nobody."""

    def __init__(self, width: int, inner: int = 64) -> None:
        super().__init__()
        self.to_person, self.of_person = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.to_face, self.of_face = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.of_place = nn.Linear(width, inner, bias=False)
        self.gates = nn.Linear(width, 2)
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(self.gates.bias, -1.0)
        self.gain, self.null = nn.Parameter(torch.tensor(15.0)), nn.Parameter(torch.tensor(0.45))
        self.code_size = nn.Parameter(torch.tensor(4.0))
        self.known, self.stranger = nn.Parameter(0.1 * _random(width)), nn.Parameter(0.1 * _random(width))

    def forward(self, x: Tensor, batch: CodeBatch, tokens: tuple[Tensor, Tensor], places: Tensor) -> tuple[Tensor, Tensor]:
        """What each token gets `[B, T, D]`, in units of the RMS of the stream, and the code it copies `[B, T, W]` (longer, the
        surer it is); `x` is the stream over its RMS, `tokens` where the faces `[B, F]` and the context tokens of people `[B, C]`
        stand, `places [B, F, D]` the faces' place rows."""
        faces, people = (x.gather(1, at[..., None].expand(-1, -1, x.shape[-1])) for at in tokens)
        root = 1 / math.sqrt(self.to_person.out_features)
        to_people = torch.einsum("bti,bci->btc", self.to_person(x), self.of_person(people)) * root
        direct = _with_null(to_people, to_people.new_zeros(()), batch.people_there[:, None])[..., :-1]
        to_faces = torch.einsum("bti,bfi->btf", self.to_face(x), self.of_face(faces) + self.of_place(places)) * root
        looked = _with_null(to_faces, to_faces.new_zeros(()), batch.faces_there[:, None])[..., :-1]
        alike = torch.einsum("bfw,bcw->bfc", batch.faces, batch.people)
        belongs = _with_null(self.gain * alike, self.gain * self.null, batch.people_there[:, None])
        by_face = looked @ belongs  # [B, T, C + 1], the last is nobody
        person_gate, face_gate = self.gates(x).sigmoid().split(1, -1)
        share = person_gate * direct + face_gate * by_face[..., :-1]
        code = self.code_size * (share @ batch.people)
        known, nobody = by_face[..., :-1].sum(-1, keepdim=True), by_face[..., -1:]
        return face_gate * (known * self.known + nobody * self.stranger), code


class Grafted(nn.Module):
    """A frozen language model with updates and heads. `basis [W, D]`: the directions of its embeddings that vary least."""

    basis: Tensor

    def __init__(
        self, language: LlamaForCausalLM, width: int, place_words: list[list[int]], name_words: list[int]
    ) -> None:
        super().__init__()
        self.language = language.requires_grad_(False)
        weight = language.get_input_embeddings().weight.detach().float()
        self.register_buffer("basis", free_directions(weight, width))
        for layer in language.model.layers:
            for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
                setattr(layer.self_attn, name, LowRank(getattr(layer.self_attn, name), 16))
            layer.mlp.down_proj = LowRank(layer.mlp.down_proj, 8)
        rows = torch.stack([weight[ids].mean(0) for ids in place_words])
        rows = functional.normalize(rows, dim=-1) * math.sqrt(weight.shape[1])  # RMS 1
        name = weight[name_words].mean(0)
        self.face_row = nn.Parameter(_random(weight.shape[1]) * 0.05)
        self.context_row = nn.Parameter(_random(weight.shape[1]) * 0.05)
        self.word_row, self.head_row = nn.Parameter(name.clone()), nn.Parameter(name.clone())
        self.head_size = nn.Parameter(torch.tensor(3.0))
        self.place_rows = nn.Parameter(rows * 0.05)
        self.looks, self.names = PeopleLookForFaces(rows), NamesForPlaces(weight.shape[1])
        self.after_looks, self.after_names = 4, 22

    def forward(self, batch: CodeBatch, wanted: Tensor) -> Tensor:
        """Scores `[N, V + C]` of what follows each of the `wanted [B, T]` (True) tokens: the language's words, then names."""
        language, people = self.language.model, batch.people.shape[1]
        which, kinds = self._kinds(batch)
        places = self.place_rows[batch.places]
        x = self._inputs(batch, which, kinds, places)
        tokens = tuple(_where(batch.ids - self.language.config.vocab_size, low, high) for low, high in _ranges(batch)[:0:-1])
        angles = language.rotary_emb(x, batch.positions)
        copied = x.new_zeros(*x.shape[:2], batch.people.shape[-1])
        for number, layer in enumerate(language.layers):
            if number == self.after_looks:
                got = self.looks(batch).gather(1, which.clamp(max=people - 1)[..., None].expand(-1, -1, x.shape[-1]))
                x = x + (kinds[0] | kinds[1])[..., None] * got * _rms(x)
            if number == self.after_names:
                size = _rms(x)
                got, copied = self.names(x / size, batch, tokens, places)
                x = x + got * size
            x = layer(x, attention_mask=batch.sees[:, None], position_ids=batch.positions, position_embeddings=angles)
        x = self._emptied(language.norm(x)[wanted]) + copied[wanted] @ self.basis
        row = wanted.nonzero()[:, 0]
        heads = (batch.people @ self.basis * self.head_size + self._emptied(self.head_row))[row]
        named = torch.einsum("nd,ncd->nc", x, heads).masked_fill(~batch.people_there[row], -torch.inf)
        return torch.cat([self.language.lm_head(x).float(), named], -1)

    def _kinds(self, batch: CodeBatch) -> tuple[Tensor, list[Tensor]]:
        """Of every token `[B, T]` whose it is, and whether it is a name, a context token, a face."""
        special = batch.ids - self.language.config.vocab_size
        ranges = _ranges(batch)
        kinds = [(special >= low) & (special < high) for low, high in ranges]
        return sum((special - low) * kind for (low, _), kind in zip(ranges, kinds)), kinds

    def _inputs(self, batch: CodeBatch, which: Tensor, kinds: list[Tensor], places: Tensor) -> Tensor:
        """The rows that go in `[B, T, D]`: words, and codes in the directions that words leave free."""
        x = self.language.model.embed_tokens(batch.ids.clamp(max=self.language.config.vocab_size - 1)).float()
        people, faces = batch.people @ self.basis * SIZE, batch.faces @ self.basis * SIZE
        for kind, rows in zip(kinds, (people + self.word_row, people + self.context_row, faces + self.face_row + places)):
            own = rows.gather(1, which.clamp(max=rows.shape[1] - 1)[..., None].expand(-1, -1, rows.shape[-1]))
            x = torch.where(kind[..., None], own, x)
        return x

    def _emptied(self, x: Tensor) -> Tensor:
        """`x [..., D]` without what it has in the codes' directions."""
        return x - functional.linear(functional.linear(x, self.basis), self.basis.T)

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained, by name."""
        return {name: p for name, p in self.named_parameters() if p.requires_grad}


def free_directions(embeddings: Tensor, width: int) -> Tensor:
    """The `width` directions `[width, D]` in which `embeddings [V, D]` vary least."""
    _, vectors = torch.linalg.eigh(torch.cov(embeddings.T.double()))
    return vectors[:, :width].T.float().contiguous()


def _ranges(batch: CodeBatch) -> list[tuple[int, int]]:
    """Which ids, less the vocabulary's, are names, context tokens and faces."""
    people, faces = batch.people.shape[1], batch.faces.shape[1]
    return [(0, people), (people, 2 * people), (2 * people, 2 * people + faces)]


def _where(special: Tensor, low: int, high: int) -> Tensor:
    """Where the ids from `low` to `high` stand first in each row `[B, high - low]`; 0 for those that do not."""
    return (special[:, None] == torch.arange(low, high)[:, None]).int().argmax(-1)


def _random(width: int) -> Tensor:
    return torch.randn(width)


def _rms(x: Tensor) -> Tensor:
    """The size of every token's state; with an epsilon, or padding turns all gradients into NaN."""
    return (x.detach() ** 2).mean(-1, keepdim=True).add(_EPSILON).sqrt()


def _with_null(scores: Tensor, null: Tensor, there: Tensor) -> Tensor:
    """The softmax over `scores [..., N]` where `there`, and over a null that comes last: `[..., N + 1]`."""
    scores = scores.masked_fill(~there, -torch.inf)
    return torch.cat([scores, null.expand(*scores.shape[:-1], 1)], -1).softmax(-1)
