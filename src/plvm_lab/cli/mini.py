"""`plvm mini build`: the embedded model family from nothing; `plvm mini judge`: the judge of drawn pictures."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import figures, out, progress, say
from plvm.cli.verbs import add_verb


class Kind(StrEnum):
    """The families that can be built."""

    MINI = "mini"
    PHOTO = "photo"


mini = Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Build the model family that the package carries.",
)


def register(app: Typer) -> None:
    add_verb(mini, "build", build)
    add_verb(mini, "familiarity", familiarity)
    add_verb(mini, "judge", judge, usage="DATA")
    app.add_typer(mini, name="mini", rich_help_panel="The laboratory")


@mini.callback()
def mini_() -> None:
    """Build the model family that the package carries."""


def build(
    destination: o.Out,
    stages: Annotated[
        str,
        Option("--stages", metavar="all|A,B", help="Of tokenizer, draw, tower, encoder, language, vision, "
               "conversation, align, export, evaluate."),
    ] = "all",
    scale: Annotated[
        str, Option("--scale", metavar="full|smoke", help="full is what the package ships; smoke proves that all runs.")
    ] = "full",
    workers: Annotated[int, Option("--workers", metavar="N", help="Processes that draw.", min=1)] = 2,
    threads: Annotated[int, Option("--threads", metavar="N", help="CPU threads to train with.", min=1)] = 2,
    device: o.Device = None,
    family: Annotated[
        str | None,
        Option("--from", metavar="mini|FOLDER", help="Go on from the frozen parts of this family.", show_default=False),
    ] = None,
    kind: Annotated[
        Kind, Option("--family", metavar="mini|photo", help="Which family; photo needs --photos and --things.")
    ] = Kind.MINI,
    photos: Annotated[
        Path | None, Option("--photos", metavar="DIR", help="Photographs: DIR/name/picture.jpg.", show_default=False)
    ] = None,
    things: Annotated[Path | None, Option("--things", metavar="DIR", help="The same of things.", show_default=False)] = None,
) -> None:  # fmt: skip
    """Build it from nothing, or from the stage `conversation` on.

    Draws the world, trains the frozen parts, then the Aligner, and exports them. Finished stages are
    skipped, an interrupted one goes on from its last checkpoint. The family photo is built from photographs, after
    `plvm parts photo`; its stages are codes, language, export, align, verdicts.

    \b
    Example:
      plvm mini build --family photo --photos lfw --things things --out build/photo
      plvm mini build --stages all --scale smoke --out build/smoke
      plvm mini build --from mini --out build/mini
    """
    o.make_folder(destination)
    with progress() as advance:
        latest: dict[str, str] = {}

        def report(stage: str, done: int, total: int, values: Mapping[str, float]) -> None:
            advance(stage, done, total)
            if values:
                latest[stage] = figures(values)
            if done >= total and stage in latest:
                say(f"{stage}: {latest.pop(stage)}")

        if kind is Kind.PHOTO:
            from plvm_lab.families.photo.photo_build import build_photo

            weights = build_photo(photos, things, destination, stages, report=report, threads=threads)
        else:
            from plvm_lab.families.mini.build import build_mini

            weights = build_mini(
                destination, scale, stages, report=report, workers=workers, threads=threads, device=device, family=family
            )  # fmt: skip
    out(str(weights))


def familiarity(
    aligner: Annotated[
        Path | None,
        Argument(metavar="ALIGNER", help="The Aligner folder of an exported family.", show_default="the shipped one"),
    ] = None,
) -> None:
    """Fit anew what says how unlike mini's training a picture is.

    Draws training pictures and takes a few minutes; the Aligner and its fingerprint stay.

    \b
    Example:
      plvm mini familiarity build/mini/weights/aligner
    """
    from plvm.families import shipped
    from plvm_lab.families.mini.familiar_pictures import write_familiarity
    from plvm_lab.families.mini.recipe import FULL

    folder = aligner if aligner is not None else shipped("mini")
    assert folder is not None
    with progress() as advance:
        write_familiarity(folder, FULL, lambda done, total: advance("pictures", done, total))
    out(str(folder))


def judge(
    data: Annotated[Path, Argument(metavar="DATA", help="A dataset of drawn portraits.", show_default=False)],
    destination: o.Out,
    steps: Annotated[int, Option("--steps", metavar="N", help="Training steps.", min=1)] = 1500,
    seed: Annotated[int, Option("--seed", metavar="N", help="Of the weights and the batches.", min=0)] = 0,
    threads: Annotated[int, Option("--threads", metavar="N", help="CPU threads to train with.", min=1)] = 2,
) -> None:
    """Train the judge that `plvm synth` filters drawn pictures with.

    It learns to find faces, to tell who is who, and which prompt belongs to a picture; its thresholds are
    set on the validation identities of the data.

    \b
    Example:
      plvm synth --no-filters --identities 2000 --per-identity 3 --seed 77 --out data/judge
      plvm mini judge data/judge --out build/judge
    """
    import torch

    from plvm_lab.families.mini.judge_training import train_judge

    torch.set_num_threads(threads)
    o.make_folder(destination)
    with progress() as advance:
        found = train_judge(
            data, destination, lambda stage, done, total, _: advance(stage, done, total), steps=steps, seed=seed
        )
    out(figures(found))
