"""The reference encoder of faces: an aligned face -> z_ref [N, 2, W], the code of the face, and that of its mirror image."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from plvm.model.photo.face_processor import CodeSpace
from plvm.vision.face_code import FaceCode


@dataclass
class FaceReferenceConfig:
    """The width of a code, and where the frozen parts are, as in the photo model's own config."""

    hidden_size: int = 48
    parts: str = ""
    version: int = 1
    model_type: str = "plvm_faces"

    def to_dict(self) -> dict[str, Any]:
        """Its values, as JSON has them."""
        return asdict(self)


class FaceReference(nn.Module):
    """`face_code` and the space of codes, called as a stock vision encoder is."""

    mean: Tensor
    directions: Tensor

    def __init__(self, config: FaceReferenceConfig, face_code: FaceCode, space: CodeSpace) -> None:
        super().__init__()
        self.config, self.face_code = config, face_code
        self.register_buffer("mean", space.mean.clone())
        self.register_buffer("directions", space.directions.clone())

    def forward(self, pixel_values: Tensor, output_hidden_states: bool = False) -> SimpleNamespace:
        """Aligned faces `[N, 3, 150, 150]` (0..255) -> their codes."""
        both = torch.stack([pixel_values, pixel_values.flip(-1)], 1)
        space = CodeSpace(self.mean, self.directions)
        codes = space.codes(self.face_code(both.flatten(0, 1))).unflatten(0, (-1, 2))
        return SimpleNamespace(last_hidden_state=codes, hidden_states=(codes,) if output_hidden_states else None)
