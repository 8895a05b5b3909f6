"""Models whose weights come from files: built without memory and without computing what the files will say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# "Any": mypy does not compare these functions with what it knows of torch's
_RANDN: Any = torch.randn
_ARANGE: Any = torch.arange
_NORMAL: tuple[Any, ...] = (torch.nn.init.normal_, torch.Tensor.normal_)
_TIMES: tuple[Any, ...] = (torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__)


class _Unfilled(TorchFunctionMode):
    """On the meta device nothing is drawn or multiplied, but asking for it has torch import its compiler and SymPy, half a
    second. Here such a tensor is left as it is; counting, a few numbers, is done."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is _RANDN and str(kwargs.get("device")) == "meta":
            return torch.empty(*args, **kwargs)
        if func is _ARANGE and str(kwargs.get("device")) == "meta":
            return func(*args, **kwargs | {"device": "cpu"})
        if func in _NORMAL and _empty(tensor := args[0] if args else kwargs["tensor"]):
            return tensor
        if func in _TIMES and _empty(args[0]) and args[0].is_floating_point() and isinstance(args[1], int | float):
            return args[0]
        return func(*args, **kwargs)


def _empty(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_meta


@contextmanager
def unfilled() -> Iterator[None]:
    """Build models for weights that are read afterwards in here, as `from_pretrained` and `torch.device("meta")` do."""
    with _Unfilled():
        yield
