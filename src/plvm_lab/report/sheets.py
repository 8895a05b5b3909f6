"""Result files of one measurement -> tables: those that bring `tables` of their own, the arms of ablations, and files whose
name says what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plvm_lab.report.ablations import ablation_table, is_ablation
from plvm_lab.report.markdown import Table, table_of
from plvm_lab.report.measurements import MAKERS, Content
from plvm_lab.report.results import read_result


@dataclass(frozen=True, eq=False)
class Sheet:
    """A result file that is no evaluation of systems. `page` is the web page beside it, if it has one."""

    file: Path
    content: dict[str, Any]
    page: Path | None = None

    @property
    def title(self) -> str:
        """What its page is called: "Figure 4"."""
        return re.sub(r"(\d)", r" \1", self.file.stem, count=1).capitalize()

    @property
    def of_the_paper(self) -> bool:
        """Whether it is a table or a figure of the paper, so that it stands before everything else."""
        return self.file.stem.startswith(("table", "figure"))


def find_sheets(folder: Path) -> list[Sheet]:
    """Every such file below a folder, in the order of their names."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        content, page = read_result(path), path.with_name("index.html")
        own = page if page.is_file() else None
        known = "tables" in content or is_ablation(content) or _maker(path, content) is not None
        if "command" in content and (known or own):
            found.append(Sheet(path, content, own))
    return sorted(found, key=lambda s: (s.page is not None, s.file.stem))


def sheet_tables(sheet: Sheet) -> list[Table]:
    """The tables of a file; none where it has only a page."""
    if "tables" in sheet.content:
        return [table_of(content) for content in sheet.content["tables"]]
    if is_ablation(sheet.content):
        return [ablation_table(sheet.file.stem, sheet.content)]
    maker = _maker(sheet.file, sheet.content)
    return maker(sheet.content) if maker is not None else []


def _maker(path: Path, content: Content) -> Callable[[Content], list[Table]] | None:
    needed, maker = MAKERS.get(path.stem, ("", None))
    return maker if needed in content else None
