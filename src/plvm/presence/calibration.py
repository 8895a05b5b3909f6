"""A calibration as a value and as two files beside an Aligner's weights, which are not part of its fingerprint.

    verdicts.json          the weights of the evidence and the thresholds; the Aligner they were fitted for
    verdicts.safetensors   the reader of keys; not there where there is none
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plvm.errors import CheckpointError
from plvm.presence.key_reader import Reader
from plvm.presence.verdicts import Verdicts

NUMBERS, READER = "verdicts.json", "verdicts.safetensors"
FILES = (NUMBERS, READER)
PARTS = ("weight", "bias", "mean", "scale")
AGAIN = "Fit it again with `plvm calibrate`, or remove both files."


@dataclass(frozen=True, eq=False)
class Calibration:
    """How evidence becomes a verdict. Without a `reader` everyone is asked about; `note`: what its user has to know."""

    verdicts: Verdicts = field(default_factory=Verdicts)
    reader: Reader | None = None
    note: str = "The verdicts are not calibrated: they follow from P(Yes) alone. `plvm calibrate` fits them."


def save_calibration(folder: str | Path, calibration: Calibration, aligner: str) -> None:
    """Write it into an Aligner's folder, for the Aligner with this fingerprint; the numbers last."""
    from safetensors.torch import save

    folder = Path(folder)
    reader = calibration.reader
    if reader is not None:
        rows = {name: getattr(reader, name).half().contiguous() for name in PARTS}
        _replace(folder / READER, save(rows))
    numbers = {"aligner": aligner, "reader": reader is not None, **dataclasses.asdict(calibration.verdicts)}
    _replace(folder / NUMBERS, (json.dumps(numbers, indent=1) + "\n").encode())


def load_calibration(folder: str | Path, aligner: str) -> Calibration:
    """The calibration in an Aligner's folder; one that is not calibrated, and says so, where there is none for the Aligner with
    this fingerprint. Raises CheckpointError where the files are damaged."""
    path = Path(folder) / NUMBERS
    if not path.is_file():
        return Calibration()
    try:
        numbers: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        made_for, with_reader = numbers.pop("aligner"), numbers.pop("reader")
        listed = ("counts", "yes", "unsure")
        values: dict[str, Any] = {k: tuple(v) if k in listed else v for k, v in numbers.items()}
        verdicts = Verdicts(**values)
        if not verdicts.counts or len({len(getattr(verdicts, name)) for name in listed}) != 1:
            raise ValueError("its thresholds do not fit its counts")
        reader = _reader(Path(folder) / READER) if with_reader and made_for == aligner else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} cannot be used: {error}.", AGAIN) from None
    if made_for != aligner:
        return Calibration(note=f"The verdicts in {folder} are another Aligner's: these follow from P(Yes) alone.")
    return Calibration(verdicts, reader, "")


def _reader(path: Path) -> Reader:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        rows = load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from None
    parts = [rows[name].float() for name in PARTS]
    if not all(part.isfinite().all() for part in parts):
        raise ValueError(f"{path.name} is not finite")
    width = len(parts[1])
    if [tuple(p.shape) for p in parts[1:]] != [(width,), (width,), (width, width)] or parts[0].shape[1:] != (width,):
        raise ValueError(f"the shapes in {path.name} do not fit each other")
    return Reader(*parts)


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)
