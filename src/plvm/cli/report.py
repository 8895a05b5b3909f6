"""`plvm report`: result files -> tables and one page."""

from __future__ import annotations

import json as _json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, progress, say
from plvm.cli.session import make_folder
from plvm.cli.verbs import add_verb


def register(app: Typer) -> None:
    add_verb(app, "report", report, "The model", "[RESULTS]")


def report(
    results: Annotated[Path, Argument(metavar="RESULTS", help="The folder with the results of `plvm eval`.")] = Path(
        "results"
    ),
    destination: Annotated[Path, Option("--out", metavar="FOLDER", help="Where page and tables go.")] = Path("report"),
    json: o.Json = False,
) -> None:
    """Make tables and one HTML page of result files.

    Reads every result below RESULTS; nothing is measured. Writes index.html (it needs nothing but itself), tables.md
    and table1.json.

    \b
    Example:
      plvm report results --out report
    """
    from plvm.report.page import report_page
    from plvm.report.results import find_runs
    from plvm.report.tables import markdown, table1_rows, tables_of

    runs = find_runs(results)
    make_folder(destination)
    suites = list(dict.fromkeys(run.suite for run in runs))
    by_suite = {suite: [run for run in runs if run.suite == suite] for suite in suites}
    told = [f"## {suite}\n\n" + "\n".join(map(markdown, tables_of(own))) for suite, own in by_suite.items()]
    first = {"suite": suites[0], "rows": table1_rows(by_suite[suites[0]])}
    (destination / "tables.md").write_text("\n".join(told), encoding="utf-8")
    (destination / "table1.json").write_text(_json.dumps(first, indent=2) + "\n", encoding="utf-8")
    with progress() as advance:
        page = report_page(runs, destination, advance)
    (destination / "index.html").write_text(page, encoding="utf-8")
    if json:
        out_json(first)
    else:
        out(markdown(tables_of(by_suite[suites[0]])[0]))
    say(f"Wrote {destination / 'index.html'}.")
