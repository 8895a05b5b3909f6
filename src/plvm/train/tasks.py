"""What one step asks: pictures, and the people and questions about them, drawn from a split by a seed.

`SingleQuestions` are the published tasks. Others, and the words that describe people, come from packages that offer them in the
entry-point groups `plvm.tasks` (a class like `SingleQuestions`, by the name that `data.tasks` gives) and `plvm.words` (a function
of a dataset and a split, by the name of the generator that made it).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Protocol

from plvm.data.dataset import Dataset, Sentence, Split
from plvm.errors import RequestError
from plvm.train.settings import SINGLE, Data

OTHERS = (1, 2, 3)  # further people in a prompt with distractors
TASKS, WORDS = "plvm.tasks", "plvm.words"  # entry-point groups


@dataclass(frozen=True)
class Turn:
    """A question and its answer; `here`: whether the answer is Yes, None where it is neither Yes nor No."""

    question: str
    answer: str
    here: bool | None = None


@dataclass(frozen=True)
class Sample:
    """A dialogue with `people`, whose names are <n0>, <n1>, ..; `joins`: the turn in which each is defined."""

    people: tuple[str, ...]
    turns: tuple[Turn, ...]
    joins: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Questions that share a picture; "" is none."""

    picture: str
    samples: tuple[Sample, ...]


def check_split(split: Split, data: Data) -> None:
    """Raise RequestError where a split lacks what is to be drawn from it."""
    if data.attribute > 0 and not split.attributes:
        raise RequestError(
            f'The split "{split.name}" has no questions about attributes.',
            "Train on recognition alone with data.attribute=0, or let a backbone answer: plvm synth --answers backbone.",
        )
    if data.recognition > 0 and ((data.p > 0 and not split.yes) or (data.p < 1 and not split.no)):
        raise RequestError(
            f'The split "{split.name}" lacks {"Yes" if not split.yes else "No"} answers to recognition questions.',
            "Make a dataset with more identities.",
        )
    shown = max(len(present) for _, present in split.pictures)
    most = shown + 1 + (max(OTHERS) if data.distractors > 0 or data.tasks == "grounded" else 0)
    if len(split.people) < most:
        raise RequestError(
            f'The split "{split.name}" has {len(split.people)} people; {most} are needed.',
            "Make a dataset with more identities.",
        )


class Tasks(Protocol):
    """Tasks drawn from one split, step by step. Making them raises RequestError where the dataset cannot give them."""

    def __init__(self, dataset: Dataset, split: Split, data: Data) -> None: ...

    def groups(self, rng: random.Random, count: int, packs: int) -> list[Group]:
        """What one step asks: `count` groups of `packs` samples, drawn by `rng`, all with as many people in the prompt."""
        ...


class SingleQuestions:
    """The published tasks: one recognition or one attribute question a sample, as often as `data` says."""

    def __init__(self, dataset: Dataset, split: Split, data: Data) -> None:
        self.split, self.data = split, data

    def groups(self, rng: random.Random, count: int, packs: int) -> list[Group]:
        """What one step asks: `count` groups of `packs` samples, drawn by `rng`, all with as many people in the prompt."""
        split, data = self.split, self.data
        crowd = rng.choice(OTHERS) if rng.random() < data.distractors else 0
        share = data.recognition / (data.recognition + data.attribute)
        groups = []
        for _ in range(count):
            if rng.random() < share:
                picture, present = rng.choice(split.pictures)
                samples = [_recognition(split, present, data.p, crowd, rng) for _ in range(packs)]
            else:
                picture, samples = "", [_attribute(split, crowd, rng) for _ in range(packs)]
            groups.append(Group(picture, tuple(samples)))
        return groups


def tasks_of(name: str) -> type[Tasks]:
    """The class of the tasks called `name` (as in `data.tasks`), which must be a known one."""
    if name == SINGLE:
        return SingleQuestions
    return next(iter(entry_points(group=TASKS, name=name))).load()


def words_of(dataset: Dataset, split: str) -> Mapping[str, Sequence[str]]:
    """The words that describe each person of a split, as its generator knows them. Raises RequestError where it knows none."""
    for found in entry_points(group=WORDS, name=dataset.generator):
        return found.load()(dataset, split)
    raise RequestError(
        f"{dataset.folder} does not tell what its pictures show.",
        "Grounded tasks and anchors need drawn people: plvm synth --generator portraits.",
    )


def _recognition(split: Split, present: tuple[str, ...], p: float, crowd: int, rng: random.Random) -> Sample:
    here = rng.random() < p
    person = rng.choice(present) if here else _others(split, set(present), 1, rng)[0]
    people = _prompt(split, person, {*present, person}, crowd, rng)
    sentence = Sentence(rng.choice(split.asks), rng.choice(split.yes if here else split.no))
    return _about(people, person, sentence, here)


def _attribute(split: Split, crowd: int, rng: random.Random) -> Sample:
    person, sentence = rng.choice(split.attributes)
    return _about(_prompt(split, person, {person}, crowd, rng), person, sentence, None)


def _about(people: tuple[str, ...], person: str, sentence: Sentence, here: bool | None) -> Sample:
    """One question about one of `people`."""
    name = f"<n{people.index(person)}>"
    question, answer = (text.replace("<n0>", name) for text in (sentence.question, sentence.answer))
    return Sample(people, (Turn(question, answer, here),), (0,) * len(people))


def _prompt(split: Split, person: str, excluded: set[str], crowd: int, rng: random.Random) -> tuple[str, ...]:
    people = [person, *_others(split, excluded, crowd, rng)]
    rng.shuffle(people)
    return tuple(people)


def _others(split: Split, excluded: set[str], count: int, rng: random.Random) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        person = rng.choice(split.people)
        if person not in excluded and person not in found:
            found.append(person)
    return found
