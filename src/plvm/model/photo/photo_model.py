"""A pretrained Llama with two matching heads, as the rest of plvm sees a vision-language model.

What the heads have to know of earlier tokens - the code that each carries, what kind it is, how it is pointed at - lies in the
cache of keys and values, as two layers more. So whoever keeps, shares, repeats or cuts keys and values does the same with what
the heads remember, and need not know of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from plvm.model.photo.coded_rows import CodeRows, Kinds
from plvm.model.photo.face_places import SEEN
from plvm.model.photo.matching_heads import ConceptsLookAround, Found, NamesForPlaces

_EPSILON = 1e-6


@dataclass
class PhotoConfig:
    """The shape of a photo model and the names of its frozen parts.

    `parts` is the folder of the frozen parts, relative to the model's own ("": this machine's); `code_width`, `thing_width` and
    `code_size` are the numbers of a face's code and of a thing's, and a code's length in a row, `rank` and `narrow_rank` the
    ranks of the updates of attention and of the MLP, `inner` the width in which head 2 points, `after_looks` and `after_names`
    the layers before which the heads stand.
    """

    image_token_id: int = 5
    parts: str = ""
    code_width: int = 48
    thing_width: int = 96
    code_size: float = 3.0
    rank: int = 16
    narrow_rank: int = 8
    inner: int = 64
    after_looks: int = 4
    after_names: int = 22
    version: int = 1
    model_type: str = "plvm_photo"
    text_config: ClassVar[Any] = None  # the language model's, once there is one

    def to_dict(self) -> dict[str, Any]:
        """Its values, as JSON has them."""
        return asdict(self)


class PhotoDecoder(nn.Module):
    """Embeddings -> hidden states, through a Llama's layers and the heads between them."""

    def __init__(self, language: Any, config: PhotoConfig) -> None:
        super().__init__()
        width, both = language.config.hidden_size, config.code_width + config.thing_width
        self.language, self.after = language, (config.after_looks, config.after_names)
        self.rows = CodeRows(width, both, config.thing_width, len(SEEN), config.code_size)
        self.looks = ConceptsLookAround(len(SEEN), width, config.code_width)
        self.names = NamesForPlaces(len(SEEN), width, config.inner, config.code_width)

    @property
    def config(self) -> Any:
        """The language model's own."""
        return self.language.config

    @property
    def layers(self) -> nn.ModuleList:
        """The language model's own."""
        return self.language.layers

    def set_attn_implementation(self, name: str) -> None:
        """Choose how attention is computed, as transformers calls it."""
        self.language.set_attn_implementation(name)

    def forward(
        self, inputs_embeds: Tensor, past_key_values: Any = None, position_ids: Tensor | None = None,
        attention_mask: Tensor | None = None, use_cache: bool = False, output_attentions: bool = False, last: bool = False,
    ) -> SimpleNamespace:  # fmt: skip
        """Embeddings `[B, T, D]` after what the cache holds -> states `[B, T, D]`, of the `last` token alone `[B, 1, D]`.
        `attention_mask` is bool[B, S], False where a token must not be seen, or, `[B, 1, T, S]`, what is to be added to attention
        scores."""
        x, cache, layers = inputs_embeds, past_key_values, self.language.layers
        before = cache.get_seq_length() if cache is not None else 0
        if position_ids is None:
            position_ids = torch.arange(before, before + x.shape[1], device=x.device)[None]
        mask = _mask(x, before, attention_mask)
        angles = self.language.rotary_emb(x, position_ids)
        kinds = self.rows.kinds(x)
        faces, people, places = self._remembered(kinds, mask, cache)
        copied = torch.zeros_like(kinds.code)
        attentions: list[Tensor] = []
        for number, layer in enumerate(layers):
            if number == self.after[0]:
                got = self.looks(kinds.code, faces, faces.of(places))
                x = x + kinds.person[..., None] * got * _rms(x)
            if number == self.after[1]:
                size = _rms(x)
                keys = self.names.keys(x / size, kinds.face, kinds.place @ self.rows.place_rows)
                keys, _ = _kept(cache, len(layers) + 1, keys, keys.new_zeros(*keys.shape[:2], 1))
                got, copied = self.names(x / size, keys, faces, people, faces.of(places))
                x = x + got * size
            with _watched(layer.self_attn, attentions if output_attentions else None):
                x = layer(
                    x, attention_mask=mask, position_ids=position_ids, past_key_values=cache, use_cache=use_cache,
                    position_embeddings=angles, last=last,
                )  # fmt: skip
        state = self.rows.last(self.language.norm(x), copied[:, -x.shape[1] :])
        return SimpleNamespace(
            last_hidden_state=state, past_key_values=cache, attentions=tuple(attentions) if output_attentions else None
        )

    def _remembered(self, kinds: Kinds, mask: Tensor, cache: Any) -> tuple[Found, Found, Tensor]:
        """The faces and the people's context tokens among all tokens so far, and the places `[B, S, P]` of all."""
        marks = torch.cat([kinds.face[..., None], kinds.context[..., None], kinds.place], -1)
        codes, marks = _kept(cache, len(self.language.layers), kinds.code, marks)
        seen = (mask[:, 0] == 0).expand(len(codes), -1, -1)
        return Found.among(codes, marks[..., 0], seen), Found.among(codes, marks[..., 1], seen), marks[..., 2:]


class PhotoModel(nn.Module):
    """The language model `language` (a LlamaForCausalLM) with heads. Frozen parts and what was trained are told apart by
    `trained`."""

    def __init__(self, language: Any, config: PhotoConfig) -> None:
        super().__init__()
        self.config = replace(config)
        self.config.text_config = language.config  # type: ignore[misc]
        self.language = language
        self.decoder = PhotoDecoder(language.model, config)

    def get_decoder(self) -> PhotoDecoder:
        """What runs embeddings; named as transformers does."""
        return self.decoder

    def get_input_embeddings(self) -> Any:
        """The words' table; named as transformers does."""
        return self.language.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """The words' head; named as transformers does."""
        return self.language.get_output_embeddings()

    def heads(self) -> dict[str, Tensor]:
        """The trained rows and heads by name, without the language model."""
        return {k: v for k, v in self.decoder.state_dict().items() if not k.startswith("language.")}


def updated(language: Any, updates: Mapping[str, Tensor]) -> None:
    """Add low-rank updates to the weights of a Llama: of each linear layer that has any, `<name>.up` times `<name>.down`."""
    for name in sorted({key.rpartition(".")[0] for key in updates}):
        weight = language.get_submodule(name).weight
        weight.add_((updates[f"{name}.up"].float() @ updates[f"{name}.down"].float()).to(weight))


def update_shapes(language: Any, config: PhotoConfig) -> dict[str, tuple[int, int]]:
    """The names and shapes of the low-rank updates of a Llama."""
    ranks: Sequence[tuple[str, int]] = [(f"self_attn.{n}_proj", config.rank) for n in "qkvo"]
    shapes = {}
    for number in range(len(language.model.layers)):
        for name, rank in (*ranks, ("mlp.down_proj", config.narrow_rank)):
            whole = f"model.layers.{number}.{name}"
            out, into = language.get_submodule(whole).weight.shape
            shapes[f"{whole}.down"], shapes[f"{whole}.up"] = (rank, into), (out, rank)
    return shapes


def _mask(x: Tensor, before: int, given: Tensor | None) -> Tensor:
    """What is added to attention scores `[.., 1, T, S]`: 0 for what a token sees, the lowest number for what it does not."""
    if given is not None and given.ndim == 4:
        return given
    tokens, lowest = x.shape[1], torch.finfo(x.dtype).min
    places = torch.arange(before + tokens, device=x.device)
    seen = (places <= places[before:, None])[None]
    if given is not None:
        seen = seen & given[:, None]
    return torch.where(seen, x.new_zeros(()), x.new_full((), lowest))[:, None]


@contextmanager
def _watched(attention: nn.Module, weights: list[Tensor] | None) -> Iterator[None]:
    """Append what an attention gives as its weights to `weights`."""
    if weights is None:
        yield
        return
    hook = attention.register_forward_hook(lambda _, __, out: weights.append(out[1]))
    try:
        yield
    finally:
        hook.remove()


def _kept(cache: Any, number: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """`keys` and `values [B, T, X]` behind those that layer `number` of the cache has, which then has them too."""
    if cache is None:
        return keys, values
    keys, values = cache.update(keys[:, None], values[:, None], number)
    return keys[:, 0], values[:, 0]


def _rms(x: Tensor) -> Tensor:
    """The size of every token's state; with an epsilon, or padding turns all gradients into NaN."""
    return x.detach().square().mean(-1, keepdim=True).add(_EPSILON).sqrt()
