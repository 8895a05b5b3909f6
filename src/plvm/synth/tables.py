"""The tables of a dataset, Parquet, and the picture shards beside them, tar files in the WebDataset layout.

    train-00000.tar               <identity>-<name>.png and .json for every kept picture; references are "-reference"
    train-00000.rejected.tar      the same for what the filters refused
    train-00000.pictures.parquet  one row per picture, kept or not, with its scores and reasons; failures too
    train-00000.questions.parquet questions and answers; written last: a shard with this file is whole

The same rows and pictures give the same bytes. A file appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from plvm.errors import PlvmError, RequestError

PICTURE_COLUMNS: dict[str, str] = {
    "picture": "string", "identity": "string", "people": "strings", "split": "string", "name": "string",
    "prompt": "string", "kept": "bool", "rejected_by": "string", "reason": "string", "text_score": "float",
    "face_score": "float", "faces": "int32", "nearest": "float", "width": "int32", "height": "int32",
    "sha256": "string", "hash": "string", "truth": "string",
}  # fmt: skip
QUESTION_COLUMNS: dict[str, str] = {
    "kind": "string", "picture": "string", "concepts": "strings", "question": "string", "answer": "string",
    "verdict": "bool", "options": "strings", "truth": "string", "source": "string",
}  # fmt: skip


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Write `rows` as Parquet. Columns that a row lacks are null."""
    arrow, parquet = _arrow()
    kinds = {"string": arrow.string(), "bool": arrow.bool_(), "float": arrow.float32(), "int32": arrow.int32()}
    kinds["strings"] = arrow.list_(arrow.string())
    schema = arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
    table = arrow.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema=schema)
    with whole_file(path) as part:
        parquet.write_table(table, part, compression="zstd")


def read_table(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a Parquet file. Raises RequestError where it is missing or damaged."""
    arrow, parquet = _arrow()
    try:
        return parquet.ParquetFile(path).read(columns=columns).to_pylist()
    except (OSError, arrow.ArrowException) as error:
        raise RequestError(f"{path} cannot be read ({type(error).__name__}).", "Make the dataset again.") from None


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
    """(key, PNG) of every picture in a tar."""
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


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` at the end; what is broken off leaves nothing behind under that name.

    Raises PlvmError where the disk is full or the folder cannot be written to.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise _no_room(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _no_room(path: Path, error: OSError) -> PlvmError:
    again = "then start the same command again: finished shards are kept"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PlvmError(f"The disk is full: {path} cannot be written.", f"Free some space, {again}.")
    return PlvmError(f"{path} cannot be written: {error.strerror or error}.", f"Check the folder, {again}.")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise RequestError(
            "Datasets are Parquet files, and pyarrow is not installed.", 'Install it with: pip install "plvm[synth]"'
        ) from None
    return pyarrow, pyarrow.parquet
