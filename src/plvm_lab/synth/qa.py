"""Questions and answers about synthesised pictures: recognition, attributes, several concepts and distractors.

People stand as `<n0>`, `<n1>`, ... in the order of a question's `concepts`. The truth of a recognition question is who the
picture was made of; attribute answers come from the drawn truth or from a frozen backbone that looked at the reference.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from plvm.data import wordings as W
from plvm_lab.portraits.person import PHRASES
from plvm_lab.portraits.phrases import TRAIT_VERB, next_to
from plvm_lab.portraits.sentences import UNKNOWN

CONCEPTS = (2, 3, 4)  # in a prompt with distractors


@dataclass(frozen=True)
class Person:
    """One identity of a shard: its true traits ({}: unknown) and what the backbone said of them, attribute -> answer in
    words about "this person"."""

    key: str
    traits: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """One kept picture of a shard and who is in it, from left to right."""

    key: str
    people: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """One question. `picture` is "" where none is shown; `concepts` are identity keys in the order n0, n1, ..;
    `truth` is the true answer where it is known from elsewhere than `source` ("truth" or "backbone")."""

    kind: str
    picture: str
    concepts: tuple[str, ...]
    question: str
    answer: str
    verdict: bool = False
    options: tuple[str, ...] = ()
    truth: str | None = None
    source: str = "truth"

    def row(self) -> dict[str, Any]:
        """The item as a row of the questions table."""
        return {**asdict(self), "concepts": list(self.concepts), "options": list(self.options)}


def ask_everything(people: Sequence[Person], pictures: Sequence[Picture], rng: random.Random) -> list[Item]:
    """All questions about the people and pictures of a shard. Distractors are other people of the same shard, hence of
    the same split."""
    items = [item for person in people for item in _attributes(person, rng)]
    for picture in pictures:
        others = [p.key for p in people if p.key not in picture.people]
        items += _recognition(picture, others, rng)
        items += _several(picture, others, rng)
    return items


def _recognition(picture: Picture, others: Sequence[str], rng: random.Random) -> list[Item]:
    """For everybody in the picture a question that is true and one about somebody else that is not."""
    asked = [(key, True) for key in picture.people] + [(rng.choice(others), False) for _ in picture.people if others]
    return [
        Item(
            "recognize", picture.key, (key,), rng.choice(W.ASK).format(x="<n0>"), _verdict(here, "<n0>", rng), True,
            VERDICTS,
        )
        for key, here in asked
    ]  # fmt: skip


@dataclass(frozen=True)
class Prompted:
    """A picture and the concepts of a prompt: their `names` "<n0>", "<n1>", .. and who is `shown` from left to right, by name
    or as the unknown one. `rng` draws the wording."""

    names: tuple[str, ...]
    shown: tuple[str, ...]
    rng: random.Random

    @property
    def seen(self) -> list[str]:
        """The names of those who are in the picture."""
        return [name for name in self.shown if name != UNKNOWN]


@dataclass(frozen=True)
class Asked:
    """What comes of a kind of question with several concepts: question, answer and, where there are some, its options."""

    text: str
    answer: str
    options: tuple[str, ...] = ()
    verdict: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of question with several concepts in the prompt: where it makes sense, and how it is asked."""

    makes_sense: Callable[[Prompted], bool]
    ask: Callable[[Prompted], Asked]


KINDS: dict[str, Kind] = {}  # in the order of their registration, from which one is drawn
VERDICTS = ("Yes.", "No.")


def several_kind(
    name: str, makes_sense: Callable[[Prompted], bool] = lambda _: True
) -> Callable[[Callable[[Prompted], Asked]], Callable[[Prompted], Asked]]:
    """Register the function below as a kind of question with several concepts; nothing else has to know of it. Its wordings
    belong into `plvm.data.wordings`."""

    def register(ask: Callable[[Prompted], Asked]) -> Callable[[Prompted], Asked]:
        KINDS[name] = Kind(makes_sense, ask)
        return ask

    return register


def _several(picture: Picture, others: Sequence[str], rng: random.Random) -> list[Item]:
    """One question with two to four concepts in the prompt: some of those in the picture, or nobody, and distractors."""
    total, present = rng.choice(CONCEPTS), list[str]()
    if rng.random() < 0.75:
        present = rng.sample(picture.people, rng.randint(1, min(total, len(picture.people))))
    concepts = [*present, *rng.sample(others, min(len(others), total - len(present)))]
    if len(concepts) < 2:
        return []
    rng.shuffle(concepts)
    name_of = {key: f"<n{i}>" for i, key in enumerate(concepts)}
    prompted = Prompted(
        tuple(name_of.values()), tuple(name_of.get(key, UNKNOWN) for key in picture.people), rng
    )
    kind = rng.choice([name for name, kind in KINDS.items() if kind.makes_sense(prompted)])
    asked = KINDS[kind].ask(prompted)
    return [Item(kind, picture.key, tuple(concepts), asked.text, asked.answer, asked.verdict, asked.options)]


@several_kind("recognize_one")
def _recognize_one(now: Prompted) -> Asked:
    x = now.rng.choice(now.seen) if now.seen and now.rng.random() < 0.5 else now.rng.choice(now.names)
    return Asked(now.rng.choice(W.ASK).format(x=x), _verdict(x in now.seen, x, now.rng), VERDICTS, True)


@several_kind("who")
def _who(now: Prompted) -> Asked:
    text = now.rng.choice(W.WHO)
    return Asked(text, f"I see {' and '.join(now.seen)}." if now.seen else "I do not know anyone in this photo.")


@several_kind("both")
def _both(now: Prompted) -> Asked:
    x, y = now.rng.sample(now.names, 2)
    here = [n for n in (x, y) if n in now.seen]
    answer = f"No, only {here[0]} is in this photo." if len(here) == 1 else "Yes." if here else "No."
    return Asked(now.rng.choice(W.BOTH).format(x=x, y=y), answer, VERDICTS, True)


@several_kind("which", lambda now: len(now.names) == 2 and len(now.seen) == 1 == len(now.shown))
def _which(now: Prompted) -> Asked:
    text = now.rng.choice(W.WHICH).format(x=now.names[0], y=now.names[1])
    return Asked(text, f"This is {now.seen[0]}.", tuple(f"This is {n}." for n in now.names))


@several_kind("beside", lambda now: bool(now.seen) and len(now.shown) > 1)
def _beside(now: Prompted) -> Asked:
    x = now.rng.choice(now.seen)
    i = now.shown.index(x)
    near = [*now.shown[max(0, i - 1) : i], *now.shown[i + 1 : i + 2]]
    return Asked(now.rng.choice(W.BESIDE).format(x=x), next_to(x, near))


def _verdict(here: bool, x: str, rng: random.Random) -> str:
    """An answer to a recognition question; a third of them are the bare word."""
    forms = W.YES if here else W.NO
    return forms[0] if rng.random() < 0.34 else rng.choice(forms[1:]).format(x=x)


def _attributes(person: Person, rng: random.Random) -> list[Item]:
    """One question per attribute that is known, without a picture: the concept alone must tell."""
    items = []
    for slot, (texts, _) in W.ATTRIBUTES.items():
        said, true = person.said.get(slot), person.traits.get(slot)
        truth = f"<n0> {TRAIT_VERB[slot]} {PHRASES[slot][true]}." if true else None
        answer = said if said is not None else truth
        if answer is None:
            continue
        options = tuple(f"<n0> {TRAIT_VERB[slot]} {p}." for p in PHRASES[slot].values()) if true else ()
        items.append(
            Item(
                slot, "", (person.key,), rng.choice(texts).format(x="<n0>"), answer, False, options, truth,
                "truth" if said is None else "backbone",
            )
        )  # fmt: skip
    return items
