"""What the frozen parts say of a dataset's pictures, computed once: encoder features and projected image tokens.

On disk an entry is named by what made it and what it was made of: a fingerprint of the model with its preprocessing, and the
SHA-256 of the picture's pixels. Every picture goes through its model alone, so that an entry does not depend on its company:
training with and without the cache, or resumed in the middle, computes the same bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageEnhance, ImageOps
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from plvm.data.dataset import Dataset
from plvm.data.shards import REFERENCE
from plvm.model.backbone import Backbone
from plvm.model.backbone_family import ImageTokens
from plvm.model.encoder import Encoder

Tensors = Mapping[str, Tensor]
SAMPLED = 1024  # numbers of each weight that the fingerprint looks at


class Cache:
    """Tensors on disk by name, at most `max_bytes` of them. A full cache keeps what it has: pictures come round in random
    order, so what is oldest is no less likely to be needed. Writing is atomic; what is damaged is computed anew."""

    def __init__(self, folder: Path, max_bytes: float) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.bytes = sum(f.stat().st_size for f in folder.rglob("*.safetensors")) if folder.is_dir() else 0
        self.hits = self.misses = 0

    def get(self, name: str, compute: Callable[[], Tensors], device: torch.device) -> Tensors:
        """The tensors of that name on `device`, computed and kept where they are missing."""
        path = self.folder / name[:-62] / f"{name[-62:]}.safetensors"
        try:
            found = load_file(path, device=str(device))
            self.hits += 1
            return found
        except (OSError, SafetensorError):
            self.misses += 1
        values = compute()
        size = sum(v.numel() * v.element_size() for v in values.values())
        if self.bytes + size <= self.max_bytes:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.partial")
            save_file({k: v.contiguous() for k, v in values.items()}, part)
            os.replace(part, path)
            self.bytes += size
        return values


def fingerprint_of(model: nn.Module, image_processor: Any) -> str:
    """16 hex digits that name a frozen model with its preprocessing: config, shapes, number formats, and of every weight up
    to `SAMPLED` numbers spread over it. They are the same wherever its files lie."""
    digest = hashlib.sha256()
    for part in (model.config, image_processor):
        digest.update(json.dumps(unplaced(part.to_dict()), sort_keys=True, default=str).encode())  # type: ignore[operator, union-attr]
    for name, p in sorted(model.named_parameters()):
        full = p.full_tensor() if isinstance(p, DTensor) else p  # one that is spread over processes
        some = (full.to_dense() if full.is_mkldnn else full).detach().flatten()[:: max(1, p.numel() // SAMPLED)].float().cpu()
        digest.update(f"{name}{tuple(p.shape)}{p.dtype}".encode() + some.numpy().tobytes())
    return digest.hexdigest()[:16]


def unplaced(config: Any) -> Any:
    """A configuration without the folders that it was loaded from."""
    if isinstance(config, dict):
        return {k: unplaced(v) for k, v in config.items() if k not in ("_name_or_path", "name_or_path")}
    return config


class Features:
    """What frozen parts say of a dataset's pictures, by key: computed when first asked for, and kept in `cache` where there is
    one."""

    def __init__(self, backbone: Backbone, encoder: Encoder, dataset: Dataset, cache: Cache | None = None) -> None:
        self.backbone, self.encoder, self.dataset, self.cache = backbone, encoder, dataset, cache
        self.encoder_print = fingerprint_of(encoder.model, encoder.image_processor)
        self.backbone_print = fingerprint_of(backbone.model, backbone.image_processor)

    def reference(self, person: str, augment: str | None = None) -> Tensor:
        """z_ref float32[L, E] of someone's reference picture; with the seed `augment` of a changed copy, which is not kept."""
        key = f"{person}-{REFERENCE}"
        if augment is not None:
            rng = random.Random(f"{augment}/{key}")
            return self._encoded(augmented(self.dataset.image(key), rng))["z_ref"].float()
        values = self._kept(self.encoder_print, key, lambda: self._encoded(self.dataset.image(key)), self.encoder.device)
        return values["z_ref"].float()

    @torch.no_grad()
    def image_tokens(self, key: str) -> ImageTokens:
        """What stands for a query picture in the prompt."""
        values = self._kept(self.backbone_print, key, lambda: self._seen(key), self.backbone.device)
        ids, advance = values["ids"].tolist(), int(values["advance"])
        return ImageTokens(tuple(ids), values["rows"], values["places"], advance)

    def _kept(self, who: str, key: str, compute: Callable[[], Tensors], device: torch.device) -> Tensors:
        if self.cache is None:
            return compute()
        return self.cache.get(f"{who}/{self.dataset.digests[key]}", compute, device)

    def _encoded(self, image: Image.Image) -> Tensors:
        return {"z_ref": self.encoder.features(self.encoder.pixels([image]))[0].clone()}  # clone: no inference tensor

    def _seen(self, key: str) -> Tensors:
        (found,) = self.backbone.image_tokens(self.backbone.pixels([self.dataset.image(key)]))
        ids, advance = torch.tensor(found.ids), torch.tensor(found.advance)
        return {"ids": ids, "rows": found.rows, "places": found.places, "advance": advance}


def augmented(image: Image.Image, rng: random.Random) -> Image.Image:
    """A copy that may be mirrored, is cut by up to a tenth on each side, and darker or lighter by up to a fifth."""
    w, h = image.size
    left, top, right, bottom = (rng.uniform(0, 0.1) for _ in range(4))
    box = (int(left * w), int(top * h), int((1 - right) * w), int((1 - bottom) * h))
    copy = image.crop(box).resize((w, h), Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        copy = ImageOps.mirror(copy)
    return ImageEnhance.Brightness(copy).enhance(rng.uniform(0.8, 1.2))
