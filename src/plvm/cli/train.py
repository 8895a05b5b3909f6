"""`plvm train`: an Aligner trained on a dataset, between the frozen parts of any model."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from plvm.cli import options as o
from plvm.cli.console import count, figures, out, out_json, progress, say, waiting
from plvm.cli.verbs import add_verb
from plvm.runtime import home_folder

if TYPE_CHECKING:
    from plvm.train.trainer import Trainer


def register(app: Typer) -> None:
    add_verb(app, "train", train, "The model", usage="DATA [SECTION.KEY=VALUE]...")


def train(
    data: Annotated[Path, Argument(metavar="DATA", help="A dataset, made by `plvm synth`.", show_default=False)],
    destination: o.Out,
    changes: Annotated[
        list[str] | None,
        Argument(metavar="SECTION.KEY=VALUE", help="Settings that differ: train.w=5 aligner.K=8.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        Option("--config", metavar="FILE", help="Settings, as TOML or JSON; those of the command line come on top.",
               show_default=False),
    ] = None,
    model: Annotated[
        str,
        Option("--model", "--preset", metavar="NAME|FOLDER",
               help='Whose frozen parts: "mini", "photo", a preset, the folder of an Aligner, or its Hub id.'),
    ] = "mini",
    show: Annotated[bool, Option("--show", help="Write all settings, and do not train.")] = False,
    cache: Annotated[
        Path | None,
        Option("--cache", metavar="FOLDER", help="Where features of frozen parts are kept.",
               show_default="cache/ in your data folder"),
    ] = None,
    device: o.Device = None,
    bits: o.Bits = None,
    json: o.Json = False,
) -> None:  # fmt: skip
    """Train an Aligner on a dataset, between the frozen parts of any model.

    The settings are the paper's unless you change them. Interrupted, the same command goes on where it stopped.
    Started by torchrun, all processes train together.

    \b
    Example:
      plvm train data/portraits --out build/aligner train.steps=2000 train.w=5
      torchrun --nproc-per-node 2 --no-python plvm train data/portraits --preset paper-7b --out build/paper
    """
    from plvm.config import changed, keys_of, parse_overrides, read_settings
    from plvm.train.settings import settings_for

    values = (read_settings(config) if config is not None else {}) | parse_overrides(changes or [])
    settings = changed(settings_for(model), values)
    if show:
        if json:
            out_json(dataclasses.asdict(settings))
        else:
            out("\n".join(f"{key} = {value}" for key, value in keys_of(settings).items()))
        return
    from plvm.train.prepare import prepare

    place = cache if cache is not None else home_folder(os.environ).value / "cache"
    with waiting(f"Loading {model}"):
        trainer = prepare(data, destination, settings, model=model, device=device, bits=bits, cache=place)
    record = _run(trainer)
    if trainer.team.main:
        if json:
            out_json({"folder": str(destination), **record})
        else:
            out(str(destination))


def _run(trainer: Trainer) -> dict[str, Any]:
    """Train, and tell how it goes; the training record."""
    done, team = trainer.step_of_checkpoint(), trainer.team
    estimate = trainer.estimate() if done < trainer.settings.train.steps else None
    if team.main:
        numbers = str(trainer.dtype).removeprefix("torch.")
        say(f"On {team.device}, products in {numbers}, {count(team.size, 'process', 'processes')}.")
        if estimate is not None:
            say(_told(estimate))
        if done:
            say(f"Going on after step {done:,}.")
    with progress() as advance:

        def report(stage: str, step: int, steps: int, values: Mapping[str, float]) -> None:
            if team.main:
                advance(stage, step, steps)
                if values and (stage == "validation" or step == steps):
                    say(f"{stage} at step {step:,}: {figures(values)}")

        return trainer.run(report)


def _told(estimate: Any) -> str:
    parts = (
        ("frozen parts", estimate.frozen),
        ("Aligner and its optimiser", estimate.aligner),
        ("a step", estimate.step),
    )
    memory = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in parts)
    return f"Memory: {memory}. Time: {estimate.seconds_per_step:.2f} s a step, about {estimate.seconds / 60:.0f} min in all."
