"""Concept tokens as bytes: safetensors, float32, so that they mean the same on every machine."""

from __future__ import annotations

from plvm.types import ConceptTokens

MAX_WIDTH, MAX_CONTEXT = 65_536, 4_096  # far beyond any model: so no file can ask for rows without bound
_AXES = {"word": 1, "head": 1, "context": 2, "key": 1}


def tokens_to_bytes(tokens: ConceptTokens) -> bytes:
    """`tokens` as a safetensors file. Raises ValueError where the shapes are not those of one concept."""
    import torch
    from safetensors.torch import save

    _check_shapes(tokens)
    return save({name: getattr(tokens, name).detach().to("cpu", torch.float32).contiguous() for name in _AXES})


def tokens_from_bytes(data: bytes) -> ConceptTokens:
    """The concept tokens in the bytes of a safetensors file, float32 on the CPU. Raises ValueError for anything but finite
    tokens of one concept."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(data)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise ValueError(f"its concept tokens cannot be read ({error})") from None
    if set(tensors) != set(_AXES):
        raise ValueError(f"its concept tokens are {', '.join(sorted(tensors))[:100]}, not {', '.join(_AXES)}")
    if any(tensor.dtype != torch.float32 or not tensor.isfinite().all() for tensor in tensors.values()):
        raise ValueError("its concept tokens are not finite float32 numbers")
    tokens = ConceptTokens(**tensors)
    _check_shapes(tokens)
    return tokens


def key_in(data: bytes) -> bytes:
    """The key as float32 bytes, little-endian, in the bytes of a safetensors file; b"" where there is none to be read. It
    needs no torch."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(data).get("key")
    except (SafetensorError, ValueError, KeyError, TypeError):
        return b""
    return b"" if found is None or found.ndim != 1 else found.astype("<f4").tobytes()


def _check_shapes(tokens: ConceptTokens) -> None:
    """word [D], head [D], context [K, D], key [E], none of them empty."""
    shapes = {name: tuple(getattr(tokens, name).shape) for name in _AXES}
    fit = all(len(shapes[name]) == axes and min(shapes[name]) > 0 for name, axes in _AXES.items())
    if not fit or shapes["word"] != shapes["head"] or shapes["context"][-1:] != shapes["word"]:
        raise ValueError(f"its concept tokens do not fit together: {shapes}")
    if max(max(shape) for shape in shapes.values()) > MAX_WIDTH or shapes["context"][0] > MAX_CONTEXT:
        raise ValueError(f"its concept tokens are larger than those of any model: {shapes}")
