"""Runs a system on a benchmark: `records.jsonl` (one line per item) and `summary.json` (every figure with its
interval).

A part whose records are complete is kept when the same run is started again: `state.json` names the finished parts,
the length of the records file at that point, and a digest of everything that decides answers. Another system,
benchmark or version starts anew; a run that was killed loses the part it was in.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from plvm.errors import RequestError
from plvm.types import nearest_names
from plvm_lab.evaluate.figures import Record
from plvm_lab.evaluate.harness import Harness
from plvm_lab.evaluate.protocols import PARTS
from plvm_lab.evaluate.provenance import machine, provenance, version_of
from plvm_lab.evaluate.suite import Suite
from plvm_lab.evaluate.system import System

Progress = Callable[[str, int, int], None]  # what is going on, how much of it is done, how much there is
RECORDS, SUMMARY, STATE = "records.jsonl", "summary.json", "state.json"


def evaluate(
    system: System,
    benchmark: Suite,
    out: Path,
    *,
    command: str = "",
    parts: Sequence[str] | None = None,
    pictures: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run `system` on `benchmark` and return what `out`/summary.json says.

    `parts` (default: all that the benchmark has) are keys of `PARTS`; parts that the system has no ability for are
    skipped and named. `pictures` keeps the drawn pictures in a folder; without it they are drawn again each time.
    `command` is what the user typed.
    """
    wanted = _check(parts, benchmark)
    report: Progress = progress if progress is not None else lambda *_: None
    out.mkdir(parents=True, exist_ok=True)
    journal = Journal(out, _digest(system, benchmark))
    harness = Harness(system, benchmark, benchmark.album(pictures))
    able = [p for p in wanted if PARTS[p].needs in system.abilities]
    if missing := [p for p in able if p not in journal.parts]:
        _prepare(system, harness, journal, report)
    for part in missing:
        records, seconds = _run(part, harness, report)
        journal.facts = system.facts
        journal.finish(part, records, seconds)
    known = {p: r for p, r in journal.records().items() if p in able}
    summary = _summary(system, benchmark, command, known, journal)
    summary["skipped"] = [p for p in wanted if p not in able]
    text = json.dumps(summary, indent=2)
    _write(out / SUMMARY, text + "\n")
    return json.loads(text)


def _check(parts: Sequence[str] | None, benchmark: Suite) -> list[str]:
    for part in parts or ():
        if part not in benchmark.parts:
            near = nearest_names(part, benchmark.parts, 1)
            raise RequestError(
                f'The suite has no part "{part[:40]}".' + (f' Perhaps "{near[0]}"?' if near else ""),
                f"Its parts are: {', '.join(benchmark.parts)}.",
            )
    return [p for p in benchmark.parts if parts is None or p in parts]


def _digest(system: System, benchmark: Suite) -> str:
    deciding = [system.name, system.fingerprint, benchmark.key, benchmark.facts, version_of("plvm")]
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _prepare(system: System, harness: Harness, journal: Journal, report: Progress) -> None:
    """Draw the pictures and learn the identities before the clock of a part runs."""
    system.prepare(harness.album)
    total = len(harness.benchmark.pictures)
    for i in range(total):
        harness.album.query(i)
        report("pictures", i + 1, total)
    names = harness.benchmark.names
    pictures = [harness.references(name) for name in names]
    seconds, sizes = 0.0, []
    for i, (name, own) in enumerate(zip(names, pictures, strict=True)):
        begun = time.perf_counter()
        known = harness.concept(name, own)
        took = time.perf_counter() - begun
        before = system.seconds_of(known)
        seconds += took if before is None else before
        sizes.append(system.bytes_of(known))
        report("references", i + 1, len(names))
    journal.learning = {"seconds": round(seconds, 6), "n": len(names), "bytes": _mean(sizes)}


def _mean(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return round(sum(known) / len(known)) if known else None


def _run(part: str, harness: Harness, report: Progress) -> tuple[list[Record], float]:
    """(the records of a part, the seconds it took)."""
    total, records, begun = PARTS[part].count(harness.benchmark), list[Record](), time.perf_counter()
    for record in PARTS[part].ask(harness):
        records.append({"part": part} | record)
        report(part, len(records), total)
    return records, time.perf_counter() - begun


def _summary(
    system: System, benchmark: Suite, command: str, records: dict[str, list[Record]], journal: Journal
) -> dict[str, Any]:
    times = {p: {"seconds": journal.parts[p], "n": len(records[p])} for p in records}
    figures = {p: PARTS[p].figures(records[p], records) for p in PARTS if p in records}
    return {
        "system": {"name": system.name, "fingerprint": system.fingerprint} | (journal.facts or system.facts),
        "suite": benchmark.suite,
        "benchmark": benchmark.facts,
        **provenance(command, benchmark.seed),
        "n": sum(map(len, records.values())),
        "unparsable": sum(r["answer"] is None for rows in records.values() for r in rows),
        **figures,
        "timing": {"machine": machine(), "learning": journal.learning, **times},
    }


class Journal:
    """The records of a run on disk, part by part."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.file, self.state = folder / RECORDS, folder / STATE
        self.digest = digest
        self.parts: dict[str, float] = {}  # finished part -> its seconds
        self.learning: dict[str, Any] | None = None
        self.facts: dict[str, Any] = {}  # of the system, as it was when it was asked
        size = self._read_state()
        with self.file.open("ab") as file:  # what a killed run left of an unfinished part goes
            file.truncate(size)

    def _read_state(self) -> int:
        """Take over the finished parts of the same run; returns the length of their records."""
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
            if state["digest"] != self.digest or self.file.stat().st_size < state["bytes"]:
                return 0
            self.parts, self.learning, self.facts = state["parts"], state["learning"], state["facts"]
            return state["bytes"]
        except (OSError, ValueError, KeyError):
            return 0

    def finish(self, part: str, records: Iterable[Record], seconds: float) -> None:
        """Add the records of a whole part, then note that it is there."""
        with self.file.open("ab") as file:
            file.writelines(json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in records)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        self.parts[part] = round(seconds, 3)
        state = {
            "digest": self.digest, "bytes": size, "parts": self.parts, "learning": self.learning, "facts": self.facts,
        }  # fmt: skip
        _write(self.state, json.dumps(state))

    def records(self) -> dict[str, list[Record]]:
        """All records by part."""
        found: dict[str, list[Record]] = {part: [] for part in self.parts}
        with self.file.open(encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                found[record["part"]].append(record)
        return found


def _write(path: Path, text: str) -> None:
    """Replace a file whole."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
