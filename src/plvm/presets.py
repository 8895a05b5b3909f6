"""The full-size models by name: where their frozen parts are, and the numbers that decide their shapes.

The data is `presets.json`. A preset names frozen parts on the Hugging Face Hub; its Aligner is untrained. The shapes are what
the repositories' config.json says, in the words of transformers, so that parameters can be counted and untrained models
built without a download; LLaVA's have Vicuna's own 32,000 words, which the Hub's copies pad to 32,064.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plvm.errors import RequestError
from plvm.types import nearest_names

FILE = Path(__file__).with_name("presets.json")


@dataclass(frozen=True)
class Preset:
    """A backbone and an encoder (Hub ids) and the Aligner between them; `about` is one line for people.

    `aligner` are the fields of its AlignerConfig that differ from the defaults, `template` those of its Template (empty:
    the backbone's own); `reference_size` is the side in pixels of a picture as the encoder reads it, `image_tokens` what a
    picture of 640 x 480 pixels takes in the prompt.
    """

    name: str
    backbone: str
    encoder: str
    architecture: str = "paper"
    aligner: Mapping[str, Any] = field(default_factory=dict)
    backbone_config: Mapping[str, Any] = field(default_factory=dict)
    encoder_config: Mapping[str, Any] = field(default_factory=dict)
    reference_size: int = 224
    image_tokens: int = 576
    template: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""


def _read() -> dict[str, Preset]:
    data = json.loads(FILE.read_text(encoding="utf-8"))
    shapes = data["shapes"]
    return {
        name: Preset(
            name, **fields, backbone_config=shapes[fields["backbone"]], encoder_config=shapes[fields["encoder"]]
        )
        for name, fields in data["presets"].items()
    }


PRESETS = _read()


def preset(name: str) -> Preset:
    """The preset called `name`. Raises RequestError, with the nearest name, where there is none."""
    if name not in PRESETS:
        near = nearest_names(name, PRESETS)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise RequestError(f'There is no preset "{name[:40]}".', f"{meant}The presets are: {', '.join(PRESETS)}.")
    return PRESETS[name]
