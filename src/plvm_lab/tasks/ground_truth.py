"""What a drawn dataset knows of its pictures, read back: who somebody is, and the scenes as questions see them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plvm.data.dataset import Dataset
from plvm.data.manifest import read_rows
from plvm.data.shards import REFERENCE
from plvm.errors import RequestError
from plvm_lab.portraits.person import PHRASES, SLOTS, Person
from plvm_lab.portraits.scene import POSITIONS, Figure, Look, Scene


@dataclass(frozen=True, eq=False)
class Truth:
    """Persons by their key and scenes by their picture's. A dataset keeps no geometry: two people of the same traits
    are the same here."""

    people: Mapping[str, Person]
    scenes: Mapping[str, Scene]


def read_truth(dataset: Dataset, split: str) -> Truth:
    """Everybody and every scene of a split. Raises RequestError where the pictures are not drawn ones."""
    people, scenes = dict[str, Person](), dict[str, Scene]()
    for row in read_rows(dataset.folder, split=split):
        if not row["kept"]:
            continue
        shown = json.loads(row["truth"] or "{}")
        if "people" not in shown:
            raise RequestError(
                f"{dataset.folder} does not tell what its pictures show.",
                "Grounded tasks and anchors need drawn people: plvm synth --generator portraits.",
            )
        if row["name"] == REFERENCE:
            people[row["people"][0]] = _person(shown["people"][0])
        else:
            scenes[row["picture"]] = _scene(shown)
    return Truth(people, scenes)


def words_of(dataset: Dataset, split: str) -> dict[str, tuple[str, ...]]:
    """The phrase of each trait of everybody in a split, in the order of the slots. Raises RequestError where the
    pictures are not drawn ones."""
    people = read_truth(dataset, split).people
    return {key: tuple(PHRASES[s][person[s]] for s in SLOTS) for key, person in people.items()}


def _scene(told: Mapping[str, Any]) -> Scene:
    shown: Sequence[Mapping[str, Any]] = told["people"]
    places = POSITIONS[len(shown)]
    figures = tuple(_figure(figure, place) for figure, place in zip(shown, places, strict=True))
    return Scene(told["place"], told["light"], figures, 0)


def _figure(told: Mapping[str, Any], position: str) -> Figure:
    look = Look(told["expression"], told["clothes"], told["color"], told["hat"], "", told["glasses"], told["activity"])
    return Figure(_person(told), look, position, told["x"], told["y"], told["scale"])


def _person(told: Mapping[str, Any]) -> Person:
    return Person(tuple(told["traits"][s] for s in SLOTS), ())
