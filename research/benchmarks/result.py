"""Writing a result file: what was measured under where it comes from. Shared by the scripts beside it."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.provenance import provenance

RESULTS = Path(__file__).resolve().parents[1] / "results"


def command() -> str:
    """What the user typed, but for the interpreter's path."""
    return shlex.join(["python", *sys.argv])


def write_result(path: Path, seed: int, figures: dict[str, Any]) -> None:
    """Write `figures` with command, commit, seed, versions and machine, and say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(provenance(command(), seed) | figures, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


def progress(what: str, done: int, total: int) -> None:
    """A line on stderr that grows."""
    if done == total or done % max(1, total // 50) == 0:
        print(f"\r{what}: {done}/{total}    ", end="\n" if done == total else "", file=sys.stderr, flush=True)
