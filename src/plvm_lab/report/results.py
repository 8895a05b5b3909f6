"""Systems on benchmarks, as result files below a folder hold them: every summary.json of an evaluation, and every file with
`systems` of summaries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, eq=False)
class Run:
    """One system on one benchmark. `records` is the file with a line per item, where it is still there."""

    name: str
    summary: dict[str, Any]
    file: Path
    records: Path | None = None

    @property
    def key(self) -> str:
        """The benchmark's key."""
        return str(self.summary["benchmark"]["key"])

    @property
    def suite(self) -> str:
        """The benchmark with its size: only runs on the very same items stand in one table."""
        facts = self.summary["benchmark"]
        size = facts.get("size", facts)
        return f"{self.key}: {size['identities']} identities, {size['pictures']} query pictures"

    def figure(self, *path: str) -> dict[str, Any] | None:
        """The figure under a path of keys, None where it was not measured."""
        node: Any = self.summary
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        return node if isinstance(node, dict) and node.get("value") is not None else None


def find_runs(folder: Path) -> list[Run]:
    """Every run below a folder, by suite and in the order of the files. Where a system was measured twice on the same
    suite, the later measurement is kept."""
    found: dict[tuple[str, str], Run] = {}
    for path in sorted(folder.rglob("*.json")):
        for run in _runs_of(path):
            before = found.get((run.suite, run.name))
            if before is None or before.summary["time"] <= run.summary["time"]:
                found[run.suite, run.name] = run
    suites = list(dict.fromkeys(suite for suite, _ in found))
    return sorted(found.values(), key=lambda r: (suites.index(r.suite), r.name != "plvm"))


def by_suite(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each suite, in order."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.suite, []).append(run)
    return found


def read_result(path: Path) -> dict[str, Any]:
    """What a file says; nothing where it is no JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _runs_of(path: Path) -> Iterator[Run]:
    content = read_result(path)
    if _is_summary(content):
        records = path.with_name("records.jsonl")
        yield Run(content["system"]["name"], content, path, records if records.is_file() else None)
    systems = content.get("systems")
    for name, summary in systems.items() if isinstance(systems, dict) else ():
        if _is_summary(summary):
            yield Run(name, summary, path)


def _is_summary(content: Any) -> bool:
    needed = {"system", "suite", "benchmark", "command", "seed", "commit", "time", "n"}
    return isinstance(content, dict) and needed <= set(content) and "key" in content["benchmark"]
