"""What the verbs write where: answers to stdout, chatter and progress to stderr, JSON for machines.

Text that others wrote (notes, answers, file names) never reaches the terminal with control characters in it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

QUIET_SECONDS = 2.0  # what is done sooner shows no progress bar
LOG_SECONDS = 10.0  # between two lines about the same thing where stderr is no terminal
Advance = Callable[[str, int, int], None]


def clean(text: str) -> str:
    """`text` with its control characters shown, not obeyed."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def line(text: str) -> str:
    """`text` on one line, cleaned."""
    return " ".join(clean(text).split())


def out(text: str = "", end: str = "\n") -> None:
    """An answer, to stdout, at once."""
    print(clean(text), end=end, flush=True)


def say(text: str) -> None:
    """Chatter, to stderr."""
    print(clean(text), file=sys.stderr, flush=True)


def out_json(value: Any) -> None:
    """A value for machines, to stdout. What is no character, in the name of a file, is escaped as JSON has it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(text.encode(errors="backslashreplace").decode(), flush=True)


def complain(message: str, hint: str = "") -> None:
    """What is wrong, and on the next line what to do about it; to stderr."""
    bold = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    label = "\033[1;31mError:\033[0m" if bold else "Error:"
    print(f"{label} {line(message)}", file=sys.stderr)
    if hint:
        print(line(hint), file=sys.stderr)
    sys.stderr.flush()


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Rows in aligned columns, two blanks apart; a column whose cells are all numbers is aligned to the right."""
    cells = [[line(str(cell)) for cell in row] for row in (*([header] if header else []), *rows)]
    if not cells:
        return ""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    body = cells[1:] if header else cells
    numbers = [all(_is_number(row[i]) for row in body) for i in range(len(widths))]
    return "\n".join(
        "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numbers, strict=True)).rstrip()
        for row in cells
    )


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).removeprefix("-").isdigit() or cell == "-"


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 picture", "2 pictures", "3 people"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on stderr while something without steps is done; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} ..."):
        yield


@contextmanager
def progress() -> Iterator[Advance]:
    """Gives a function of (what, done, total). On a terminal: a bar for every `what` that takes longer than two
    seconds. Elsewhere: a line at its end, and one now and then until then."""
    if sys.stderr.isatty():
        with _bars() as advance:
            yield advance
    else:
        yield _log_lines()


@contextmanager
def _bars() -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, Any] = {}
    begun: dict[str, float] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def advance(what: str, done: int, total: int) -> None:
            since = begun.setdefault(what, time.monotonic())
            if what not in tasks and time.monotonic() - since > QUIET_SECONDS:
                tasks[what] = bars.add_task(what, total=total)
            if what in tasks:
                bars.update(tasks[what], completed=done, total=total)

        yield advance


def _log_lines() -> Advance:
    begun: dict[str, float] = {}
    shown: dict[str, float] = {}

    def advance(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        since = begun.setdefault(what, now)
        late = now - shown.get(what, since) > LOG_SECONDS
        if late or (done >= total and now - since > QUIET_SECONDS):
            shown[what] = now
            say(f"{what}: {done:,} of {total:,} ({now - since:.0f} s)")

    return advance


def figures(values: Mapping[str, float]) -> str:
    """ "loss 0.412, lr 0.001"."""
    return ", ".join(f"{key} {value:.4g}" for key, value in values.items())
