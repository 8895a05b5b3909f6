"""`plvm`: the verbs, put together."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated

from typer import Context, Exit, Option, Typer

import plvm
from plvm.cli.console import out
from plvm.cli.verbs import WIDTH, Verbs

app = Typer(
    name="plvm",
    cls=Verbs,
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


# Every verb's module adds itself; what is heavy is imported inside the verbs. Verbs of other packages come by entry point.
for _name in ("add", "concepts", "transfer", "store", "ask", "chat", "recognize", "train", "import_official", "push"):
    import_module(f"plvm.cli.{_name}").register(app)
for _found in entry_points(group="plvm.verbs"):
    _found.load()(app)
