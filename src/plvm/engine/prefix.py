"""The image prefix: everything up to and including the image tokens, computed once and shared.

It depends on no concept, because the image comes first: all concepts scored on a picture, all turns of a dialogue and
all questions about it continue the same keys and values. An `ImagePrefix` is a value; nothing that continues it changes
it.

Where a prompt defines concepts before the picture, the keys and values end before the definitions, and what is computed
once are the picture's tokens: `features`, which a dialogue's first turn writes after its definitions.

`PrefixCache` keeps prefixes of recent pictures by namespace and digest. What one namespace looked at can be neither
found nor noticed by another: the namespace is part of the key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock

import torch
from PIL import Image
from torch import Tensor

from plvm.model.backbone import Backbone, KeyValues
from plvm.model.backbone_family import ImageTokens
from plvm.model.familiarity import Familiarity
from plvm.model.shared_cache import SharedCache
from plvm.prompt.image_first import Prompt

NO_IMAGE = ""  # the digest of the prefix that holds no picture


@dataclass(frozen=True, eq=False)
class ImagePrefix:
    """Keys and values [1, heads, length, width] per layer of `length` tokens, and the digest of the picture's
    pixels; `features` [P, D] are the picture's tokens where they are not among those keys and values. The next token's
    position is `length + shift`. `computed` tokens of it were computed for whoever got this value first; 0 once they are
    counted, or where it was there already. `unlike`: how unlike the training the picture is, None where that is not known.
    `seen`: what the backbone saw of the picture, None where that was elsewhere."""

    past: KeyValues
    length: int
    digest: str = NO_IMAGE
    features: Tensor | None = None
    shift: int = 0
    computed: int = 0
    unlike: float | None = None
    seen: ImageTokens | None = None

    @property
    def settled(self) -> ImagePrefix:
        """A copy that counts as there already: whoever continues it computed none of it."""
        return replace(self, computed=0) if self.computed else self

    @property
    def bytes(self) -> int:
        """How much memory it holds."""
        tensors = [t for pair in self.past for t in pair] + ([] if self.features is None else [self.features])
        tensors += [] if self.seen is None else [self.seen.rows]
        return sum(t.numel() * t.element_size() for t in tensors)


@dataclass(frozen=True, eq=False)
class Prefixes:
    """The image prefixes of B pictures (or of none, B = 1) side by side: past [B, heads, P, width], right-padded; their lengths
    without padding, and the positions of the next tokens."""

    past: KeyValues
    lengths: tuple[int, ...]
    nexts: tuple[int, ...]

    def shared(self, times: int) -> SharedCache:
        """What a batch goes on from that has `times` rows for each picture, one picture's after the other."""
        if min(self.lengths) == max(self.lengths):
            return SharedCache([(self.past, len(self.lengths) * times)])
        return SharedCache([(self.row(i), times) for i in range(len(self.lengths))])

    def row(self, i: int) -> KeyValues:
        """Keys and values of picture i, without padding; views."""
        return tuple((k[i : i + 1, :, : self.lengths[i]], v[i : i + 1, :, : self.lengths[i]]) for k, v in self.past)


def digest_of(image: Image.Image | None) -> str:
    """A SHA-256 of the size and the RGB pixels, in hex: equal pictures have equal digests whatever file they came
    in."""
    if image is None:
        return NO_IMAGE
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode() + rgb.tobytes()).hexdigest()


@torch.no_grad()  # not inference_mode: training continues these keys and values with gradients
def prefill(backbone: Backbone, prompt: Prompt, images: Sequence[ImageTokens]) -> Prefixes:
    """The image prefixes of pictures, each through the language model once; without any, that of text alone."""
    before, after = prompt.prefix()
    rows = [(*before, *image.ids, *after) for image in images] or [(*before, *after)]
    width = max(map(len, rows))
    ids = torch.tensor([[*r, *[prompt.end_id] * (width - len(r))] for r in rows], device=backbone.device)
    grown = [image.advance - len(image.ids) for image in images] or [0]
    embeddings = backbone.embed(ids, images)
    positions = backbone.positions(len(before), images, width)
    _, past = backbone.hidden(embeddings, None, positions, keep=True, last=True)  # padding comes last: what is real never sees it
    assert past is not None
    return Prefixes(past, tuple(map(len, rows)), tuple(len(r) + more for r, more in zip(rows, grown, strict=True)))


@torch.no_grad()
def compute_prefixes(
    backbone: Backbone, prompt: Prompt, images: Sequence[Image.Image | None], *, batch: int = 16,
    familiarity: Familiarity | None = None,
) -> list[ImagePrefix]:  # fmt: skip
    """The prefix of each picture, in order, `batch` pictures at a time; None stands for no picture (text alone).

    Raises RequestError where the prompt defines concepts before the picture and the backbone needs it first.
    """
    found: dict[int, ImagePrefix] = {}
    seen = [i for i, image in enumerate(images) if image is not None]
    blind = [i for i, image in enumerate(images) if image is None]
    if blind or prompt.definitions_first:
        bare = _single(prefill(backbone, prompt, ()), 0, NO_IMAGE)
        found |= dict.fromkeys(blind, bare)
    for start in range(0, len(seen), batch):
        rows = seen[start : start + batch]
        pictures = [image for i in rows if (image := images[i]) is not None]
        tokens = backbone.image_tokens(backbone.pixels(pictures))
        unlike = _unlike(familiarity, tokens)
        if prompt.definitions_first:
            for i, image, own, score in zip(rows, pictures, tokens, unlike, strict=True):
                found[i] = replace(bare, digest=digest_of(image), features=backbone.features(own), unlike=score, seen=own)
            continue
        prefixes = prefill(backbone, prompt, tokens)
        for row, (i, image, own, score) in enumerate(zip(rows, pictures, tokens, unlike, strict=True)):
            found[i] = replace(_single(prefixes, row, digest_of(image)), unlike=score, seen=own)
    return [found[i] for i in range(len(images))]


def _unlike(familiarity: Familiarity | None, tokens: Sequence[ImageTokens]) -> Sequence[float | None]:
    glances = [own.glance for own in tokens if own.glance is not None]
    if familiarity is None or len(glances) < len(tokens):
        return [None] * len(tokens)
    return familiarity.queries.scores(torch.stack(glances))


def _single(prefixes: Prefixes, row: int, digest: str) -> ImagePrefix:
    length = prefixes.lengths[row]
    own = tuple((k.clone(), v.clone()) for k, v in prefixes.row(row))
    return ImagePrefix(own, length, digest, shift=prefixes.nexts[row] - length, computed=length)


class PrefixCache:
    """The most recently used prefixes, at most `max_bytes` of them in all; safe to share between threads."""

    def __init__(self, max_bytes: int = 512 * 1024**2) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._entries: OrderedDict[tuple[str, str], ImagePrefix] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, namespace: str, digest: str) -> ImagePrefix | None:
        """The prefix that `namespace` put there, or None."""
        with self._lock:
            found = self._entries.get((namespace, digest))
            if found is not None:
                self._entries.move_to_end((namespace, digest))
            return found

    def put(self, namespace: str, prefix: ImagePrefix) -> None:
        """Keep `prefix` for `namespace`; the least recently used make room. One larger than the cache is not kept."""
        prefix = prefix.settled
        with self._lock:
            self._drop((namespace, prefix.digest))
            if prefix.bytes > self.max_bytes:
                return
            self._entries[namespace, prefix.digest] = prefix
            self.bytes += prefix.bytes
            while self.bytes > self.max_bytes:
                self._drop(next(iter(self._entries)))

    def forget(self, *, namespace: str | None = None, digest: str | None = None) -> int:
        """Drop what is of `namespace` and of `digest` (None: of any); returns how many prefixes that were."""
        with self._lock:
            keys = [k for k in self._entries if namespace in (None, k[0]) and digest in (None, k[1])]
            for key in keys:
                self._drop(key)
            return len(keys)

    def _drop(self, key: tuple[str, str]) -> None:
        dropped = self._entries.pop(key, None)
        if dropped is not None:
            self.bytes -= dropped.bytes
