"""The frozen parts: a backbone and an encoder from stock transformers folders or Hub ids.

Only safetensors are read, and no code is taken from a checkpoint. A folder is looked through before anything is loaded: what
is missing, cut off, of another kind or larger than the memory is a CheckpointError in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from plvm.errors import CheckpointError
from plvm.model.backbone import Backbone
from plvm.model.backbone_family import families
from plvm.model.checkpoint import AGAIN, check_files
from plvm.model.encoder import KINDS, Encoder
from plvm.model.fetch import PATTERNS, WEIGHTS, fetch, is_hub_id
from plvm.model.photo.photo_files import load_photo_encoder
from plvm.model.photo.photo_reference import PhotoReferenceConfig
from plvm.model.unfilled import unfilled
from plvm.runtime import free_memory, has_package

CONFIG, INDEX, WHOLE = "config.json", "model.safetensors.index.json", "model.safetensors"
WORDS = "embed_tokens.weight"  # how every family's language model calls the input rows of its words
PROCESSORS = ("preprocessor_config.json", "processor_config.json")  # the second is how newer repositories have it
BACKBONE, ENCODER = "a vision-language model", "a vision encoder"
PHOTOS = PhotoReferenceConfig.model_type


def load_backbone(
    place: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    bits: int | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    offline: bool = False,
) -> Backbone:
    """A vision-language model of a known family with its tokenizer and image processor, from a folder or Hub id.

    `bits` 4 or 8 quantises its weights while they are loaded; `device_map` spreads it over devices as accelerate does.
    Raises CheckpointError.
    """
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    folder = _folder(place, BACKBONE, offline)
    with _reading(folder, BACKBONE):
        known = families()
        own = known[_known_type(folder, known, BACKBONE)].loaded(folder, dtype)
        if own is not None:
            _refuse_spread(folder, bits, device_map)
            return Backbone(own[0].to(device), *own[1:], str(place))
        options: dict[str, Any] = {}
        if device_map is not None:
            options["device_map"] = device_map
        elif bits is not None or (str(device) != "cpu" and has_package("accelerate")):
            options["device_map"] = {"": str(device)}  # straight to the device, without a copy in main memory
        if bits is not None:
            options["quantization_config"] = _quantised(bits, dtype)
        if device_map is None:
            for held in dict.fromkeys((str(device), *([] if options else ["cpu"]))):
                _check_memory(folder, held, dtype, bits)
        model = _filled(folder, AutoModelForImageTextToText, dtype, options)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        backbone = Backbone(model if options else model.to(device), tokenizer, processor, str(place))
    if backbone.vocabulary_size < len(tokenizer):
        raise CheckpointError(
            f"{folder}: its tokenizer has {len(tokenizer):,} tokens, its model {backbone.vocabulary_size:,}.", AGAIN
        )
    return backbone


def load_words(place: str | Path, *, dtype: torch.dtype | None = None, offline: bool = False) -> Backbone:
    """A backbone of which only the input rows of its words are here, on the CPU, with its tokenizer and image processor: the rest
    is on the meta device, and somebody else computes it. `dtype` None: the numbers as they are stored. Of the weight files
    only the one that has those rows is needed, and fetched. Raises CheckpointError."""
    from safetensors import safe_open
    from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    folder = _folder(place, BACKBONE, offline, [pattern for pattern in PATTERNS if pattern != WEIGHTS])
    with _reading(folder, BACKBONE):
        _known_type(folder, families(), BACKBONE)
        with unfilled(), torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
        index = folder / INDEX
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"] if index.is_file() else {}
        file = next((file for name, file in places.items() if name.endswith(WORDS)), WHOLE)
        if is_hub_id(place):
            fetch(str(place), offline=offline, only=[file])
        with safe_open(folder / file, "pt") as weights:
            name = next((name for name in weights.keys() if name.endswith(WORDS)), None)  # noqa: SIM118 - no mapping
            if name is None:
                raise ValueError(f"none of its weights is called {WORDS}")
            rows = weights.get_tensor(name)
        table = model.get_input_embeddings()
        if rows.shape != table.weight.shape:
            raise ValueError(f"its words have the shape {tuple(rows.shape)}, not {tuple(table.weight.shape)}")
        table.weight = torch.nn.Parameter(rows if dtype is None else rows.to(dtype))
        processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
        return Backbone(model, AutoTokenizer.from_pretrained(folder), processor, str(place))


def load_encoder(
    place: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    offline: bool = False,
) -> Encoder:
    """A vision transformer (DINOv2, the vision half of CLIP, ViT, that of SAM) with its image processor, from a folder or
    Hub id. Raises CheckpointError."""
    import transformers

    folder = _folder(place, ENCODER, offline)
    with _reading(folder, ENCODER):
        kind = _known_type(folder, {**KINDS, PHOTOS: None}, ENCODER)
        if kind == PHOTOS:
            return Encoder(*load_photo_encoder(folder, dtype, device), str(place))
        name, options = KINDS[kind]
        _check_memory(folder, str(device), dtype)
        model = _filled(folder, getattr(transformers, name), dtype, options)
        processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
        return Encoder(model.to(device), processor, str(place))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a folder's weights are spread over. Raises ValueError where any is not there."""
    if (folder / INDEX).is_file():
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    else:
        names = [WHOLE]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing and any(folder.glob("*.bin")):
        raise ValueError("its weights are pickles (.bin), which could run code; only safetensors are read")
    if missing:
        raise ValueError(f"{len(missing)} of its {len(names)} weight files are missing, the first is {missing[0]}")
    return [folder / name for name in names]


def count_weights(files: list[Path]) -> int:
    """How many numbers safetensors files hold. Raises ValueError where one is cut off."""
    total = 0
    for path in files:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if 8 + length > size:
                raise ValueError(f"{path.name} is cut off, or no safetensors file")
            entries = [e for k, e in json.loads(file.read(length)).items() if k != "__metadata__"]
        end = 8 + length + max((e["data_offsets"][1] for e in entries), default=0)
        if size < end:
            raise ValueError(f"{path.name} is cut off: it has {_bytes(size)} of {_bytes(end)}")
        total += sum(torch.Size(e["shape"]).numel() for e in entries)
    return total


def _refuse_spread(folder: Path, bits: int | None, device_map: object) -> None:
    if bits is not None or device_map is not None:
        raise CheckpointError(f"{folder} cannot be quantised or spread over devices.", "It is small: leave both out.")


def _folder(place: str | Path, what: str, offline: bool, only: Sequence[str] = PATTERNS) -> Path:
    folder = fetch(str(place), offline=offline, only=only) if is_hub_id(place) else Path(place)
    check_files(folder, (CONFIG,) if any((folder / p).is_file() for p in PROCESSORS) else (CONFIG, PROCESSORS[0]), what)
    return folder


def _known_type(folder: Path, known: Mapping[str, Any], what: str) -> str:
    """The model type of a folder's config. Raises CheckpointError where it is none of `known`."""
    kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    if kind not in known:
        said = "names no type of model" if kind is None else f'is that of a "{str(kind)[:60]}" model'
        raise CheckpointError(
            f"{folder} cannot be loaded as {what}: its config {said}.",
            f"Known types are: {', '.join(known)}.",
        )
    return kind


def _check_memory(folder: Path, device: str, dtype: torch.dtype, bits: int | None = None) -> None:
    """Raise CheckpointError where the weights are larger than the memory that is free."""
    count, free = count_weights(weight_files(folder)), free_memory(device)
    needed = count * bits // 8 if bits is not None else count * dtype.itemsize
    if free is not None and needed > free:
        raise CheckpointError(
            f"{folder} needs {_bytes(needed)} of memory as {f'{bits}-bit numbers' if bits else str(dtype)[6:]}; {device} has "
            f"{_bytes(free)} free.",
            "Close other programs, take a shorter number format (dtype float16 or bfloat16; on a GPU bits=8 or bits=4), "
            "or a smaller model.",
        )


def _quantised(bits: int, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _filled(folder: Path, kind: Any, dtype: torch.dtype, options: dict[str, Any]) -> Any:
    weight_files(folder)
    options = options | {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    try:
        with unfilled():
            model, info = kind.from_pretrained(folder, **options)
    except RuntimeError as error:
        if "meta" not in str(error):
            raise
        model, info = kind.from_pretrained(folder, **options)  # a class that computes with what has no memory yet
    missing = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if missing:
        raise CheckpointError(
            f"{folder} lacks {len(missing)} of the model's weights, the first is {missing[0]}.", AGAIN
        )
    return model


@contextmanager
def _reading(folder: Path, what: str) -> Iterator[None]:
    """Turns whatever a damaged folder makes transformers raise into a CheckpointError, and keeps its progress bars
    quiet."""
    from transformers.utils import logging

    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    except CheckpointError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise CheckpointError(
            f"{folder} does not fit into the memory.", "Take a shorter number format (dtype, bits) or a smaller model."
        ) from error
    except Exception as error:  # OSError, ValueError, KeyError, RuntimeError, SafetensorError, TypeError, ...
        reason = str(error).strip().splitlines()
        raise CheckpointError(
            f"{folder} cannot be loaded as {what}: {reason[0][:300] if reason else type(error).__name__}",
            "Copy or download the folder again; a download that was cut short goes on where it ended.",
        ) from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _bytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"
