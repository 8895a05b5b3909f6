"""The report as one HTML page that needs nothing but itself: tables, curves and pictures are inside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from plvm_lab.evaluate.result_table import Cell, Table, text_of
from plvm_lab.report.charts import chart_svg
from plvm_lab.report.evaluations import tables_of
from plvm_lab.report.failures import Identity, Miss, Redrawn, hardest
from plvm_lab.report.measurement import Measurement
from plvm_lab.report.pages import render
from plvm_lab.report.plots import roc_svg
from plvm_lab.report.result_folder import Results
from plvm_lab.report.results import Run, by_suite

Progress = Callable[[str, int, int], None]


def report_page(found: Results, home: Path, progress: Progress = lambda *_: None) -> str:
    """The whole page. `home` is the folder that it will lie in: links to result files start there. Where the items of a run on
    drawn portraits were kept, the pictures that it was most wrong about are drawn again; `progress` hears of these."""
    suites = by_suite(found.runs)
    return render(
        "report.html.j2",
        told=_told(found, len(suites)),
        published=[_measurement(measurement, home) for measurement in found.measurements if measurement.place],
        suites=[_suite(title, runs, home, progress) for title, runs in suites.items()],
        further=[_measurement(measurement, home) for measurement in found.measurements if not measurement.place],
    )


def _told(found: Results, suites: int) -> str:
    def count(number: int, word: str) -> str:
        return f"{number} {word}{'' if number == 1 else 's'}"

    told = [f"{count(len(found.runs), 'run')} on {count(suites, 'benchmark')}"] if suites else []
    told += [count(len(found.measurements), "further result file")] if found.measurements else []
    latest = max((run.summary["time"][:10] for run in found.runs), default="")
    return " and ".join(told) + (f"; the latest run is of {latest}." if latest else ".")


def _suite(title: str, runs: Sequence[Run], home: Path, progress: Progress) -> dict[str, Any]:
    flaws = runs[0].summary["benchmark"].get("defects")
    curves = {r.name: r.summary["recognition"]["roc"] for r in runs if "roc" in r.summary.get("recognition", {})}
    return {
        "title": title,
        "flaws": f"Flaws of the folder: {', '.join(f'{k} {n}' for k, n in flaws.items())}." if flaws else "",
        "tables": [_table(table) for table in tables_of(runs)],
        "curves": Markup(roc_svg({name: (c["false"], c["true"]) for name, c in curves.items()})) if curves else "",
        "hardest": list(_failures(runs, progress)),
        "sources": [_source(run, home) for run in runs],
    }


def _measurement(measurement: Measurement, home: Path) -> dict[str, Any]:
    return {
        "tables": [_table(table) for table in measurement.tables],
        "charts": [Markup(chart_svg(chart)) for chart in measurement.charts],
        "page": measurement.page and _link(measurement.page, home, measurement.title),
        "file": _link(measurement.file, home, measurement.file.name),
        "command": measurement.content["command"],
        "source": measurement.source,
    }


def _table(table: Table) -> dict[str, Any]:
    """A table with what its template asks: the text of each cell, and which columns are of words."""
    columns = list(zip(*table.rows)) or [()] * len(table.header)
    return {
        "title": table.title, "header": table.header, "note": table.note,
        "words": [_of_words(column) for column in columns],
        "rows": [[text_of(cell) for cell in row] for row in table.rows],
        "own": len(table.rows) - table.quoted,
    }  # fmt: skip


def _of_words(column: Sequence[Cell]) -> bool:
    """Words stand at the left, numbers at the right: a column with a figure or with no letter at a beginning is of numbers."""
    return all(isinstance(cell, str) for cell in column) and any(str(cell)[:1].isalpha() for cell in column)


def _failures(runs: Sequence[Run], progress: Progress) -> Iterator[dict[str, Any]]:
    for run in runs:
        found = hardest(run) if run.records is not None and Redrawn.can(run) else []
        if not found:
            continue
        redrawn, people = Redrawn(run), []
        for i, identity in enumerate(found):
            people.append(_person(identity, redrawn))
            progress(f"pictures of {run.name}", i + 1, len(found))
        yield {"system": run.name, "people": people}


def _person(identity: Identity, redrawn: Redrawn) -> dict[str, Any]:
    def pictures(misses: Sequence[Miss]) -> list[tuple[Any, str]]:
        chances = ("not read" if m.probability is None else f"{m.probability:.3f}" for m in misses)
        return [(redrawn.query(m.picture), chance) for m, chance in zip(misses, chances)]

    return {
        "name": f"<{identity.name}>",
        "picture": redrawn.reference(identity.name),
        "counted": f"{identity.wrong} of {identity.asked} wrong",
        "missed": pictures(identity.missed),
        "mistaken": pictures(identity.mistaken),
    }


def _source(run: Run, home: Path) -> dict[str, Any]:
    return {
        "name": run.name, "command": run.summary["command"], "commit": (run.summary["commit"] or "no commit")[:10],
        "seed": run.summary["seed"], "n": f"{run.summary['n']:,}", "file": _link(run.file, home, run.file.name),
        "records": run.records and _link(run.records, home, "records"),
    }  # fmt: skip


def _link(path: Path, home: Path, text: str) -> dict[str, str]:
    return {"href": Path(os.path.relpath(path.resolve(), home.resolve())).as_posix(), "text": text}
