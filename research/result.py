"""Writing a result file: what was measured, where it comes from, and the tables that the report shows of it. Shared by the
scripts of runs/ and benchmarks/."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.provenance import provenance
from plvm_lab.evaluate.result_table import Cell, Table, lasting
from plvm_lab.report.charts import Chart

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Shown:
    """What the report shows of a result file. `place` is the published table or figure that it makes again: "Table 2"."""

    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    place: str = ""

    def content(self) -> dict[str, Any]:
        """The keys of the result file; those that would be empty are left out."""
        found = {"place": self.place, "tables": [asdict(t) for t in self.tables], "charts": [asdict(c) for c in self.charts]}
        return {key: value for key, value in found.items() if value}


def command() -> str:
    """What the user typed, but for the interpreter's path."""
    return shlex.join(["python", *sys.argv])


def write_result(path: Path, seed: int, figures: Mapping[str, Any], shown: Shown | None = None) -> None:
    """Write `figures` with command, commit, seed, versions and machine, then what is shown of them, and say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = provenance(command(), seed) | dict(figures) | (shown.content() if shown is not None else {})
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


def progress(what: str, done: int, total: int) -> None:
    """A line on stderr that grows."""
    if done == total or done % max(1, total // 50) == 0:
        print(f"\r{what}: {done}/{total}    ", end="\n" if done == total else "", file=sys.stderr, flush=True)


# ---- helpers for the tables of several scripts

SHARES = {"positive": "positive", "negative": "negative", "mean": "mean", "auc": "AUC"}
OTHER_PICTURES = "The published figures are of photos and a 7B model: compare orders, not numbers."


def by_key(title: str, entries: Mapping[str, Any], key: str, columns: Mapping[str, str], note: str) -> Table:
    """A table with a row for every entry; `columns` are keys of an entry and what they are called. What ends in "seconds" is a
    time, everything else a share."""
    rows = tuple((f"{int(n):,}", *(_cell(entry, c) for c in columns)) for n, entry in entries.items())
    return Table(title, (key, *columns.values()), rows, note)


def _cell(entry: Mapping[str, Any], name: str) -> Cell:
    value = entry[name]
    return lasting(value) if name.endswith("seconds") else value
