"""Captions as JSON: `party.jpg.plvm.json` beside `party.jpg`. Fields that others added to it stay."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plvm.data.files import whole_file
from plvm.sidecars.caption import Caption, Seen
from plvm.sidecars.sidecar import foreign, read

VERSION = 1


class JsonSidecar:
    """One JSON object a picture."""

    def mark(self, picture: Path) -> str | None:
        """The mark of the picture that was written about; None where nothing was. Raises RequestError for a file of others."""
        found = self._read(picture)
        return None if found is None else str(found.get("picture"))

    def caption(self, picture: Path) -> Caption | None:
        """What was written about a picture; None where nothing was. Raises RequestError for a file of others."""
        found = self._read(picture)
        if found is None:
            return None
        try:
            people, unsure = (tuple(Seen(**seen) for seen in found[kind]) for kind in ("people", "unsure"))
            return Caption(str(found["text"]), people, unsure, found["unlike"], str(found["aligner"]))
        except (KeyError, TypeError):
            raise foreign(_place(picture), "lacks what plvm writes") from None

    def write(self, picture: Path, mark: str, caption: Caption) -> Path:
        """Write the caption, and return the file's path. Raises PlvmError."""
        before, path = self._read(picture), _place(picture)
        own = {
            "plvm": VERSION,
            "picture": mark,
            "caption": caption.sentence,
            "text": caption.text,
            "people": [asdict(seen) for seen in caption.people],
            "unsure": [asdict(seen) for seen in caption.unsure],
            "unlike": None if caption.unlike is None else round(caption.unlike, 3),
            "aligner": caption.aligner,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with whole_file(path) as part:
            part.write_text(json.dumps((before or {}) | own, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def _read(self, picture: Path) -> dict[str, Any] | None:
        path = _place(picture)
        data = read(path)
        if data is None:
            return None
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise foreign(path, "is no JSON") from None
        if not isinstance(found, dict) or "plvm" not in found:
            raise foreign(path, "was written by somebody else")
        return found


def _place(picture: Path) -> Path:
    return picture.with_name(picture.name + ".plvm.json")
