"""Where a result comes from: versions, commit, machine, command. Every result file carries it."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "pillow")


def version_of(package: str) -> str:
    """The installed version, or "unknown"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def versions() -> dict[str, str]:
    """Python, plvm and the packages that decide numbers."""
    return {"python": platform.python_version(), "plvm": version_of("plvm")} | {p: version_of(p) for p in PACKAGES}


def commit() -> str | None:
    """The git commit of this source, with "+" where files differ from it; None outside a checkout of plvm."""
    here = Path(__file__).resolve()

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here.parent), *arguments], capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", here.name) is None:
        return None
    found = git("rev-parse", "HEAD")
    if found is None:
        return None
    return found + ("+" if git("status", "--porcelain", "--", str(here.parents[1])) else "")


def machine() -> dict[str, Any]:
    """The machine, as far as times depend on it."""
    import torch

    found: dict[str, Any] = {
        "system": platform.platform(terse=True), "cpu": _cpu(), "threads": torch.get_num_threads(),
    }  # fmt: skip
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name(0)
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def provenance(command: str, seed: int) -> dict[str, Any]:
    """What stands at the top of every result file."""
    return {
        "command": command,
        "seed": seed,
        "commit": commit(),
        "versions": versions(),
        "machine": machine(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
