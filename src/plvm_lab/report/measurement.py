"""Result files of one measurement: each brings its own `tables` and `charts`, and says which published table it makes again.

    {"command": ..., "commit": ..., "seed": ..., "n": ..., figures, "place": "Table 2", "tables": [...], "charts": [...]}

`tables` and `charts` are `dataclasses.asdict` of `result_table.Table` and `charts.Chart`; `place`, `charts`, `n` and a page
`index.html` beside the file may be missing. Nothing else decides what the report shows of a file, least of all its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plvm.errors import RequestError
from plvm_lab.evaluate.result_table import Table, table_of
from plvm_lab.report.charts import Chart, chart_of
from plvm_lab.report.results import read_result


@dataclass(frozen=True, eq=False)
class Measurement:
    """A result file that is no evaluation of systems. `page` is the web page beside it, if it has one."""

    file: Path
    content: dict[str, Any]
    page: Path | None = None

    @property
    def place(self) -> str:
        """The published table or figure that it makes again ("Table 2"); empty where it is a measurement of its own."""
        return str(self.content.get("place", ""))

    @property
    def title(self) -> str:
        """What its page is called."""
        return self.place or self.file.stem

    @property
    def tables(self) -> list[Table]:
        """Its tables, in order; none where it has only a page. Raises RequestError where one cannot be read."""
        return [_read(self.file, table_of, content) for content in self.content.get("tables", [])]

    @property
    def charts(self) -> list[Chart]:
        """Its charts, in order. Raises RequestError where one cannot be read."""
        return [_read(self.file, chart_of, content) for content in self.content.get("charts", [])]

    @property
    def source(self) -> str:
        """Commit, seeds and number of what was measured, in words; rows may have seeds of their own."""
        rows = self.content.get("rows")
        own = {row["seed"] for row in rows if isinstance(row, dict) and "seed" in row} if isinstance(rows, list) else ()
        seeds = sorted(own) or [self.content.get("seed", "unknown")]
        counted = f", n {self.content['n']:,}" if isinstance(self.content.get("n"), int) else ""
        commit = (self.content.get("commit") or "none")[:10]
        return f"commit {commit}, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}{counted}"


def find_measurements(folder: Path) -> list[Measurement]:
    """Every result file below a folder that has tables or a page: what makes a published table again in the order of these,
    then the others by name; tables before figures."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        content, page = read_result(path), path.with_name("index.html")
        if "command" in content and ("tables" in content or page.is_file()):
            found.append(Measurement(path, content, page if page.is_file() else None))
    return sorted(found, key=lambda s: (not s.place, s.page is not None, _in_order(s.place), s.file.stem))


def _in_order(place: str) -> tuple[str, int]:
    """"Table 10" after "Table 9"."""
    number = re.search(r"\d+", place)
    return re.sub(r"\d+", "", place), int(number[0]) if number else 0


def _read(file: Path, reader: Any, content: Any) -> Any:
    try:
        return reader(content)
    except RequestError as error:
        raise RequestError(f"{file}: {error.message}", error.hint) from None
