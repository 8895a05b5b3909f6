"""The tables of a dataset as Parquet files: a row per picture, and a row per question. The same rows give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plvm.data.files import whole_file
from plvm.errors import RequestError

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
    """Write rows as a Parquet file with these `columns` (name -> type); what a row lacks is null."""
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


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise RequestError(
            "Datasets are Parquet files, and pyarrow is not installed.", 'Install it with: pip install "plvm[synth]"'
        ) from None
    return pyarrow, pyarrow.parquet
