"""Makes the tables of result files again from the files' own figures; nothing is measured.

    python research/retable.py                          # every file below research/results
    python research/retable.py research/results/table1.json --pages    # and the HTML page beside a figure's file

A file names the script that measured it in `command`; that script's `shown` makes its tables. All other keys stay as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import runpy
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from plvm_lab.measure.training import table_of_rates
from plvm_lab.systems.comparison import overview_table

sys.path.insert(0, str(Path(__file__).resolve().parent))
from result import RESULTS, Shown

ROOT = Path(__file__).resolve().parent

VERBS: dict[str, Callable[[Any], Shown]] = {  # files that a verb of plvm writes, tables and all
    r"plvm bench train\b": lambda content: Shown((table_of_rates(content),)),
    r"plvm eval .*--system all\b": lambda content: Shown((overview_table(content),)),
}
KEYS = ("place", "tables", "charts")


@cache
def script(path: Path) -> dict[str, Any]:
    """What a script of runs/ or benchmarks/ defines; it is not started."""
    sys.path.insert(0, str(path.parent))  # scripts of a folder import each other
    try:
        return runpy.run_path(str(path))
    finally:
        sys.path.remove(str(path.parent))


def script_of(command: str) -> dict[str, Any]:
    """The script that a command started; nothing where it started none of these."""
    found = re.match(r"python (?:research/)?((?:runs|benchmarks)/\w+\.py)", command)
    return script(ROOT / found[1]) if found else {}


def shown_of(content: dict[str, Any]) -> Shown | None:
    """What the report shall show of a result file; None for the summary of an evaluation, which has no tables of its own."""
    for command, make in VERBS.items():
        if re.match(command, content["command"]):
            return make(content)
    make = script_of(content["command"]).get("shown")
    return make(content) if make is not None else None


def retabled(text: str) -> str:
    """A result file with its tables made again, in the indentation that it has."""
    content = json.loads(text)
    shown = shown_of(content) if isinstance(content, dict) and "command" in content else None
    if shown is None:
        return text
    figures = {key: value for key, value in content.items() if key not in KEYS}
    indent = len(text.split("\n")[1]) - len(text.split("\n")[1].lstrip())
    return json.dumps(figures | shown.content(), indent=indent) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="result files (default: all)")
    parser.add_argument("--pages", action="store_true", help="make pages again too; their pictures are drawn for that")
    arguments = parser.parse_args()
    for path in arguments.files or sorted(RESULTS.rglob("*.json")):
        before = path.read_text(encoding="utf-8")
        after = retabled(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"made the tables of {path} again")
        if arguments.pages and (page_of := script_of(json.loads(after).get("command", "")).get("page_of")):
            page = path.with_name("index.html")
            page.write_text(page_of(json.loads(after)), encoding="utf-8")
            print(f"made {page} again")


if __name__ == "__main__":
    main()
