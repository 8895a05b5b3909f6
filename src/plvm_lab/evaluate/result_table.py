"""A table of figures, as a result file keeps it under `tables` and a report shows it. A cell is a text, or a share with its
interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from plvm.errors import RequestError

Cell = str | dict[str, Any]


@dataclass(frozen=True)
class Table:
    """`rows` after a `header`, a cell for each of its words; the last `quoted` rows are other people's figures. In JSON it
    is what `dataclasses.asdict` makes of it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    quoted: int = 0


def json_of(table: Table) -> dict[str, Any]:
    """A table as JSON has it: what `table_of` reads."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(table)))
    return found


def table_of(content: Any) -> Table:
    """A table from its JSON. Raises RequestError where it is none."""
    hint = 'Write dataclasses.asdict of a Table: {"title": ..., "header": [...], "rows": [[...]], "note": ...}.'
    try:
        header, rows = tuple(content["header"]), tuple(tuple(row) for row in content["rows"])
        table = Table(str(content["title"]), header, rows, content.get("note", ""), content.get("quoted", 0))
    except (KeyError, TypeError, AttributeError):
        raise RequestError("A table has no title, header or rows.", hint) from None
    for row in rows:
        if len(row) != len(header):
            raise RequestError(f'A row of "{table.title}" has {len(row)} cells under {len(header)} words.', hint)
        if not all(isinstance(cell, str) or _is_share(cell) for cell in row):
            raise RequestError(f'A cell of "{table.title}" is neither a text nor a figure with its interval.', hint)
    return table


def _is_share(cell: Any) -> bool:
    return isinstance(cell, Mapping) and (cell.get("value") is None or {"low", "high"} <= set(cell))


def percent(figure: Mapping[str, Any] | None) -> str:
    """A share as percent with its interval: "96.1 [93.9, 98.1]"; "-" where it was not measured."""
    if figure is None or figure.get("value") is None:
        return "-"
    low, high = f"{100 * figure['low']:.1f}", f"{100 * figure['high']:.1f}"
    return f"{100 * figure['value']:.1f} [{low}, {high}]"


def lasting(seconds: float) -> str:
    """A time for reading: "13 ms", "8.7 s"."""
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def text_of(cell: Cell) -> str:
    """A cell as text."""
    return cell if isinstance(cell, str) else percent(cell)


def markdown(table: Table) -> str:
    """A table as markdown, with its title and note."""
    lines = [f"### {table.title}", "", "| " + " | ".join(table.header) + " |", "|---" * len(table.header) + "|"]
    lines += ["| " + " | ".join(text_of(c) for c in row) + " |" for row in table.rows]
    return "\n".join([*lines, *(["", table.note] if table.note else []), ""])
