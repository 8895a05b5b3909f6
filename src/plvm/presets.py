"""Presets: which backbone, which encoder and which form of Aligner go together, as data in `presets.json`.

A preset names frozen parts on the Hugging Face Hub; its Aligner is untrained. `shape_of` gives the shape of those parts without a
download, so that their sizes can be computed on the meta device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from plvm.errors import RequestError
from plvm.types import nearest_names

FILE = Path(__file__).with_name("presets.json")


@dataclass(frozen=True)
class Preset:
    """`backbone` and `encoder` are Hub ids; `aligner` are fields of `AlignerConfig` other than the widths, which are those of
    the parts; `template` are fields of `Template` (empty: the backbone's own); `about` is one line for people."""

    name: str
    about: str
    backbone: str
    encoder: str
    aligner: Mapping[str, Any]
    template: Mapping[str, str] = field(default_factory=dict)


@cache
def presets() -> Mapping[str, Preset]:
    """All presets by name."""
    return {name: Preset(name, **fields) for name, fields in _data()["presets"].items()}


def preset_of(name: str) -> Preset:
    """The preset called `name`. Raises RequestError, which lists those there are."""
    if name not in presets():
        near = nearest_names(name, presets(), 1)
        raise RequestError(
            f'There is no preset "{name[:60]}".' + (f' Perhaps "{near[0]}"?' if near else ""),
            f"The presets are: {', '.join(presets())}.",
        )
    return presets()[name]


def shape_of(hub_id: str) -> dict[str, Any]:
    """The shape of a preset's frozen part, as transformers' configs take it (`model_type` among them). LLaVA's has the
    vocabulary of the original, 32,000 words; the Hub's copy pads it to 32,064."""
    return json.loads(json.dumps(_data()["shapes"][hub_id]))


@cache
def _data() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))
