"""The help of every verb as one Markdown page: `python -m plvm.cli.reference > docs/cli.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from plvm.cli.main import app
from plvm.cli.verbs import WIDTH

INTRODUCTION = """# The command line

Answers go to stdout, chatter and progress to stderr. Exit codes: 0 - done; 2 - something in the request was wrong, and
stderr says in two lines what and what to do about it; 1 - a mistake in plvm itself, with its traceback; 130 - Ctrl-C. A first
Ctrl-C ends a command in an orderly way, a second at once; long runs go on where they stopped when they are started again.

Concepts are kept in `concepts.db` in your data folder: `$PLVM_HOME` if it is set, else `$XDG_DATA_HOME/plvm`, else the
usual place of your system (`~/.local/share/plvm` on Linux). `NO_COLOR` is respected.

This page is made by `python -m plvm.cli.reference`.
"""


def reference() -> str:
    """The help of every verb, one after the other, as one Markdown page."""
    command: Any = typer.main.get_command(app)
    sections = [f"## {name}\n\n```\n{text.rstrip()}\n```\n" for name, text in _helps(command, "plvm")]
    return "\n".join([INTRODUCTION, *sections])


def _helps(command: Any, path: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    settings = command.context_settings | {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = command.context_class(command, info_name=path.split()[-1], parent=parent, **settings)
    yield path, command.get_help(context)
    for name in getattr(command, "commands", {}):
        yield from _helps(command.commands[name], f"{path} {name}", context)


if __name__ == "__main__":
    print(reference(), end="")
