"""Keys read off a picture: how alike each of its tokens is to each of many concepts, at the price of two products.

The backbone's own tokens of a picture tell, at the place where somebody is, what the encoder would say of a reference of theirs.
What they tell is read linearly, in the units of the reading's error; so everyone who is enrolled is compared with every place
without the language model, and only the likeliest are asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional as F

ROUNDS = 6  # of choosing the token that shows somebody, and reading again
SHRUNK = 0.1  # the readings' ridge, as a share of the mean variance
WHITENED = 0.05  # likewise, of the error's covariance


@dataclass(frozen=True, eq=False)
class Reader:
    """weight [D, E] and bias [E] read a key off a token; mean [E] and scale [E, E] bring stored keys to the same units."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    scale: Tensor

    @classmethod
    def known(cls, weight: Tensor) -> Reader:
        """A reader that need not be fitted: `weight` [D, E] reads keys as they are stored."""
        width = weight.shape[1]
        return cls(_kept(weight.cpu()), torch.zeros(width), torch.zeros(width), torch.eye(width))

    def likeness(self, tokens_PD: Tensor, keys_NE: Tensor) -> Tensor:
        """float32[P, N] in [-1, 1]: what each token of a picture reads like, beside each key."""
        read = tokens_PD.float().cpu() @ self.weight + self.bias
        known = (keys_NE.float().cpu() - self.mean) @ self.scale
        return F.normalize(read, dim=-1) @ F.normalize(known, dim=-1).T


def side_of(tokens: int) -> int:
    """The side of the square in which so many tokens lie; 0 where their number is no square."""
    side = isqrt(tokens)
    return side if side * side == tokens else 0


def near(places: Sequence[int], side: int) -> Tensor:
    """bool[N, N]: which of N places, each the number of a token in a square of `side`, are the same one or neighbours. With side
    0 they lie in no square, and only the same one is near."""
    at = torch.tensor(places, dtype=torch.long)
    if not side:
        return at[:, None] == at[None]
    rows, columns = at // side, at % side
    return ((rows[:, None] - rows[None]).abs() <= 1) & ((columns[:, None] - columns[None]).abs() <= 1)


def fit_reader(pictures: Sequence[Tensor], shown: Sequence[tuple[int, Tensor]]) -> Reader:
    """A reader from tokens [P, D] of pictures and `shown`: (number of a picture, key [E] of somebody who is in it), many.

    Where somebody is in a picture need not be known: the token that reads most like them is taken, and the reading fitted
    again.
    """
    flat = torch.cat([tokens.float() for tokens in pictures])
    middle, spread = flat.mean(0), flat.std(0) + 1e-6
    scaled = [(tokens.float() - middle) / spread for tokens in pictures]
    keys = torch.stack([key for _, key in shown])
    mean = keys.mean(0)
    wanted = keys - mean
    taken = torch.stack([scaled[i].mean(0) for i, _ in shown])
    weight, bias, scale = _read(taken, wanted, whiten=False)
    for _ in range(ROUNDS):
        aims = F.normalize(wanted @ scale, dim=-1)
        best = [(((scaled[i] @ weight + bias) @ scale) @ aim).argmax() for (i, _), aim in zip(shown, aims, strict=True)]
        taken = torch.stack([scaled[i][token] for (i, _), token in zip(shown, best, strict=True)])
        weight, bias, scale = _read(taken, wanted)
    whole = (weight / spread[:, None]) @ scale
    return Reader(_kept(whole), _kept((bias - (middle / spread) @ weight) @ scale), _kept(mean), _kept(scale))


def _read(taken: Tensor, wanted: Tensor, whiten: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Ridge regression taken [M, D] -> wanted [M, E]: weight, bias, and the inverse root of the error's covariance."""
    centre = taken.mean(0)
    x = taken - centre
    gram = x.T @ x
    gram += SHRUNK * gram.diagonal().mean() * torch.eye(len(gram))
    weight = torch.linalg.solve(gram, x.T @ wanted)
    bias = wanted.mean(0) - centre @ weight
    width = wanted.shape[1]
    if not whiten:
        return weight, bias, torch.eye(width)
    error = taken @ weight + bias - wanted
    covariance = error.T @ error / len(error)
    covariance += (WHITENED * covariance.diagonal().mean() + 1e-9) * torch.eye(width)
    values, vectors = torch.linalg.eigh(covariance)
    return weight, bias, vectors @ torch.diag(values.rsqrt()) @ vectors.T


def _kept(tensor: Tensor) -> Tensor:
    """As it will be stored, in half precision, so that what is fitted on it later fits what is loaded."""
    return tensor.half().float()
