"""One portable file of concepts: a zip of a JSON manifest, safetensors and reference images. Nothing is ever unpickled.

    manifest.json                     format, version, and for every concept its texts and the names of its files
    concepts/<n>/tokens.safetensors
    concepts/<n>/reference-<i>.png    (or .jpg, .webp)

An archive comes from somebody else, so reading trusts nothing: entries stay in memory, their names must be exactly
those above, each belongs to one concept, and their sizes and number are limited before anything is unpacked. What is
inside the tokens is for `plvm.store.fitting` to compare with the Aligner's other concepts.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plvm.errors import PlvmError, StoreError
from plvm.images import open_image, sniff_format
from plvm.store.tokens import tokens_from_bytes, tokens_to_bytes
from plvm.store.unfinished import unfinished
from plvm.types import Concept, check_name, check_text

FORMAT, VERSION = "plvm-concepts", 3
_OLD = {1: {"display": "", "consent": ""}, 2: {"consent": ""}}  # what they have not: {version: {field: what it is then}}
MANIFEST = "manifest.json"
MAX_ENTRY_BYTES = 16 * 1024**2
MAX_TOTAL_BYTES = 1024**3
MAX_ENTRIES = 50_000
MAX_REFERENCES = 1_000  # of one concept
_ENTRY = re.compile(r"manifest\.json|concepts/\d{1,6}/(tokens\.safetensors|reference-\d{1,3}\.(png|jpg|webp))")
_SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same concepts give the same bytes
_LENGTHS = {"name": 64, "display": 64, "aligner": 256, "notes": 100_000, "consent": 100_000, "created": 64}


def write_archive(path: Path, concepts: Sequence[Concept], *, replace: bool = False) -> None:
    """Write `concepts` with their reference pictures to the file `path`, whole or not at all, for its owner's eyes only.

    Raises StoreError where they are too many or `path` cannot be written; without `replace` also where it exists."""
    if path.is_dir() or (path.exists() and not replace):
        raise StoreError(f"{path} exists already.", "Name a new file, or remove that one first.")
    files = _files(concepts)
    total = sum(map(len, files.values()))
    if total > MAX_TOTAL_BYTES or len(files) > MAX_ENTRIES:
        raise StoreError(
            f"These concepts take {total / 1024**2:,.0f} MiB, more than one file may hold.",
            "Export some names at a time.",
        )
    try:
        with unfinished(path.parent, ".plvm-export-") as temporary:
            with zipfile.ZipFile(temporary, "w") as archive:
                for name, data in files.items():
                    compression = zipfile.ZIP_DEFLATED if name == MANIFEST else zipfile.ZIP_STORED
                    archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, compress_type=compression)
            os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", "Name a file in a folder of yours.") from None


def read_archive(path: Path) -> list[Concept]:
    """The concepts in the exported file `path`, in its order, every one checked whole. Raises StoreError, naming what is
    wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _check_entries(archive, path)
            manifest = _parse_manifest(_unpack(archive, entries, MANIFEST), path)
            _check_files(manifest)
            return [_read_concept(archive, entries, record) for record in manifest]
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist.", "Check the path of the exported file.") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}.", "Name a file made by `plvm export`.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise _refused(path, str(error)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise _refused(path, str(error)) from None


def _files(concepts: Sequence[Concept]) -> dict[str, bytes]:
    """Every entry of the archive; the manifest first."""
    files: dict[str, bytes] = {}
    records = []
    for number, concept in enumerate(concepts):
        tokens = f"concepts/{number}/tokens.safetensors"
        files[tokens] = tokens_to_bytes(concept.tokens)
        pictures = []
        for position, picture in enumerate(concept.references):
            kind = sniff_format(picture)
            if kind not in _SUFFIXES:
                raise StoreError(
                    f"A reference of <{concept.name}> is not a PNG, JPEG or WebP picture.", "Add it again."
                )
            pictures.append(f"concepts/{number}/reference-{position}.{_SUFFIXES[kind]}")
            files[pictures[-1]] = picture
        if len(pictures) > MAX_REFERENCES:
            raise StoreError(f"<{concept.name}> has {len(pictures):,} pictures, over {MAX_REFERENCES:,}.", "Add it with fewer.")
        text = {key: getattr(concept, key) for key in _LENGTHS}
        records.append({**text, "tokens": tokens, "references": pictures})
    manifest = {"format": FORMAT, "version": VERSION, "concepts": records}
    return {MANIFEST: json.dumps(manifest, ensure_ascii=False, indent=1).encode(), **files}


def _check_entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES or sum(info.file_size for info in infos) > MAX_TOTAL_BYTES:
        raise _refused(path, "it unpacks to more than any export holds")
    for info in infos:
        if not _ENTRY.fullmatch(info.filename):
            raise _refused(path, f"it holds a file named {info.filename[:80]!r}")
        if info.file_size > MAX_ENTRY_BYTES:
            raise _refused(path, f"{info.filename} unpacks to {info.file_size / 1024**2:,.0f} MiB")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(path, f"{info.filename} is packed in an unusual way")
    entries = {info.filename: info for info in infos}
    if len(entries) != len(infos):
        raise _refused(path, "it holds two files of one name")
    if MANIFEST not in entries:
        raise _refused(path, f"it has no {MANIFEST}")
    return entries


def _unpack(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    if name not in entries:
        raise ValueError(f"it has no {name[:80]}")
    with archive.open(entries[name]) as file:  # never more than the size that was checked, whatever the data says
        return file.read(MAX_ENTRY_BYTES)


def _parse_manifest(data: bytes, path: Path) -> list[dict[str, Any]]:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        raise _refused(path, f"its {MANIFEST} is not JSON") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _refused(path, f'its {MANIFEST} is not of the format "{FORMAT}"')
    if manifest.get("version") not in (*_OLD, VERSION):
        raise StoreError(
            f"{path} has version {str(manifest.get('version'))[:20]}; this plvm knows version {VERSION}.",
            "If a newer plvm wrote it: `pip install --upgrade plvm`.",
        )
    records = manifest.get("concepts")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise _refused(path, f"its {MANIFEST} lists no concepts")
    names = [record.get("name") for record in records]
    if len({str(name) for name in names}) != len(names):
        raise _refused(path, "it holds two concepts of one name")
    return [{**_OLD.get(manifest["version"], {}), **record} for record in records]


def _check_files(manifest: list[dict[str, Any]]) -> None:
    """Every concept has files of its own, and not too many: else a short list could unpack one picture a million times."""
    for number, record in enumerate(manifest):
        files = record.get("references")
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise ValueError("the references of a concept are not a list of files")
        if len(files) > MAX_REFERENCES:
            raise ValueError(f"a concept has {len(files):,} references, over {MAX_REFERENCES:,}")
        own = [*files, record.get("tokens")]
        if len(set(own)) != len(own) or not all(str(file).startswith(f"concepts/{number}/") for file in own):
            raise ValueError("a concept names files that are not its own, or one twice")


def _read_concept(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], record: dict[str, Any]) -> Concept:
    """One checked concept. Raises ValueError, KeyError or TypeError for a record that is not one."""
    expected = {*_LENGTHS, "tokens", "references"}
    if set(record) != expected:
        raise ValueError(f"a concept has the fields {', '.join(map(str, record))[:200]}")
    for key, limit in _LENGTHS.items():
        if not isinstance(record[key], str) or len(record[key]) > limit:
            raise ValueError(f'the field "{key}" of a concept is not a text of at most {limit:,} characters')
    name = record["name"]
    try:
        for key in _LENGTHS:
            check_text(record[key], f'The field "{key}"')
        if check_name(name) != name:
            raise ValueError(f"the name {name!r} is not in its usual form")
        references = tuple(_unpack(archive, entries, file) for file in record["references"])
        for picture in references:
            open_image(picture)
    except PlvmError as error:
        raise ValueError(f"of the concept {name[:64]!r}: {error.message}") from None
    tokens = tokens_from_bytes(_unpack(archive, entries, record["tokens"]))
    notes, created, display = (record[key] for key in ("notes", "created", "display"))
    return Concept(name, tokens, record["aligner"], references, notes, created, display, consent=record["consent"])


def _refused(path: Path, reason: str) -> StoreError:
    reason = reason[:300].removesuffix(".").strip("'\"")
    return StoreError(
        f"{path} is not a whole export of concepts: {reason}. Nothing was changed.",
        "Make it again with `plvm export`, and copy it in binary mode.",
    )
