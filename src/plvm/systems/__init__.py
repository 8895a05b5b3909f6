"""Systems under test, by name. Each is a `plvm.evaluate.system.System` whose class takes the personal model it uses.

    plvm          concept tokens made by the Aligner
    description   the same frozen VLM with its own short description of the reference in place of concept tokens
    embedding     cosine of encoder features with a threshold: recognition alone, no language model

A class is imported when its system is built.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from plvm.errors import RequestError
from plvm.types import nearest_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plvm.evaluate.runner import Progress
    from plvm.evaluate.system import System
    from plvm.personal import Personal

SYSTEMS = {
    "plvm": "plvm.systems.plvm:Plvm",
    "description": "plvm.systems.description:Description",
    "embedding": "plvm.systems.embedding:Embedding",
}


def build_system(name: str, vlm: Personal, **options: Any) -> System:
    """The system called `name` around `vlm`; `options` are its class's own. Raises RequestError for an unknown name."""
    if name not in SYSTEMS:
        near = nearest_names(name, SYSTEMS, 1)
        raise RequestError(
            f'There is no system "{name[:40]}".' + (f' Perhaps "{near[0]}"?' if near else ""),
            f"The systems are: {', '.join(SYSTEMS)}.",
        )
    module, _, kind = SYSTEMS[name].partition(":")
    return getattr(import_module(module), kind)(vlm, **options)


def evaluate_model(
    model: str | Path,
    out: Path,
    *,
    system: str = "plvm",
    split: str = "test",
    seed: int = 0,
    small: bool = False,
    parts: Sequence[str] | None = None,
    pictures: Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Load `model`, run `system` around it on the portraits benchmark and return the summary: what `plvm eval` does.

    `small` asks a few items of every part, to see that the chain holds; the other arguments as in `evaluate.runner`.
    """
    from plvm.evaluate.datasets import SMALL, portraits
    from plvm.evaluate.runner import evaluate
    from plvm.personal import load

    bench = portraits(split, seed, SMALL if small else None)
    subject = build_system(system, load(model))
    return evaluate(subject, bench, out, command=command, parts=parts, pictures=pictures, progress=progress)
