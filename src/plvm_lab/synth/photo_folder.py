"""Folders of photographs: as references to synthesise from, or imported as a dataset of their own.

FOLDER/name/picture.jpg   one identity per subfolder; its reference is the file called "ref..." or else the first one
FOLDER/picture.jpg        one identity per file (the layout of CelebA-HQ), for references only
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from plvm.data.shards import REFERENCE
from plvm.data.spec import Identity, Spec
from plvm.errors import ImageError, RequestError
from plvm.images import open_image
from plvm.people import SUFFIXES
from plvm_lab.synth.filters import FaceReader
from plvm_lab.synth.generator import Failure, Generator, Sample
from plvm_lab.synth.picture_readers import face_reader

WIDER = 1.7  # a reference shows hair and chin too: so much of the face's box


@dataclass(frozen=True)
class Photos:
    """One identity's files: the reference, then the other pictures."""

    reference: Path
    others: tuple[Path, ...] = ()


def photos_in(folder: Path) -> dict[str, Photos]:
    """identity key -> its photos, in alphabetical order. Keys are file names made safe for archives. Raises
    RequestError where there is no picture."""
    try:
        entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
        found = {e.name: [e] for e in entries if e.is_file() and e.suffix.lower() in SUFFIXES}
        for place in (e for e in entries if e.is_dir()):
            files = sorted(f for f in place.iterdir() if f.suffix.lower() in SUFFIXES and not f.name.startswith("."))
            if files:
                found[place.name] = sorted(files, key=lambda f: (not f.name.lower().startswith("ref"), f.name))
    except OSError as error:
        raise RequestError(f"{folder} cannot be read: {error.strerror}.", "Check the path.") from None
    if not found:
        raise RequestError(f"There is no picture in {folder}.", "Lay them out as FOLDER/NAME/picture.jpg.")
    return {safe_key(name): Photos(files[0], tuple(files[1:])) for name, files in sorted(found.items())}


def safe_key(name: str) -> str:
    """A name that archives and WebDataset readers take: letters, digits, "-" and "_"; different names stay different."""
    bare = re.sub(r"[^\w-]", "_", name, flags=re.ASCII)
    return bare if bare == name else f"{bare}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def read_reference(path: Path, reader: FaceReader | None, side: int) -> Image.Image:
    """A reference picture of at most `side` pixels a side: a square around its largest face where `reader` finds one,
    else the whole picture. Raises ImageError."""
    image = open_image(path)
    faces = reader.faces([image])[0] if reader is not None else []
    if faces:
        left, top, right, bottom = faces[0].box
        x, y = (left + right) / 2, (top + bottom) / 2
        half = min(WIDER * max(right - left, bottom - top), *image.size) / 2
        x, y = (min(max(c, half), full - half) for c, full in zip((x, y), image.size, strict=True))
        image = image.crop((round(x - half), round(y - half), round(x + half), round(y + half)))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def digest_of(photos: Mapping[str, Photos]) -> str:
    """SHA-256 of which files there are, and how large. Raises RequestError where one has gone."""
    try:
        told = {key: [(f.name, f.stat().st_size) for f in (p.reference, *p.others)] for key, p in photos.items()}
    except OSError as error:
        raise RequestError(f"{error.filename} cannot be read: {error.strerror}.", "Check the path.") from None
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def reference_folder(spec: Spec) -> Path:
    """The folder that a spec's references lie in. Raises RequestError where it names none."""
    if not spec.options.get("references"):
        raise RequestError("No folder of pictures is named.", "Name one with --references FOLDER.")
    return Path(str(spec.options["references"]))


class FromPhotos(Generator):
    """What generators have in common that start from a folder of photos: the identities are those of the folder."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.photos = photos_in(reference_folder(spec))

    @cached_property
    def reader(self) -> FaceReader | None:
        """Loaded when the first picture is read: who only plans needs no models."""
        return face_reader(self.spec) if self.spec.filters else None

    def keys(self) -> Sequence[str]:
        return list(self.photos)[: self.spec.identities or None]

    def inputs(self) -> Mapping[str, str]:
        return {"photos": digest_of(self.photos)}


class PhotoFolder(FromPhotos):
    """The generator "photos": makes nothing, brings in what a folder has. A photo beyond `per_identity`, or one that
    cannot be read, is a failure with its reason."""

    def make(self, identity: Identity) -> tuple[list[Sample], list[Failure]]:
        photos = self.photos[identity.key]
        samples: list[Sample] = []
        failures: list[Failure] = []
        for i, path in enumerate((photos.reference, *photos.others)):
            name = str(i - 1) if i else REFERENCE
            told = {"file": path.name}
            if i > self.spec.per_identity:
                failures.append(Failure(name, f"{path.name}: more than {self.spec.per_identity} pictures"))
                continue
            try:
                if i:
                    image = open_image(path)
                    image.thumbnail((self.spec.size, self.spec.size), Image.Resampling.LANCZOS)
                else:
                    image = read_reference(path, self.reader, self.spec.size)
                samples.append(Sample(name, (identity.key,), image, "", told))
            except ImageError as error:
                failures.append(Failure(name, error.message))
        return samples, failures

    def describe(self) -> Mapping[str, str]:
        return {"generator": f"photos of {len(self.photos):,} identities"}
