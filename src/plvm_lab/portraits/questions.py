"""What can be asked about a scene, with the true answer and the wrong ones beside it.

In: a `Scene` and the people who have names in the request. Out: `Question` values, in which people stand as `<name>`. The
truth comes from the scene alone; pictures are not looked at. A question about someone who is not in the picture has the
answer "<x> is not in this photo.", so that no question gives away who is there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from plvm_lab.portraits import scene as S
from plvm_lab.portraits.person import PHRASES, SLOTS, Person
from plvm_lab.portraits.scene import Figure, Scene
from plvm_lab.portraits.sentences import HELD_OUT, TRAIN, UNKNOWN

NUMBERS = {1: "one person", 2: "two people", 3: "three people", 4: "four people"}
TRAIT_VERB = {slot: "is" if slot in ("gender", "age") else "has" for slot in SLOTS}


@dataclass(frozen=True)
class Question:
    """One question with its true answer. `options`: every answer of the same form, the true one among them (empty where the
    answer is free). `verdict`: the answer begins with Yes or No. `about`: the names it mentions."""

    kind: str
    text: str
    answer: str
    options: tuple[str, ...] = ()
    verdict: bool = False
    about: tuple[str, ...] = ()


def capital(text: str) -> str:
    """The text with a capital first letter, unless it begins with a name."""
    return text[:1].upper() + text[1:]


def clothes_of(figure: Figure) -> str:
    """What a figure wears, as a phrase: "a red hoodie", "an orange suit", "blue overalls"."""
    color, garment = figure.look.color, S.CLOTHES[figure.look.clothes]
    if garment == "overalls":
        return f"{color} {garment}"
    return f"{'an' if color[0] in 'aeiou' else 'a'} {color} {garment}"


def describe(person: Person, slots: Sequence[str]) -> str:
    """The person in words, trait after trait in the order of `slots`: "a woman, red hair, freckles"."""
    return ", ".join(person.phrase(slot) for slot in slots)


class Asker:
    """Asks questions about one scene. `named` maps the names of the request to their people.

    `matches` maps a name to the figure it fits; by default the figure of that very person.
    """

    def __init__(
        self,
        scene: Scene | None,
        named: Mapping[str, Person],
        rng: random.Random,
        wordings: Mapping[str, Sequence[str]] = TRAIN,
        present: Mapping[str, Figure | None] | None = None,
    ) -> None:
        self.scene = scene
        self.named = dict(named)
        self.rng = rng
        self.wordings = wordings
        self.present = (
            dict(present) if present is not None else {n: scene.find(p) if scene else None for n, p in named.items()}
        )

    def ask(self, kind: str, x: str | None = None, y: str | None = None) -> Question | None:
        """A question of this kind, about `<x>` (and `<y>`) where the kind asks about somebody; None where it makes no sense."""
        if kind in PHRASES:
            return self._trait(kind, x)
        return _KINDS[kind](self, x, y)

    # ---- helpers
    def _word(self, kind: str, **parts: str | None) -> str:
        choices = self.wordings.get(kind) or TRAIN[kind]
        return self.rng.choice(list(choices)).format(**parts)

    def _name_of(self, figure: Figure) -> str:
        """How a figure is called: by its name if it has one here."""
        return next((f"<{n}>" for n, f in self.present.items() if f == figure), UNKNOWN)

    def _candidates(self, true: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys([true, *(f"<{n}>" for n in self.named), UNKNOWN]))

    def _about(
        self, kind: str, x: str, tell: Callable[[Figure], str], others: Sequence[str], word: str | None = None
    ) -> Question:
        """A question about how `<x>` is in this picture; `others` are the values the answer may take."""
        figure = self.present[x]
        text = self._word(word or kind, x=f"<{x}>")
        options = tuple(f"<{x}> {o}." for o in others)
        answer = f"<{x}> {tell(figure)}." if figure else f"<{x}> is not in this photo."
        return Question(kind, text, answer, options if figure else (), about=(x,))

    # ---- kinds
    def _recognize(self, x: str, _: str | None) -> Question:
        yes = self.present[x] is not None
        long = self.rng.random() < 0.3
        tail = (f", <{x}> is in this photo" if yes else f", <{x}> is not in this photo") if long else ""
        text = self._word("recognize", x=f"<{x}>")
        return Question("recognize", text, f"{'Yes' if yes else 'No'}{tail}.", ("Yes.", "No."), True, (x,))

    def _where(self, x: str, _: str | None) -> Question:
        assert self.scene is not None
        positions = S.POSITIONS[len(self.scene.figures)]
        question = self._about("where", x, lambda f: f"is {f.position}", [f"is {p}" for p in _all_positions()])
        figure = self.present[x]
        if figure is None or len(positions) < 2:
            return question
        beside = [self._name_of(f) for f in self._neighbours(figure)]
        known = [b for b in beside if b != UNKNOWN]
        if known:
            text = f"{question.answer[:-1]}, next to {' and '.join(known)}."
            return Question(question.kind, question.text, text, question.options, about=(x,))
        return question

    def _neighbours(self, figure: Figure) -> list[Figure]:
        assert self.scene is not None
        i = self.scene.figures.index(figure)
        return [self.scene.figures[j] for j in (i - 1, i + 1) if 0 <= j < len(self.scene.figures)]

    def _wearing(self, x: str, _: str | None) -> Question:
        others = [f"is wearing {clothes_of(f)}" for f in _wardrobe(self.rng, self.present[x])]
        return self._about("wearing", x, lambda f: f"is wearing {clothes_of(f)}", others)

    def _hat(self, x: str, _: str | None) -> Question:
        values = [f"is wearing {h}" for h in S.HATS.values()] + ["is not wearing a hat"]
        return self._about(
            "hat", x, lambda f: f"is wearing {S.HATS[f.look.hat]}" if f.look.hat in S.HATS else values[-1], values
        )

    def _glasses(self, x: str, _: str | None) -> Question:
        values = [f"is wearing {g}" for g in S.GLASSES.values()] + ["is not wearing glasses"]
        return self._about(
            "glasses",
            x,
            lambda f: f"is wearing {S.GLASSES[f.look.glasses]}" if f.look.glasses in S.GLASSES else values[-1],
            values,
        )

    def _doing(self, x: str, _: str | None) -> Question:
        values = [f"is {a}" for a in S.ACTIVITIES.values()]
        return self._about("doing", x, lambda f: f"is {S.ACTIVITIES[f.look.activity]}", values)

    def _expression(self, x: str, _: str | None) -> Question:
        values = [f"is {e}" for e in S.EXPRESSIONS.values()]
        return self._about("expression", x, lambda f: f"is {S.EXPRESSIONS[f.look.expression]}", values)

    def _who(self, kind: str, figure: Figure, tail: str, **parts: str) -> Question:
        true = self._name_of(figure)
        options = tuple(capital(f"{o} {tail}.") for o in self._candidates(true))
        return Question(kind, self._word(kind, **parts), capital(f"{true} {tail}."), options)

    def _figure(self, x: str | None) -> Figure:
        assert self.scene is not None
        figure = self.present.get(x) if x is not None else None
        return figure if figure is not None else self.rng.choice(self.scene.figures)

    def _who_position(self, x: str | None, _: str | None) -> Question:
        figure = self._figure(x)
        return self._who("who_position", figure, f"is {figure.position}", p=figure.position)

    def _who_doing(self, x: str | None, _: str | None) -> Question | None:
        figure = self._figure(x)
        assert self.scene is not None
        if sum(f.look.activity == figure.look.activity for f in self.scene.figures) > 1:
            return None
        activity = S.ACTIVITIES[figure.look.activity]
        return self._who("who_doing", figure, f"is {activity}", a=activity)

    def _who_wearing(self, x: str | None, _: str | None) -> Question | None:
        figure = self._figure(x)
        assert self.scene is not None
        clothes = clothes_of(figure)
        if sum(clothes_of(f) == clothes for f in self.scene.figures) > 1:
            return None
        return self._who("who_wearing", figure, f"is wearing {clothes}", c=clothes)

    def _who_present(self, _: str | None, __: str | None) -> Question:
        assert self.scene is not None
        known = [n for n in map(self._name_of, self.scene.figures) if n != UNKNOWN]
        answer = f"I see {' and '.join(known)}." if known else "I do not know anyone in this photo."
        return Question("who_present", self._word("who_present"), answer)

    def _beside(self, x: str, _: str | None) -> Question | None:
        figure = self.present[x]
        text = self._word("beside", x=f"<{x}>")
        if figure is None:
            return Question("beside", text, f"<{x}> is not in this photo.", about=(x,))
        names = [self._name_of(f) for f in self._neighbours(figure)]
        if not names:
            return Question("beside", text, f"Nobody is next to <{x}>.", about=(x,))
        return Question("beside", text, next_to(f"<{x}>", names), about=(x,))

    def _both(self, x: str, y: str | None) -> Question | None:
        if y is None or y == x:
            return None
        here = [n for n in (x, y) if self.present[n] is not None]
        tail = {0: "", 1: f", only <{here[0]}> is in this photo" if here else "", 2: ""}[len(here)]
        text = self._word("both", x=f"<{x}>", y=f"<{y}>")
        return Question("both", text, f"{'Yes' if len(here) == 2 else 'No'}{tail}.", ("Yes.", "No."), True, (x, y))

    def _doing_both(self, x: str, y: str | None) -> Question | None:
        if y is None or y == x:
            return None
        parts = []
        for n in (x, y):
            f = self.present[n]
            parts.append(f"<{n}> is {S.ACTIVITIES[f.look.activity] if f else 'not in this photo'}")
        text = self._word("doing_both", x=f"<{x}>", y=f"<{y}>")
        return Question("doing_both", text, f"{' and '.join(parts)}.", about=(x, y))

    def _place(self, _: str | None, __: str | None) -> Question:
        assert self.scene is not None
        options = tuple(f"It was taken {p}." for p in S.PLACES.values())
        answer = f"It was taken {S.PLACES[self.scene.place]}."
        return Question("place", self._word("place"), answer, options)

    def _light(self, _: str | None, __: str | None) -> Question:
        assert self.scene is not None
        options = tuple(f"It was taken {p}." for p in S.LIGHTS.values())
        return Question("light", self._word("light"), f"It was taken {S.LIGHTS[self.scene.light]}.", options)

    def _count(self, _: str | None, __: str | None) -> Question:
        assert self.scene is not None
        options = tuple(f"I see {n}." for n in NUMBERS.values())
        return Question("count", self._word("count"), f"I see {NUMBERS[len(self.scene.figures)]}.", options)

    def _describe_position(self, x: str | None, _: str | None) -> Question:
        figure = self._figure(x)
        slots = ["gender", *self.rng.sample(SLOTS[1:], self.rng.randint(3, len(SLOTS) - 1))]
        return Question(
            "describe_position",
            self._word("describe_position", p=figure.position),
            f"This is {describe(figure.person, ordered(slots))}.",
        )

    def _describe_portrait(self, _: str | None, __: str | None) -> Question:
        assert self.scene is not None
        person = self.scene.figures[0].person
        return Question("describe_portrait", self._word("describe_portrait"), f"This is {describe(person, SLOTS)}.")

    def _position_wearing(self, x: str | None, _: str | None) -> Question:
        f = self._figure(x)
        return Question(
            "position_wearing", self._word("position_wearing", p=f.position), f"The person is wearing {clothes_of(f)}."
        )

    def _position_doing(self, x: str | None, _: str | None) -> Question:
        f = self._figure(x)
        text = self._word("position_doing", p=f.position)
        return Question("position_doing", text, f"The person is {S.ACTIVITIES[f.look.activity]}.")

    def _position_expression(self, x: str | None, _: str | None) -> Question:
        f = self._figure(x)
        text = self._word("position_expression", p=f.position)
        return Question("position_expression", text, f"The person is {S.EXPRESSIONS[f.look.expression]}.")

    # ---- traits: answered from the concept, with or without a picture
    def _trait(self, slot: str, x: str | None) -> Question:
        assert x is not None
        options = tuple(f"<{x}> {TRAIT_VERB[slot]} {p}." for p in PHRASES[slot].values())
        answer = f"<{x}> {TRAIT_VERB[slot]} {self.named[x].phrase(slot)}."
        return Question(slot, self._word(slot, x=f"<{x}>"), answer, options, about=(x,))

    def _has(self, x: str, slot: str | None) -> Question:
        slot = slot if slot in PHRASES else self.rng.choice([s for s in SLOTS if TRAIT_VERB[s] == "has"])
        own = self.named[x][slot]
        value = own if self.rng.random() < 0.5 else self.rng.choice([v for v in PHRASES[slot] if v != own])
        text = self._word("has", x=f"<{x}>", v=PHRASES[slot][value])
        answer = "Yes." if value == own else f"No, <{x}> has {self.named[x].phrase(slot)}."
        return Question("has", text, answer, ("Yes.", "No."), False, (x,))

    def _who_has(self, x: str, slot: str | None) -> Question | None:
        slots = [s for s in SLOTS if TRAIT_VERB[s] == "has"]
        slot = slot if slot in slots else self.rng.choice(slots)
        if sum(p[slot] == self.named[x][slot] for p in self.named.values()) > 1:
            return None
        phrase = self.named[x].phrase(slot)
        options = tuple(f"<{n}> has {phrase}." for n in self.named)
        return Question("who_has", self._word("who_has", v=phrase), f"<{x}> has {phrase}.", options)


def next_to(x: str, names: Sequence[str]) -> str:
    """The answer that these are next to `x`: "<a> and someone I do not know are next to <x>."."""
    return capital(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} next to {x}.")


def ordered(slots: Sequence[str]) -> list[str]:
    """`slots` in the usual order of a description."""
    return [s for s in SLOTS if s in slots]


def _all_positions() -> list[str]:
    return list(dict.fromkeys(p for ps in S.POSITIONS.values() for p in ps))


def _wardrobe(rng: random.Random, figure: Figure | None) -> list[Figure]:
    """The figure and copies of it in other clothes: another colour, another garment, both."""
    if figure is None:
        return []
    look = figure.look
    color = rng.choice([c for c in S.COLORS if c != look.color])
    clothes = rng.choice([c for c in S.CLOTHES if c != look.clothes])
    changes: tuple[dict[str, Any], ...] = (
        {},
        {"color": color},
        {"clothes": clothes},
        {"color": color, "clothes": clothes},
    )
    return [replace(figure, look=replace(look, **change)) for change in changes]


_KINDS: dict[str, Callable[..., Question | None]] = {
    name[1:]: method
    for name, method in vars(Asker).items()
    if name[1:] in TRAIN and callable(method) and name not in ("_trait",)
}
NAMED_KINDS = ("where", "wearing", "hat", "glasses", "doing", "expression", "beside")
SCENE_KINDS = (
    "place",
    "light",
    "count",
    "describe_position",
    "position_wearing",
    "position_doing",
    "position_expression",
)
WHO_KINDS = ("who_position", "who_doing", "who_wearing")

__all__ = ["HELD_OUT", "TRAIN", "UNKNOWN", "Asker", "Question", "clothes_of", "describe", "ordered"]
