"""Pictures for whoever has none at hand: people of the drawn world that `mini` was trained on, drawn in a moment.

The people are made up; no training has seen them. With pictures of your own you do not need this file.
"""

from __future__ import annotations

from pathlib import Path

from plvm_lab.demo.story import PEOPLE, STORY, reference
from plvm_lab.portraits.render import draw

FOLDER = Path("out/pictures")
NAMES = tuple(PEOPLE)  # billie, avril, dustin
SCENES = {scenario.key: scenario.scene for scenario in STORY if scenario.scene is not None}


def portrait(name: str, folder: Path = FOLDER) -> Path:
    """A picture of one of NAMES alone, drawn into `folder`: what a name is enrolled from."""
    return _save(folder / f"{name}.png", reference(name))


def scene(key: str, folder: Path = FOLDER) -> Path:
    """A picture of several people, drawn into `folder`; `key` is one of SCENES, for example "library"."""
    return _save(folder / f"{key}.png", SCENES[key])


def _save(path: Path, what) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(what).save(path)
    return path
