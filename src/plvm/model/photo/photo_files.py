"""The folders of a photo family: what was trained, saved and loaded; the frozen parts are named, not copied.

    backbone/
      config.json               PhotoConfig
      preprocessor_config.json  FaceSettings
      things_config.json        ThingSettings
      heads.safetensors         rows and heads, the low-rank updates of the language model, the spaces of codes
      names.safetensors         how an Aligner begins (`plvm.train`)
    encoder/
      config.json               PhotoReferenceConfig
      preprocessor_config.json
      things_config.json
      space.safetensors         the spaces of codes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from safetensors.torch import save
from torch import Tensor

from plvm.model.checkpoint import as_json, check_files, check_weights, read_value, read_weights, write_whole
from plvm.model.photo.face_processor import CodeSpace, FaceProcessor, FaceSettings
from plvm.model.photo.photo_model import PhotoConfig, PhotoModel, update_shapes, updated
from plvm.model.photo.photo_parts import load_face_code, load_finder, load_language, load_thing_code, parts_folder
from plvm.model.photo.photo_processor import PhotoProcessor
from plvm.model.photo.photo_reference import PhotoReference, PhotoReferenceConfig
from plvm.model.photo.thing_processor import ThingProcessor, ThingSettings
from plvm.vision import face_code, thing_code

CONFIG, PROCESSOR, THINGS, HEADS, NAMES, SPACE = (
    "config.json", "preprocessor_config.json", "things_config.json", "heads.safetensors", "names.safetensors",
    "space.safetensors",
)  # fmt: skip
_SHARED: WeakValueDictionary[Any, Any] = WeakValueDictionary()  # frozen parts that are in use


@dataclass(frozen=True, eq=False)
class Spaces:
    """The spaces of codes of faces and of things."""

    face: CodeSpace
    thing: CodeSpace

    @classmethod
    def empty(cls, face_width: int, thing_width: int) -> Spaces:
        """Two of these widths, of zeros."""
        wide = ((face_code.WIDTH, face_width), (thing_code.WIDTH, thing_width))
        return cls(*(CodeSpace(torch.zeros(full), torch.zeros(full, width)) for full, width in wide))

    def weights(self) -> dict[str, Tensor]:
        """Their tensors by name."""
        named = {"space": self.face, "things": self.thing}
        return {f"{name}.{part}": getattr(own, part) for name, own in named.items() for part in ("mean", "directions")}

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> Spaces:
        """The two among weights."""
        own = (CodeSpace(weights[f"{name}.mean"].float(), weights[f"{name}.directions"].float()) for name in ("space", "things"))
        return cls(*own)


@dataclass(frozen=True)
class PhotoSettings:
    """How photographs are read: what counts as a face, and how windows are looked at."""

    faces: FaceSettings = field(default_factory=FaceSettings)
    things: ThingSettings = field(default_factory=ThingSettings)

    def write(self, folder: Path) -> None:
        """Into a model's folder."""
        write_whole(folder / PROCESSOR, as_json(asdict(self.faces)))
        write_whole(folder / THINGS, as_json(asdict(self.things)))

    @classmethod
    def read(cls, folder: Path) -> PhotoSettings:
        """The settings that are in a model's folder. Raises CheckpointError."""
        return cls(read_value(FaceSettings, folder / PROCESSOR), read_value(ThingSettings, folder / THINGS))


def save_photo_model(
    folder: Path, model: PhotoModel, updates: Mapping[str, Tensor], spaces: Spaces, settings: PhotoSettings
) -> None:
    """Write a backbone's folder, in half precision; `updates` are the low-rank ones of its language model, by the names that
    `update_shapes` gives them."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**{f"heads.{k}": v for k, v in model.heads().items()}, **{f"updates.{k}": v for k, v in updates.items()}}
    kept = {k: v.detach().half().contiguous().cpu() for k, v in whole.items()}
    exact = {"heads.rows.basis": model.decoder.rows.basis, "heads.rows.quiet": model.decoder.rows.quiet} | spaces.weights()
    write_whole(folder / HEADS, save(kept | {k: v.detach().float().contiguous().cpu() for k, v in exact.items()}))
    write_whole(folder / NAMES, save({k: v.contiguous() for k, v in model.decoder.rows.names().items()}))
    settings.write(folder)
    write_whole(folder / CONFIG, as_json(model.config.to_dict()))


def load_photo_model(folder: Path, dtype: torch.dtype) -> tuple[PhotoModel, Any, PhotoProcessor]:
    """(model, tokenizer, image processor) of a backbone's folder, on the CPU. Raises CheckpointError."""
    check_files(folder, (CONFIG, PROCESSOR, THINGS, HEADS), "a photo model")
    config, settings = read_value(PhotoConfig, folder / CONFIG), PhotoSettings.read(folder)
    weights, parts = read_weights(folder / HEADS), parts_folder(folder, config.parts)
    language, tokenizer = load_language(parts)
    model = PhotoModel(language, config)
    wanted = {f"heads.{k}": v for k, v in model.heads().items()}
    wanted |= Spaces.empty(config.code_width, config.thing_width).weights()
    shapes = {k: tuple(v.shape) for k, v in wanted.items()}
    shapes |= {f"updates.{k}": shape for k, shape in update_shapes(language, config).items()}
    check_weights(folder / HEADS, shapes, weights)
    with torch.no_grad():
        updated(language, {k.removeprefix("updates."): v for k, v in weights.items() if k.startswith("updates.")})
    heads = {k.removeprefix("heads."): v.float() for k, v in weights.items() if k.startswith("heads.")}
    model.decoder.load_state_dict(heads, strict=False)
    return model.to(dtype), tokenizer, load_processor(parts, Spaces.of(weights), settings)


def save_photo_encoder(folder: Path, config: PhotoReferenceConfig, spaces: Spaces, settings: PhotoSettings) -> None:
    """Write the folder of a reference encoder of photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SPACE, save({k: v.float().contiguous() for k, v in spaces.weights().items()}))
    settings.write(folder)
    write_whole(folder / CONFIG, as_json(config.to_dict()))


def load_photo_encoder(folder: Path, dtype: torch.dtype, device: str | torch.device) -> tuple[PhotoReference, PhotoProcessor]:
    """(model, image processor) of the folder of a reference encoder. Raises CheckpointError."""
    check_files(folder, (CONFIG, PROCESSOR, THINGS, SPACE), "an encoder of photographs")
    config, settings = read_value(PhotoReferenceConfig, folder / CONFIG), PhotoSettings.read(folder)
    weights, parts = read_weights(folder / SPACE), parts_folder(folder, config.parts)
    empty = Spaces.empty(config.hidden_size - config.thing_width, config.thing_width)
    check_weights(folder / SPACE, {k: tuple(v.shape) for k, v in empty.weights().items()}, weights)
    spaces = Spaces.of(weights)
    processor = load_processor(parts, spaces, settings)
    if dtype == torch.float32 and str(device) == "cpu":
        face_code, thing_code = processor.people.face_code, processor.things.thing_code
    else:  # the processor's stay as they are
        face_code, thing_code = load_face_code(parts), load_thing_code(parts)
    return PhotoReference(config, face_code, thing_code, (spaces.face, spaces.thing)).to(device, dtype), processor


def load_processor(parts: Path, spaces: Spaces, settings: PhotoSettings) -> PhotoProcessor:
    """The frozen parts at work. Raises CheckpointError where one is missing."""
    finder, face_code, thing_code = load_finder(parts), _shared(parts, load_face_code), _shared(parts, load_thing_code)
    faces = FaceProcessor(finder, face_code, spaces.face, settings.faces)
    return PhotoProcessor(faces, ThingProcessor(thing_code, spaces.thing, settings.things))


def _shared(parts: Path, load: Callable[[Path], Any]) -> Any:
    """What `load` gives, once for all processors that are in use."""
    net = _SHARED.get((parts, load))
    if net is None:
        net = _SHARED[parts, load] = load(parts)
    return net
