"""Products with weights on a CPU: by oneDNN where that is quicker.

torch has MKL compute them, which uses the whole width of AVX-512 on Intel's processors alone: on others half of what they can
do is left. oneDNN, which comes with torch too, uses it everywhere. Both compute in float32; they round in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALL = 2**18  # multiplications: fewer are over before oneDNN has been called; by small weights four times as many, unless kept
_wide = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
_formats = (torch.float32, torch.bfloat16) if _wide and torch.ops.mkldnn._is_mkldnn_bf16_supported() else (torch.float32,)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [.., I] times weight [O, I], transposed, plus bias [O]: [.., O]. As torch's `linear`, gradients too."""
    if not _gains(x, weight):
        return F.linear(x, weight, bias)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        return _Product.apply(x, weight, bias)
    return _multiplied(x, weight, bias)


class Kept:
    """The weights of small layers of one input, side by side, as oneDNN lays them out: where they are first multiplied with, and
    again when they have changed."""

    def __init__(self) -> None:
        self._layers: tuple[nn.Module, ...] = ()
        self._outputs = 0  # of all layers; 0 where their weights are not kept
        self._state: list[tuple[int, int]] = []
        self._held: list[Tensor] = []  # what was laid out, so that nothing else can come to lie where it lay
        self._laid: tuple[Tensor, Tensor | None] | None = None

    def __deepcopy__(self, _: Any) -> Kept:
        return Kept()

    def product(self, x: Tensor, *layers: nn.Module) -> Tensor | None:
        """x [.., I] -> what the layers make of it, one beside the other [.., sum of O]; None where that is not quicker than layer
        by layer, where gradients are asked for, and where a layer is not a plain one."""
        if self._layers != layers:
            self._layers, self._outputs = layers, _outputs(layers)
        if x.numel() * self._outputs < SMALL or torch.is_grad_enabled() or not quick(x):
            return None
        weights, biases = ([getattr(layer, of) for layer in layers] for of in ("weight", "bias"))
        parts: list[Tensor] = [t for t in (*weights, *biases) if t is not None]
        if any(t.dtype is not torch.float32 for t in parts):
            return None
        state = [(t.data_ptr(), 0 if t.is_inference() else t._version) for t in parts]
        if self._laid is None or self._state != state:
            laid = torch.ops.mkldnn._reorder_linear_weight(torch.cat(weights))
            self._laid, self._state = (laid, torch.cat(biases) if len(parts) > len(weights) else None), state
            self._held = [t.detach() for t in parts]
        return _multiplied(x, *self._laid)


class Linear(nn.Linear):
    """A linear layer that computes by `product`, or with its weights as oneDNN lays them out: small ones are held both ways, for
    `rows` rows or more, large ones that way alone after `prepack`."""

    rows = 1
    _kept: Kept | None = None

    def forward(self, input: Tensor) -> Tensor:
        """[.., I] -> [.., O]."""
        if input.numel() * self.out_features < SMALL:
            return F.linear(input, self.weight, self.bias)
        weight = self.weight
        if weight.is_mkldnn:
            if quick(input, weight.dtype) and not torch.is_grad_enabled():
                return _multiplied(input, weight, self.bias)
            self._plain()
        if self._kept is None:
            self._kept = Kept()
        found = self._kept.product(input, self) if len(input) >= self.rows else None
        return product(input, self.weight, self.bias) if found is None else found

    def prepack(self) -> None:
        """Hold a large frozen weight as oneDNN lays it out, in place of the plain one."""
        weight = self.weight
        plain = weight.is_cpu and weight.dtype in _formats and not weight.is_mkldnn and not weight.requires_grad
        if _wide and plain and weight.numel() >= SMALL:
            with torch.inference_mode(False):
                self.weight = nn.Parameter(torch.ops.mkldnn._reorder_linear_weight(weight.detach()), requires_grad=False)

    def _plain(self) -> None:
        if self.weight.is_mkldnn:
            with torch.inference_mode(False):
                self.weight = nn.Parameter(self.weight.to_dense(), requires_grad=False)

    def _apply(self, *given: Any, **named: Any) -> Linear:  # of moving, and of other number formats
        self._plain()
        return super()._apply(*given, **named)

    def _load_from_state_dict(self, *given: Any, **named: Any) -> None:
        self._plain()
        super()._load_from_state_dict(*given, **named)

    def __getstate__(self) -> dict[str, Any]:  # of copies
        weight, state = self.weight, self.__dict__
        plain = {"weight": nn.Parameter(weight.to_dense(), requires_grad=False)} if weight.is_mkldnn else {}
        return {**state, "_parameters": {**self._parameters, **plain}}

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.weight.is_mkldnn:
            destination[f"{prefix}weight"] = self.weight.to_dense()


def prepack(model: nn.Module) -> None:
    """Have the large frozen linear layers of a model hold their weights as oneDNN lays them out, which is done anew at every
    product else: for few rows up to half of the time. It takes as long as four passes, and no memory. Copies and what
    is saved have plain weights; who moves the model, loads others or asks for gradients finds them again, and then they stay."""
    for module in model.modules():
        if isinstance(module, Linear):
            module.prepack()


def quicken(model: nn.Module) -> None:
    """Have the linear layers of a model compute by `product`; nothing else of them changes."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


@contextmanager
def by_torch() -> Iterator[None]:
    """Within it torch multiplies as it does by itself, in the whole process: to compare with."""
    global _wide
    before, _wide = _wide, False
    try:
        yield
    finally:
        _wide = before


def _outputs(layers: Sequence[nn.Module]) -> int:
    """How many outputs small plain layers have together; 0 where they are not."""
    plain = [layer for layer in layers if type(layer) is Linear]
    biased = {layer.bias is not None for layer in plain}
    small = sum(layer.weight.numel() for layer in plain) < SMALL
    return sum(layer.out_features for layer in plain) if small and len(plain) == len(layers) and len(biased) == 1 else 0


def quick(x: Tensor, dtype: torch.dtype = torch.float32) -> bool:
    """Whether products with x, in the number format `dtype`, may be oneDNN's."""
    return _wide and x.dtype is dtype and x.is_cpu and not torch.is_autocast_enabled("cpu")


def _gains(x: Tensor, weight: Tensor) -> bool:
    enough = x.numel() * weight.shape[0] >= (SMALL if weight.numel() >= SMALL else 4 * SMALL)
    return enough and quick(x) and weight.dtype is torch.float32 and weight.is_cpu


def _multiplied(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class _Product(torch.autograd.Function):
    """`_multiplied` with gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if weight.requires_grad else None, weight)
        return _multiplied(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (x, weight), (along,) = ctx.saved_tensors, gradients
        flat = along.reshape(-1, along.shape[-1])
        for_x = product(along, weight.T) if ctx.needs_input_grad[0] else None
        for_weight = product(flat.T, x.reshape(-1, x.shape[-1]).T) if ctx.needs_input_grad[1] else None
        return for_x, for_weight, flat.sum(0) if ctx.needs_input_grad[2] else None
