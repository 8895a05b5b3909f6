"""How verbs look and fail: the group of all of them, and what every one has in common.

A mistake of the user's (PlvmError) is two lines on stderr and exit code 2. Anything else is a mistake of ours: the
traceback stays, exit code 1. A reader that closed the pipe ends the program quietly.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any

from typer import Exit, Typer
from typer.core import TyperCommand, TyperGroup

from plvm.cli.console import complain
from plvm.cli.groups import flattened
from plvm.cli.interrupts import INTERRUPTED, INTERRUPTS
from plvm.errors import PlvmError

WIDTH = 100  # columns of the help
PANELS = ("Concepts", "Pictures", "The model", "Serving")  # verbs of other packages may name others


class Verb(TyperCommand):
    """One verb; its usage line is `options_metavar`, written by hand, because no parser can say `[IMAGE] QUESTION`."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the verb in the usage line."""
        return [str(self.options_metavar)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments, then the options: names and explanations, without the parser's own notes on types."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            found = [p.get_help_record(ctx) for p in self.get_params(ctx) if p.param_type_name == kind]
            records = [(re.sub(r" <.*>$", "", name), _plain(text, title)) for name, text in filter(None, found)]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Verbs(TyperGroup):
    """The group of all verbs: the help shows them by panel, errors of the user's are told in two lines."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The verbs, panel by panel."""
        rows: dict[str, list[tuple[str, str]]] = {panel: [] for panel in PANELS}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            rows.setdefault(command.rich_help_panel, []).append((name, command.get_short_help_str(WIDTH)))
        for panel, verbs in rows.items():
            with formatter.section(panel):
                formatter.write_dl(verbs)

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except PlvmError as error:
            if INTERRUPTS.waiting:  # an import or a file was cut short: that is no mistake to tell of
                raise Exit(INTERRUPTED) from None
            complain(error.message, error.hint)
            raise Exit(2) from None
        except BrokenPipeError:
            _close_quietly()
            raise Exit(0) from None


def add_verb(app: Typer, name: str, function: Callable[..., None], panel: str | None = None, usage: str = "") -> None:
    """Make `function` the verb `name`; `usage` is what stands before its options, which may be in groups."""
    metavar = f"{usage} [OPTIONS]".strip()
    app.command(name, cls=Verb, rich_help_panel=panel, options_metavar=metavar)(flattened(function))


def _plain(text: str, title: str) -> str:
    if title == "Arguments":  # the usage line says what is needed
        text = text.replace("  [required]", "")
    return text.replace("[default: (", "[default: ").replace(")]", "]")


def _close_quietly() -> None:
    """Let the interpreter's last flush go nowhere: nobody reads stdout any more."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a file behind it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
