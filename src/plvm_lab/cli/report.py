"""`plvm report`: result files -> tables and one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, progress, say
from plvm.cli.verbs import add_verb


def register(app: Typer) -> None:
    add_verb(app, "report", report, "The laboratory", "[RESULTS]")


def report(
    results: Annotated[Path, Argument(metavar="RESULTS", help="The folder with the results of `plvm eval`.")] = Path(
        "results"
    ),
    destination: Annotated[Path, Option("--out", metavar="FOLDER", help="Where page and tables go.")] = Path("report"),
    json: o.Json = False,
) -> None:
    """Make tables and one HTML page of result files.

    Reads every result below RESULTS; nothing is measured. Writes index.html, which needs nothing but itself, and
    tables.md.

    \b
    Example:
      plvm report results --out report
    """
    from plvm_lab.evaluate.result_table import json_of, markdown
    from plvm_lab.report.report_page import report_page
    from plvm_lab.report.result_folder import read_folder

    found = read_folder(results)
    tables = found.tables
    o.make_folder(destination)
    told = "\n".join(f"## {name}\n\n" + "\n".join(map(markdown, own)) for name, own in tables.items())
    (destination / "tables.md").write_text(told, encoding="utf-8")
    with progress() as advance:
        page = report_page(found, destination, advance)
    (destination / "index.html").write_text(page, encoding="utf-8")
    if json:
        out_json({name: [json_of(table) for table in own] for name, own in tables.items()})
    else:
        out("\n".join(f"{name}\n\n{markdown(own[0])}" for name, own in tables.items()))
    say(f"Wrote {destination / 'index.html'}.")
