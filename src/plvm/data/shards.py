"""The files of one shard of a dataset, and its pictures: tar files in the WebDataset layout.

    train-00000.tar               <identity>-<name>.png and .json for every kept picture; references are "-reference"
    train-00000.rejected.tar      the same for what the filters refused
    train-00000.pictures.parquet  one row per picture, kept or not, with its scores and reasons; failures too
    train-00000.questions.parquet questions and answers; written last: a shard with this file is whole

The same pictures give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from plvm.data.files import whole_file
from plvm.errors import RequestError

KEPT, REJECTED, PICTURES, QUESTIONS = ".tar", ".rejected.tar", ".pictures.parquet", ".questions.parquet"
PARTS = (KEPT, REJECTED, PICTURES, QUESTIONS)
REFERENCE = "reference"  # the name of the picture that somebody is learned from


def write_pictures(path: Path, pictures: Sequence[tuple[str, bytes, Mapping[str, Any]]]) -> None:
    """Write (key, PNG, what is told about it) as `key.png` and `key.json` into a tar."""
    with whole_file(path) as part, tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, png, told in pictures:
            note = json.dumps(told, sort_keys=True, ensure_ascii=False).encode()
            for name, data in ((f"{key}.png", png), (f"{key}.json", note)):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                entry.mode = 0o644
                tar.addfile(entry, io.BytesIO(data))


def read_pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every picture in a tar file, one after the other: (its key, its PNG bytes)."""
    try:
        with tarfile.open(path) as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.name.endswith(".png") else None
                if file is not None:
                    yield entry.name.removesuffix(".png"), file.read()
    except (OSError, tarfile.TarError) as error:
        raise RequestError(f"{path} cannot be read ({type(error).__name__}).", "Make the dataset again.") from None


def encode_png(image: Image.Image) -> bytes:
    """A picture as PNG: the same pixels give the same bytes with the same Pillow."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()
