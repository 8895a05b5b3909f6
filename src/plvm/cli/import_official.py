"""`plvm import-official`: the authors' released Aligner as an Aligner folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, say, waiting
from plvm.cli.verbs import add_verb


def register(app: Typer) -> None:
    add_verb(app, "import-official", import_official, "The model", "CHECKPOINT")


def import_official(
    checkpoint: Annotated[Path, Argument(metavar="CHECKPOINT", help="The authors' .ckpt file.")],
    destination: o.Out,
    backbone: Annotated[
        str, Option("--backbone", metavar="ID|FOLDER", help="LLaVA-1.5-7B: its Hub id, or a folder with a copy.",
                    show_default="llava-hf/llava-1.5-7b-hf"),
    ] = "",
    encoder: Annotated[
        str, Option("--encoder", metavar="ID|FOLDER", help="DINOv2-base: its Hub id, or a folder with a copy.",
                    show_default="facebook/dinov2-base"),
    ] = "",
    replace: Annotated[bool, Option("--replace", help="Replace the model that is in FOLDER.")] = False,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Make the authors' released Aligner a model folder.

    Only tensors are read from the file; nothing in it can run.

    \b
    Example:
      plvm import-official checkpoint.ckpt --out models/released-7b
    """
    from plvm.model import released_checkpoint as official
    from plvm.model.checkpoint import fingerprint

    o.make_folder(destination)
    with waiting("Importing"):
        aligner = official.import_official(
            checkpoint.expanduser(),
            destination,
            backbone=_whole(backbone),
            encoder=_whole(encoder),
            overwrite=replace,
        )
    facts = {
        "folder": str(destination),
        "parameters": sum(p.numel() for p in aligner.parameters()),
        "fingerprint": fingerprint(aligner, official.TEMPLATE),
        "backbone": aligner.config.backbone,
        "encoder": aligner.config.encoder,
    }
    if json:
        out_json(facts)
    else:
        out(f"Imported {facts['parameters']:,} parameters into {destination}.")
        say(f"Its backbone is {facts['backbone']}, its encoder {facts['encoder']}.")


def _whole(name: str) -> str:
    """A folder here as a whole path, so that the Aligner finds it from anywhere; a Hub id as it is."""
    folder = Path(name).expanduser()
    return str(folder.resolve()) if name and folder.exists() else name
