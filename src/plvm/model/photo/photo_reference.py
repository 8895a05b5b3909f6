"""The reference encoder of photographs: a face or a thing -> z_ref [N, 2, W], its code, and that of its mirror image. A face's
code is that of both, as in pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from plvm.model.photo.face_processor import CodeSpace
from plvm.vision.face_code import SIDE, FaceCode
from plvm.vision.thing_code import ThingCode, pooled_whole

FEW = 4  # more pictures at a time leave the processor's caches


@dataclass
class PhotoReferenceConfig:
    """The width of z_ref, of which the last `thing_width` numbers are those of things, and where the frozen parts are, as in the
    photo model's own config."""

    hidden_size: int = 144
    thing_width: int = 96
    parts: str = ""
    version: int = 1
    model_type: str = "plvm_photo_reference"

    def to_dict(self) -> dict[str, Any]:
        """Its values, as JSON has them."""
        return asdict(self)


class PhotoReference(nn.Module):
    """The descriptors of faces and of things with their spaces of codes, called as a stock vision encoder is."""

    def __init__(
        self, config: PhotoReferenceConfig, face_code: FaceCode, thing_code: ThingCode, spaces: tuple[CodeSpace, CodeSpace]
    ) -> None:
        super().__init__()
        self.config, self.face_code, self.thing_code = config, face_code, thing_code
        for name, space in zip(("face", "thing"), spaces, strict=True):
            self.register_buffer(f"{name}_mean", space.mean.clone())
            self.register_buffer(f"{name}_directions", space.directions.clone())

    def forward(self, pixel_values: Tensor, output_hidden_states: bool = False) -> SimpleNamespace:
        """References `[N, 3, 320, 320]`, as PhotoProcessor makes them -> their codes."""
        is_face = pixel_values[:, 0, -1, -1] < 0
        faces = self._described("face", self.face_code, pixel_values[is_face, :, :SIDE, :SIDE])
        faces = torch.stack([faces.mean(1), faces[:, 1]], 1)  # as FaceCode.both_ways
        things = self._described("thing", lambda x: pooled_whole(self.thing_code(x)), pixel_values[~is_face])
        codes = pixel_values.new_zeros(len(pixel_values), 2, self.config.hidden_size)
        width = self.config.hidden_size - self.config.thing_width
        codes[is_face, :, :width] = self._space("face").codes(faces)
        codes[~is_face, :, width:] = self._space("thing").codes(things)
        return SimpleNamespace(last_hidden_state=codes, hidden_states=(codes,) if output_hidden_states else None)

    def _space(self, name: str) -> CodeSpace:
        return CodeSpace(getattr(self, f"{name}_mean"), getattr(self, f"{name}_directions"))

    def _described(self, name: str, describe: Any, x: Tensor) -> Tensor:
        """The descriptors `[N, 2, D]` of pictures `[N, 3, H, W]` and of their mirror images, a few pictures at a time."""
        both = torch.stack([x, x.flip(-1)], 1)
        found = [describe(few.flatten(0, 1)).unflatten(0, (-1, 2)) for few in both.split(FEW) if len(few)]
        return torch.cat(found) if found else x.new_zeros(0, 2, len(self._space(name).mean))
