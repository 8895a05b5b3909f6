"""The families that the package carries: a folder each, with Aligner, backbone and encoder."""

from __future__ import annotations

from pathlib import Path

from plvm.errors import CheckpointError

FOLDER = Path(__file__).parent
BUILT_BY = {"mini": "plvm mini build", "photo": "plvm mini build --family photo"}
SHIPPED = tuple(BUILT_BY)


def shipped(name: str | Path) -> Path | None:
    """The Aligner folder of the shipped family called `name`, None where that is no shipped family. Raises CheckpointError where
    its weights are not in this package."""
    if name not in SHIPPED:
        return None
    folder = FOLDER / str(name) / "aligner"
    if not folder.is_dir():
        raise CheckpointError(f"The weights of the {name} family are not in this package.", f"Run `{BUILT_BY[str(name)]}`.")
    return folder
