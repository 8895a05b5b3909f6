"""The grounded tasks, ours: dialogues of three questions about one to three people, present, similar to somebody present, or
strangers. They ask what pretraining asked about people described in words, so that recognising is learned together with
saying where somebody is and what they wear.
"""

from __future__ import annotations

import random

import numpy as np

from plvm.data.dataset import Dataset, Split
from plvm.train.settings import Data
from plvm.train.tasks import Group, Sample, Turn
from plvm_lab.portraits.dialogues import DialogueMix, Named, draw_dialogue
from plvm_lab.portraits.person import PHRASES, SLOTS, Person
from plvm_lab.tasks.ground_truth import read_truth

CONCEPTS = (1, 2, 3)  # how many people a prompt defines
LOOKED_AT = 64  # people among whom a similar one is sought
SEEN = DialogueMix(turns=3, kinds=(*DialogueMix().kinds, ("look", 3.0), ("who_named", 2.5)))
UNSEEN = DialogueMix(turns=3, kinds=(("trait", 4.0), ("has", 1.0), ("who_has", 1.0)))


class Grounded:
    """Draws grounded tasks from a split of a drawn dataset."""

    def __init__(self, dataset: Dataset, split: Split, data: Data) -> None:
        self.split, self.truth, self.data = split, read_truth(dataset, split.name), data
        truth = self.truth
        self.traits = np.array([_numbers(truth.people[key]) for key in split.people], np.int8)  # [people, slots]

    def groups(self, rng: random.Random, count: int, packs: int) -> list[Group]:
        """`count` groups of `packs` dialogues, all with a picture or all without, with as many people in each."""
        data, concepts = self.data, rng.choice(CONCEPTS)
        seen = rng.random() < data.recognition / (data.recognition + data.attribute)
        groups = []
        for _ in range(count):
            picture, present = rng.choice(self.split.pictures) if seen else ("", ())
            groups.append(Group(picture, tuple(self._sample(picture, present, concepts, rng) for _ in range(packs))))
        return groups

    def _sample(self, picture: str, present: tuple[str, ...], concepts: int, rng: random.Random) -> Sample:
        scene = self.truth.scenes[picture] if picture else None
        people = list[str]()
        while len(people) < concepts:
            if (key := self._somebody(present, rng)) not in people:
                people.append(key)
        persons = [self.truth.people[key] for key in people]
        named = [Named(person, scene.find(person) if scene else None) for person in persons]
        dialogue = draw_dialogue(scene, concepts, SEEN if scene else UNSEEN, rng, named)
        turns = (Turn(q.text, q.answer, q.answer.startswith("Yes") if q.verdict else None) for q in dialogue.questions)
        return Sample(tuple(people), tuple(turns), tuple(n.joins for n in dialogue.named))

    def _somebody(self, present: tuple[str, ...], rng: random.Random) -> str:
        """Somebody present in the share p; otherwise a stranger, or as often somebody similar to a person who is present."""
        if present and rng.random() < self.data.p:
            return rng.choice(present)
        if present and rng.random() < 0.5:
            return self._similar(rng.choice(present), rng)
        return rng.choice(self.split.people)

    def _similar(self, key: str, rng: random.Random) -> str:
        """The most similar of `LOOKED_AT` people who is not of the very same traits."""
        rows = np.array([rng.randrange(len(self.split.people)) for _ in range(LOOKED_AT)])
        differing = (self.traits[rows] != _numbers(self.truth.people[key])).sum(1)
        return self.split.people[rows[np.where(differing == 0, len(SLOTS) + 1, differing).argmin()]]


def _numbers(person: Person) -> list[int]:
    """The number of each trait's value."""
    return [list(PHRASES[s]).index(person[s]) for s in SLOTS]
