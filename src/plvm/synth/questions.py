"""Questions and answers about synthesised pictures: recognition, attributes, several concepts and distractors.

People stand as `<n0>`, `<n1>`, ... in the order of a question's `concepts`. The truth of a recognition question is who the
picture was made of; attribute answers come from the drawn truth or from a frozen backbone that looked at the reference.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from plvm.portraits.person import PHRASES
from plvm.portraits.questions import TRAIT_VERB
from plvm.synth import wordings as W

PER_PICTURE = 2  # recognition questions: one that is true, one that is not
DISTRACTORS = (1, 2, 3)


@dataclass(frozen=True)
class Person:
    """One identity of a shard: its kept pictures' keys, its true traits ({}: unknown) and what the backbone said of
    them, attribute -> answer in words about "this person"."""

    key: str
    pictures: tuple[str, ...]
    traits: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)


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


def ask_everything(people: Sequence[Person], rng: random.Random) -> list[Item]:
    """All questions about the people of a shard. Distractors are other people of the same shard, hence of the same
    split."""
    items = []
    for person in people:
        others = [p for p in people if p.key != person.key]
        items += _attributes(person, rng)
        for picture in person.pictures:
            items += _recognition(person, picture, others, rng)
            items += _several(person, picture, others, rng)
    return items


def _recognition(person: Person, picture: str, others: Sequence[Person], rng: random.Random) -> list[Item]:
    asked = [(person.key, True)] + ([(rng.choice(others).key, False)] if others else [])
    return [
        Item(
            "recognize", picture, (key,), rng.choice(W.ASK).format(x="<n0>"), _verdict(here, "<n0>", rng), True,
            ("Yes.", "No."),
        )
        for key, here in asked
    ]  # fmt: skip


def _several(person: Person, picture: str, others: Sequence[Person], rng: random.Random) -> list[Item]:
    """One question with distractors: two to four concepts in the prompt, of whom at most one is in the picture."""
    if not others:
        return []
    count = min(len(others), rng.choice(DISTRACTORS))
    here = rng.random() < 0.75
    crowd = rng.sample([p.key for p in others], count + (0 if here else min(1, len(others) - count)))
    concepts = [*crowd, person.key] if here else crowd
    rng.shuffle(concepts)
    names = [f"<n{i}>" for i in range(len(concepts))]
    seen = names[concepts.index(person.key)] if here else None
    kinds = ["recognize_one", "who", *(["both"] if len(concepts) > 1 else [])]
    kinds += ["which"] if len(concepts) == 2 and seen else []
    kind = rng.choice(kinds)
    options: tuple[str, ...]
    if kind == "recognize_one":
        x = seen if seen is not None and rng.random() < 0.5 else rng.choice(names)
        text, answer, options = rng.choice(W.ASK).format(x=x), _verdict(x == seen, x, rng), ("Yes.", "No.")
    elif kind == "which":
        text = rng.choice(W.WHICH).format(x=names[0], y=names[1])
        answer, options = f"This is {seen}.", tuple(f"This is {n}." for n in names)
    elif kind == "both":
        x, y = rng.sample(names, 2)
        text, options = rng.choice(W.BOTH).format(x=x, y=y), ("Yes.", "No.")
        answer = f"No, only {seen} is in this photo." if seen in (x, y) else "No."
    else:
        text, options = rng.choice(W.WHO), ()
        answer = f"I see {seen}." if seen else "I do not know anyone in this photo."
    return [Item(kind, picture, tuple(concepts), text, answer, kind in ("recognize_one", "both"), options)]


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
