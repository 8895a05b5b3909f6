"""`plvm calibrate`: verdicts for a trained Aligner, from the validation people of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import out, out_json, progress, say
from plvm.cli.verbs import add_verb
from plvm.errors import RequestError


def register(app: Typer) -> None:
    add_verb(app, "calibrate", calibrate, "The model", usage="DATA")


def calibrate(
    data: Annotated[Path, Argument(metavar="DATA", help="A dataset, made by `plvm synth`.", show_default=False)],
    *,
    model: o.ModelOptions,
    split: Annotated[str, Option("--split", metavar="NAME", help="Whose people: never those of the training.")] = "val",
    rare: Annotated[
        float, Option("--rare", metavar="SHARE", min=0.0, max=0.5, help="With few enrolled, so many strangers may get a yes.")
    ] = 0.01,
    json: o.Json = False,
) -> None:
    """Fit the verdicts of a trained Aligner: what a yes needs, by how many are enrolled.

    From the references and pictures of people whom the training has not seen. Written beside the weights in the
    folder of --model. For albums in which nearly everybody is a stranger, give a small --rare, such as 0.005.

    \\b
    Example:
      plvm calibrate data/portraits --model build/aligner
    """
    import dataclasses

    from plvm.data.dataset import Dataset
    from plvm.presence.calibration import NUMBERS, save_calibration
    from plvm.train.calibrating import calibration_of

    folder = Path(model.model).expanduser()
    if not folder.is_dir():
        raise RequestError(f"{model.model} is no folder of an Aligner.", "Give the folder of a trained one with --model.")
    dataset = Dataset(data)
    people = dataset.split(split)
    vlm = model.load()
    with progress() as advance:
        found = calibration_of(vlm, dataset, people, rare=rare, report=advance)
    save_calibration(folder, found, vlm.fingerprint)
    if json:
        out_json(dataclasses.asdict(found.verdicts))
    else:
        say(f"Fitted on {found.verdicts.people} people in {found.verdicts.pictures} pictures.")
        out(str(folder / NUMBERS))
