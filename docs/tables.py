"""Fills the marked places of README.md and of the pages here with the figures of research/results.

`python docs/tables.py` writes them. A place begins with a comment and goes to the next `end`:

    <!-- tables: table1 -->       every table of research/results/table1.json; `table1 2` is its second one alone
    <!-- tables: others -->       those of all result files that no other place of the page names
    <!-- evaluations: lfw -->     systems side by side, by the evaluations below research/results/lfw
    <!-- figures: short -->       the shipped model on the published benchmark: six rows; `long` is all of them
    <!-- end -->

So no figure of a table is typed by hand. A test compares what stands there with what this file would write.
"""

from __future__ import annotations

import json
import re
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.result_table import Table, markdown, percent, table_of
from plvm_lab.report.evaluations import tables_of
from plvm_lab.report.results import find_runs

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "research" / "results"
PLACE = re.compile(r"(<!-- (tables|figures|evaluations): ([^>]+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SHORT = (
    "recognition, mean of positive and negative",
    "look-alikes (1 to 4 of 14 traits differ), mean",
    "questions about somebody, without a picture",
    "questions about a picture",
    "WHO, three people known: the right name",
    "dialogue, about somebody added at turn 3",
)
LONG = {
    "recognition, positive": "recognition positive",
    "recognition, negative": "recognition negative",
    SHORT[0]: "recognition mean",
    SHORT[1]: "recognition_lookalikes mean",
    "look-alikes that differ in one trait: told apart": "recognition_lookalikes by_changes 1 negative",
    "look-alikes that differ in four traits: told apart": "recognition_lookalikes by_changes 4 negative",
    "recognition with three concepts in the prompt, mean": "recognition_three_concepts mean",
    SHORT[2]: "text_qa accuracy",
    SHORT[3]: "visual_qa accuracy",
    "hats": "visual_qa by_kind hat",
    "glasses": "visual_qa by_kind glasses",
    "expressions": "visual_qa by_kind expression",
    "where somebody is": "visual_qa by_kind where",
    "what somebody wears": "visual_qa by_kind wearing",
    "what somebody does": "visual_qa by_kind doing",
    "WHO, one person known: the right name": "who 1 right",
    "WHO, two people known: the right name": "who 2 right",
    SHORT[4]: "who 3 right",
    "WHO, three people known: a wrong name": "who 3 wrong",
    'WHO, nobody known is there: "someone I do not know"': "who 3 unknown",
    "WHO, a stranger beside somebody known: the same": "who 3 unknown_beside",
    "dialogue, about somebody known from the start": "dialogue from_start",
    SHORT[5]: "dialogue added_later",
    "lost by wordings never trained on: recognition": "held_out_wordings recognition lost",
    "lost by wordings never trained on: questions without a picture": "held_out_wordings text_qa lost",
    "lost by wordings never trained on: questions about a picture": "held_out_wordings visual_qa lost",
    "control: without a picture, no reference either": "controls text_qa no_reference",
    "control: about a picture, but without it": "controls visual_qa no_image",
}


def read(name: str) -> dict[str, Any]:
    """A result file by its path below research/results, without the suffix."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def figures(which: str) -> str:
    """The shipped model's figures on the published benchmark, as a table in markdown."""
    summary = read("portraits/summary")
    lines = ["| in percent, with 95 % intervals over people | value | n |", "|---|---|--:|"]
    for label in SHORT if which == "short" else LONG:
        found = reduce(getitem, LONG[label].split(), summary)
        lines.append(f"| {label} | {percent(found)} | {found['n']:,} |")
    return "\n".join([*lines, ""])


def tables_in(name: str) -> list[Table]:
    """The tables that a result file brings with it."""
    return [table_of(table) for table in read(name).get("tables", [])]


def with_tables() -> list[str]:
    """Every result file that brings tables, by its name as the places give it."""
    files = sorted(RESULTS.rglob("*.json"))
    return [n for n in (f.relative_to(RESULTS).with_suffix("").as_posix() for f in files) if tables_in(n)]


def source(name: str) -> str:
    """Where the tables of a file come from, in a line; rows may have been measured by commands of their own."""
    facts = read(name)
    rows = facts["rows"] if isinstance(facts.get("rows"), list) else []
    commands = list(dict.fromkeys(row["command"] for row in rows if row.get("command"))) or [facts["command"]]
    told = "; ".join(f"`{command}`" for command in commands)
    return f"[{name}.json](../research/results/{name}.json), by {told}.\n"


def tables(which: str, named: set[str]) -> str:
    """The tables of a place; `named` are the files that other places of the page show."""
    if which == "others":
        return "\n".join(tables(name, set()) for name in with_tables() if name not in named)
    name, _, number = which.partition(" ")
    if not (RESULTS / f"{name}.json").exists():
        return f"Not measured here yet: {name}.json is missing.\n"
    found = tables_in(name)
    shown = found if not number else [found[int(number) - 1]]
    return "\n".join([*(captioned(table) for table in shown), source(name)])


def evaluations(which: str) -> str:
    """The tables of the evaluations below a folder, as the report has them, but for times."""
    runs = find_runs(RESULTS / which)
    if not runs:
        return f"Not measured here yet: there is nothing below {which}/.\n"
    shown = [captioned(table) for table in tables_of(runs) if table.title != "Time"]
    told = "; ".join(f"`{run.summary['command']}`" for run in runs)
    return "\n".join([*shown, f"[{which}](../research/results/{which}), by {told}.\n"])


def captioned(table: Table) -> str:
    """A table as markdown with its title in bold: a heading of its own would fill the contents of a page."""
    title, _, rest = markdown(table).partition("\n")
    return f"**{title.removeprefix('### ')}**\n{rest}"


def filled(page: str) -> str:
    """A page with what belongs into its marked places."""
    named = {which.split()[0] for _, kind, which, *_ in PLACE.findall(page) if kind == "tables"}

    def fill(place: re.Match[str]) -> str:
        kind, which = place[2], place[3]
        made = {"figures": figures, "evaluations": evaluations, "tables": lambda name: tables(name, named)}[kind](which)
        return f"{place[1]}\n{made}\n{place[5]}"

    return PLACE.sub(fill, page)


def pages() -> list[Path]:
    """Every page that may have marked places."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


if __name__ == "__main__":
    for path in pages():
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
