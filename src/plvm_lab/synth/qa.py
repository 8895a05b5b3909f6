"""Questions and answers about synthesised pictures: recognition, attributes, several concepts and distractors.

People stand as `<n0>`, `<n1>`, ... in the order of a question's `concepts`. The truth of a recognition question is who the
picture was made of; attribute answers come from the drawn truth or from a frozen backbone that looked at the reference.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
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
            ("Yes.", "No."),
        )
        for key, here in asked
    ]  # fmt: skip


def _several(picture: Picture, others: Sequence[str], rng: random.Random) -> list[Item]:
    """One question with two to four concepts in the prompt: some of those in the picture, or nobody, and distractors."""
    total, present = rng.choice(CONCEPTS), list[str]()
    if rng.random() < 0.75:
        present = rng.sample(picture.people, rng.randint(1, min(total, len(picture.people))))
    concepts = [*present, *rng.sample(others, min(len(others), total - len(present)))]
    if len(concepts) < 2:
        return []
    rng.shuffle(concepts)
    names = [f"<n{i}>" for i in range(len(concepts))]
    name_of = dict(zip(concepts, names, strict=True))
    shown = [name_of.get(key, UNKNOWN) for key in picture.people]
    seen = [name for name in shown if name != UNKNOWN]
    kinds = ["recognize_one", "who", "both"]
    kinds += ["which"] if len(concepts) == 2 and len(seen) == 1 == len(shown) else []
    kinds += ["beside"] if seen and len(shown) > 1 else []
    kind = rng.choice(kinds)
    options: tuple[str, ...] = ("Yes.", "No.") if kind in ("recognize_one", "both") else ()
    if kind == "recognize_one":
        x = rng.choice(seen) if seen and rng.random() < 0.5 else rng.choice(names)
        text, answer = rng.choice(W.ASK).format(x=x), _verdict(x in seen, x, rng)
    elif kind == "which":
        text = rng.choice(W.WHICH).format(x=names[0], y=names[1])
        answer, options = f"This is {seen[0]}.", tuple(f"This is {n}." for n in names)
    elif kind == "both":
        x, y = rng.sample(names, 2)
        text, answer = rng.choice(W.BOTH).format(x=x, y=y), _of_two([n for n in (x, y) if n in seen])
    elif kind == "beside":
        x = rng.choice(seen)
        i = shown.index(x)
        text, answer = rng.choice(W.BESIDE).format(x=x), next_to(x, [*shown[max(0, i - 1) : i], *shown[i + 1 : i + 2]])
    else:
        text = rng.choice(W.WHO)
        answer = f"I see {' and '.join(seen)}." if seen else "I do not know anyone in this photo."
    return [Item(kind, picture.key, tuple(concepts), text, answer, kind in ("recognize_one", "both"), options)]


def _of_two(here: Sequence[str]) -> str:
    """The answer to whether two people are both in a picture, of whom these are."""
    return f"No, only {here[0]} is in this photo." if len(here) == 1 else "Yes." if here else "No."


def _verdict(here: bool, x: str, rng: random.Random) -> str:
    """An answer to a recognition question; a third of them are the bare word."""
    forms = W.YES if here else W.NO
    return forms[0] if rng.random() < 0.34 else rng.choice(forms[1:]).format(x=x)


def _attributes(person: Person, rng: random.Random) -> list[Item]:
    """One question per attribute that is known, without a picture: the concept alone must tell."""
    items = []
    for slot, (texts, _) in W.ATTRIBUTES.items():
        told, true = person.said.get(slot), person.traits.get(slot)
        truth = f"<n0> {TRAIT_VERB[slot]} {PHRASES[slot][true]}." if true else None
        answer = told if told is not None else truth
        if answer is None:
            continue
        options = tuple(f"<n0> {TRAIT_VERB[slot]} {p}." for p in PHRASES[slot].values()) if true else ()
        items.append(
            Item(
                slot, "", (person.key,), rng.choice(texts).format(x="<n0>"), answer, False, options, truth,
                "truth" if told is None else "backbone",
            )
        )  # fmt: skip
    return items
