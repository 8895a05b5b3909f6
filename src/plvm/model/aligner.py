"""The Aligner: encoder features of a reference -> concept tokens. The only trainable thing of the whole system.

Its forms are the files of `plvm.model.forms`, all behind one config: `paper` (the published method, section 3.1), `released`
(the authors' checkpoint) and `anchored` (ours). A form is found by its file's name; a new one is a new file.

All take z_ref [N, L, E], or [N, R, L, E] for R references of each concept: global tokens are averaged, the patches of all
references stand side by side as keys and values.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from torch import Tensor, nn

from plvm.errors import CheckpointError
from plvm.model import forms
from plvm.products import quicken


def known_forms() -> tuple[str, ...]:
    """The names of all forms, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(forms.__path__)))


def form_of(name: str) -> type[Aligner]:
    """The class of the form called `name`, which must be a known one."""
    form: type[Aligner] = import_module(f"{forms.__name__}.{name}").FORM
    return form


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
        if self.architecture not in known_forms():
            raise CheckpointError(
                f"There is no Aligner architecture {self.architecture!r}.",
                f"Choose one of: {', '.join(known_forms())}.",
            )


class Rows(NamedTuple):
    """A batch of concept tokens: word [N, D], head [N, D], context [N, K, D]."""

    word: Tensor
    head: Tensor
    context: Tensor


@dataclass(frozen=True, eq=False)
class FrozenRows:
    """What a form may start from: the mean input and head rows [D] of the backbone's words and, where the backbone was
    pretrained with names, its maps from a code to a name's rows ("word.linear.weight", .., "head.scale")."""

    means: tuple[Tensor, Tensor]
    names: Mapping[str, Tensor] | None = None


class Aligner(nn.Module):
    """What a form of the Aligner is; `build_aligner` builds one. A form says `forward`, and whatever else it does in its own way.

    word_supervision: whether training may tell it the words that describe a person (`train.anchor`), see `extra_loss`.
    """

    word_supervision = False

    def __init__(self, config: AlignerConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, z: Tensor | None, patches: Tensor) -> Rows:
        """z [N, E], global tokens (None: the encoder has none), and patches [N, L, E] -> word, head [N, D], context [N, K, D]."""
        raise AssertionError(f"{type(self).__name__} says no forward")

    def tokens_from_features(self, z_ref: Tensor) -> Rows:
        """z_ref [N, L, E] or [N, R, L, E] -> word, head [N, D] and context [N, K, D]."""
        if z_ref.ndim == 3:
            z_ref = z_ref.unsqueeze(1)
        if not self.config.global_token:
            return self(None, z_ref.flatten(1, 2))
        return self(z_ref[:, :, 0].mean(1), z_ref[:, :, 1:].flatten(1, 2))

    def use_words(self, word_rows: Tensor) -> None:
        """Hand over the backbone's frozen word embeddings [V, D], after building and after loading; forms may read them."""

    def start(self, frozen: FrozenRows) -> None:
        """Called once before training, after `use_words`: begin somewhere better than at random."""

    @property
    def reads_references(self) -> bool:
        """Whether the form wants `see_references`."""
        return False

    def see_references(self, z: Tensor) -> None:
        """Called once before training, after `start`, where `reads_references`: global tokens z [N, E] of training references."""

    def extra_loss(self, z_ref: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Called in training where `word_supervision` and `train.anchor` are on: a loss of the form's own, and the share of
        words it reads right, for references z_ref [N, L, E] and the ids int64[N, A] of words that describe their people."""
        raise AssertionError(f"{type(self).__name__} has no loss of its own")


def build_aligner(config: AlignerConfig) -> Aligner:
    """An untrained Aligner of the config's form."""
    aligner = form_of(config.architecture)(config)
    quicken(aligner)
    return aligner
