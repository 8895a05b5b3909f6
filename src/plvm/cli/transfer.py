"""`plvm export` and `plvm import`: concepts in one portable file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, out, out_json
from plvm.cli.verbs import add_verb


def register(app: Typer) -> None:
    add_verb(app, "export", export, "Concepts", "FILE [NAME...]")
    add_verb(app, "import", import_, "Concepts", "FILE")


def export(
    file: Annotated[Path, Argument(metavar="FILE", help="The file to write.")],
    names: Annotated[list[str] | None, Argument(metavar="NAME...", help="Who; without any name everyone.")] = None,
    *,
    replace: Annotated[bool, Option("--replace", help="Overwrite FILE.")] = False,
    store: o.StoreOptions,
    json: o.Json = False,
) -> None:
    """Write concepts, with their pictures, to one file."""
    with store.open() as opened:
        written = opened.export(file.expanduser(), names or None, replace=replace)
    _tell(written, f"to {file}", "exported", json)


def import_(
    file: Annotated[Path, Argument(metavar="FILE", help="A file that `plvm export` wrote.")],
    *,
    replace: o.Replace = False,
    store: o.StoreOptions,
    json: o.Json = False,
) -> None:
    """Read concepts from a file: all of them, or none."""
    with store.open() as opened:
        read = opened.import_(file.expanduser(), replace=replace)
    _tell(read, f"from {file}", "imported", json)


def _tell(names: list[str], where: str, verb: str, json: bool) -> None:
    if json:
        out_json({verb: names})
    else:
        shown = ", ".join(f"<{name}>" for name in names[:10]) + (", ..." if len(names) > 10 else "")
        out(f"{verb.capitalize()} {count(len(names), 'concept')} {where}: {shown}.")
