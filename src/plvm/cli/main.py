"""`plvm`: the verbs, put together."""

from __future__ import annotations

import sys
from typing import Annotated

from typer import Context, Exit, Option, Typer

import plvm
from plvm.cli.catalogue import AllVerbs
from plvm.cli.console import out
from plvm.cli.verbs import WIDTH

app = Typer(
    name="plvm",
    cls=AllVerbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)


def _version(wanted: bool) -> None:
    if wanted:
        out(f"plvm {plvm.__version__}")
        raise Exit


@app.callback()
def plvm_(
    context: Context,
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Make a vision-language model personal: one picture and a name, and it knows <billie>."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name in a script that the terminal cannot show is no reason to fail
            stream.reconfigure(errors="backslashreplace")
