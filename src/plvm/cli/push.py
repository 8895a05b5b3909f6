"""`plvm push`: an Aligner folder to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, waiting
from plvm.cli.verbs import add_verb


def register(app: Typer) -> None:
    add_verb(app, "push", push, "The model", "FOLDER REPOSITORY")


def push(
    folder: Annotated[Path, Argument(metavar="FOLDER", help="The folder of a trained Aligner.")],
    repository: Annotated[str, Argument(metavar="REPOSITORY", help="Where it goes: owner/name.")],
    results: Annotated[
        list[Path] | None,
        Option("--results", metavar="FILE", help="A summary.json of `plvm eval` about it; may be repeated.",
               show_default=False),
    ] = None,
    licence: Annotated[
        str, Option("--licence", metavar="ID", help="Its licence as the Hub spells it, for example apache-2.0.",
                    show_default=False),
    ] = "",
    private: Annotated[bool, Option("--private", help="Make the repository private, if it is new.")] = False,
    card_only: Annotated[bool, Option("--card-only", help="Write the model card into FOLDER, upload nothing.")] = False,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Publish an Aligner with a model card on the Hugging Face Hub.

    The card, README.md in FOLDER, says what it was trained on and how it was measured.

    \b
    Example:
      plvm push models/mine me/my-aligner --results results/mine/summary.json --licence apache-2.0
    """
    from plvm import hub

    folder = folder.expanduser()
    with waiting("Writing the card" if card_only else f"Uploading to {repository}"):
        url = hub.push(
            folder, repository, results=results or (), licence=licence, private=private, upload=not card_only
        )
    card = str(folder / hub.CARD)
    if json:
        out_json({"url": None if card_only else url, "card": card})
    else:
        out(f"Wrote {card}." if card_only else url)
