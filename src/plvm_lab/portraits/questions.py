"""What can be asked about a scene, with the true answer and the wrong ones beside it: one registered kind each.

In: a `Situation` (scene, names, random numbers). Out: `Question` values, in which people stand as `<name>`. The truth comes
from the scene alone; pictures are not looked at. A question about someone who is not in the picture has the answer "<x> is
not in this photo.", so that no question gives away who is there.

A new kind is registered here, beside its function, and worded in `sentences.py`: nothing else has to know of it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

from plvm.errors import RequestError
from plvm.types import nearest_names
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.person import PHRASES, SLOTS
from plvm_lab.portraits.phrases import NUMBERS, TRAIT_VERB, capital, clothes_of, describe, next_to, ordered
from plvm_lab.portraits.question_kind import KINDS, Question, Visible, kind, visible_of
from plvm_lab.portraits.scene import Figure
from plvm_lab.portraits.sentences import UNKNOWN
from plvm_lab.portraits.situation import Situation


class Asker(Situation):
    """Asks questions of all kinds about one scene."""

    def ask(self, kind: str, x: str | None = None, y: str | None = None) -> Question | None:
        """A question of this kind, about `<x>` (and `<y>`) where the kind asks about somebody; None where it makes no sense.
        Raises RequestError for a kind that nobody registered."""
        if kind in PHRASES:
            return ask_trait(self, kind, x)
        if kind not in KINDS:
            near = nearest_names(kind, KINDS, 3)
            raise RequestError(f'There is no kind of question "{kind[:40]}".', f"Use one like: {', '.join(near)}.")
        return KINDS[kind].ask(self, x, y)


# ---------------------------------------------------------------- whether somebody is there


@kind("recognize")
def _recognize(now: Situation, x: str, _: str | None) -> Question:
    yes = now.present[x] is not None
    long = now.rng.random() < 0.3
    tail = (f", <{x}> is in this photo" if yes else f", <{x}> is not in this photo") if long else ""
    text = now.worded("recognize", x=f"<{x}>")
    return Question("recognize", text, f"{'Yes' if yes else 'No'}{tail}.", ("Yes.", "No."), True, (x,))


@kind("both", second="name")
def _both(now: Situation, x: str, y: str | None) -> Question | None:
    if y is None or y == x:
        return None
    here = [n for n in (x, y) if now.present[n] is not None]
    tail = {0: "", 1: f", only <{here[0]}> is in this photo" if here else "", 2: ""}[len(here)]
    text = now.worded("both", x=f"<{x}>", y=f"<{y}>")
    return Question("both", text, f"{'Yes' if len(here) == 2 else 'No'}{tail}.", ("Yes.", "No."), True, (x, y))


# ---------------------------------------------------------------- how somebody looks in this picture


def ask_visible(now: Situation, kind: str, x: str, values: list[str]) -> Question:
    """A question about how `<x>` is in this picture; `values` are what the answer may say."""
    figure = now.present[x]
    text = now.worded(kind, x=f"<{x}>")
    options = tuple(f"<{x}> {o}." for o in values)
    answer = f"<{x}> {visible_of(kind).tell(figure)}." if figure else f"<{x}> is not in this photo."
    return Question(kind, text, answer, options if figure else (), about=(x,))


def visible_kind(name: str, visible: Visible, *families: str) -> None:
    """Register a kind that asks for something visible, whose options are all its values."""

    def ask(now: Situation, x: str, _: str | None) -> Question:
        values = visible.values(now.present[x], now.rng) if visible.values is not None else []
        return ask_visible(now, name, x, values)

    kind(name, *families, visible=visible)(ask)


def _position(figure: Figure) -> str:
    return f"is {figure.position}"


def _clothing(figure: Figure) -> str:
    return f"is wearing {clothes_of(figure)}"


def _dressed_otherwise(figure: Figure, rng: random.Random) -> list[Figure]:
    """The figure in another colour, in another garment, in both."""
    color = rng.choice([c for c in S.COLORS if c != figure.look.color])
    clothes = rng.choice([c for c in S.CLOTHES if c != figure.look.clothes])
    looks = (
        replace(figure.look, color=color),
        replace(figure.look, clothes=clothes),
        replace(figure.look, color=color, clothes=clothes),
    )
    return [replace(figure, look=look) for look in looks]


def _nearly_so_dressed(figure: Figure | None, rng: random.Random) -> list[str]:
    return [_clothing(f) for f in _dressed_otherwise(figure, rng)[:2]] if figure is not None else []


@kind("where", "named", visible=Visible(_position))
def _where(now: Situation, x: str, _: str | None) -> Question:
    figure = now.present[x]
    positions = dict.fromkeys(p for several in S.POSITIONS.values() for p in several)
    question = ask_visible(now, "where", x, [f"is {p}" for p in positions])
    known = [] if figure is None else [b for b in map(now.name_of, now.neighbours(figure)) if b != UNKNOWN]
    return replace(question, answer=f"{question.answer[:-1]}, next to {' and '.join(known)}.") if known else question


@kind("wearing", "named", visible=Visible(_clothing, _nearly_so_dressed))
def _wearing(now: Situation, x: str, _: str | None) -> Question:
    figure = now.present[x]
    options = [figure, *_dressed_otherwise(figure, now.rng)] if figure is not None else []
    return ask_visible(now, "wearing", x, [_clothing(f) for f in options])


def _worn(slot: Literal["hat", "glasses"], phrases: dict[str, str], bare: str) -> Visible:
    """Something that a figure may wear or not."""

    def tell(figure: Figure) -> str:
        own = getattr(figure.look, slot)
        return f"is wearing {phrases[own]}" if own in phrases else bare

    return Visible(tell, lambda *_: [*(f"is wearing {p}" for p in phrases.values()), bare], bare)


visible_kind("hat", _worn("hat", S.HATS, "is not wearing a hat"), "named", "look")
visible_kind("glasses", _worn("glasses", S.GLASSES, "is not wearing glasses"), "named", "look")
visible_kind(
    "doing",
    Visible(lambda f: f"is {S.ACTIVITIES[f.look.activity]}", lambda *_: [f"is {a}" for a in S.ACTIVITIES.values()]),
    "named",
)
visible_kind(
    "expression",
    Visible(lambda f: f"is {S.EXPRESSIONS[f.look.expression]}", lambda *_: [f"is {e}" for e in S.EXPRESSIONS.values()]),
    "named",
    "look",
)
VISUAL_KINDS = ("where", "wearing", "hat", "glasses", "doing", "expression")  # that the published benchmark asks


@kind("beside", "named")
def _beside(now: Situation, x: str, _: str | None) -> Question:
    figure = now.present[x]
    text = now.worded("beside", x=f"<{x}>")
    if figure is None:
        return Question("beside", text, f"<{x}> is not in this photo.", about=(x,))
    names = [now.name_of(f) for f in now.neighbours(figure)]
    answer = next_to(f"<{x}>", names) if names else f"Nobody is next to <{x}>."
    return Question("beside", text, answer, about=(x,))


@kind("doing_both", second="name")
def _doing_both(now: Situation, x: str, y: str | None) -> Question | None:
    if y is None or y == x:
        return None
    parts = []
    for n in (x, y):
        f = now.present[n]
        parts.append(f"<{n}> is {S.ACTIVITIES[f.look.activity] if f else 'not in this photo'}")
    text = now.worded("doing_both", x=f"<{x}>", y=f"<{y}>")
    return Question("doing_both", text, f"{' and '.join(parts)}.", about=(x, y))


# ---------------------------------------------------------------- who it is


def _who(now: Situation, kind: str, figure: Figure, tail: str, **parts: str) -> Question:
    true = now.name_of(figure)
    options = tuple(capital(f"{o} {tail}.") for o in now.candidates(true))
    return Question(kind, now.worded(kind, **parts), capital(f"{true} {tail}."), options)


@kind("who_position", "who")
def _who_position(now: Situation, x: str | None, _: str | None) -> Question:
    figure = now.figure_of(x)
    return _who(now, "who_position", figure, f"is {figure.position}", p=figure.position)


@kind("who_doing", "who")
def _who_doing(now: Situation, x: str | None, _: str | None) -> Question | None:
    figure = now.figure_of(x)
    if sum(f.look.activity == figure.look.activity for f in now.shown.figures) > 1:
        return None
    activity = S.ACTIVITIES[figure.look.activity]
    return _who(now, "who_doing", figure, f"is {activity}", a=activity)


@kind("who_wearing", "who")
def _who_wearing(now: Situation, x: str | None, _: str | None) -> Question | None:
    figure = now.figure_of(x)
    clothes = clothes_of(figure)
    if sum(clothes_of(f) == clothes for f in now.shown.figures) > 1:
        return None
    return _who(now, "who_wearing", figure, f"is wearing {clothes}", c=clothes)


@kind("who_present")
def _who_present(now: Situation, *_: str | None) -> Question:
    known = [n for n in map(now.name_of, now.shown.figures) if n != UNKNOWN]
    answer = f"I see {' and '.join(known)}." if known else "I do not know anyone in this photo."
    return Question("who_present", now.worded("who_present"), answer)


# ---------------------------------------------------------------- the picture, and people without a name


@kind("place", "scene")
def _place(now: Situation, *_: str | None) -> Question:
    options = tuple(f"It was taken {p}." for p in S.PLACES.values())
    return Question("place", now.worded("place"), f"It was taken {S.PLACES[now.shown.place]}.", options)


@kind("light", "scene")
def _light(now: Situation, *_: str | None) -> Question:
    options = tuple(f"It was taken {p}." for p in S.LIGHTS.values())
    return Question("light", now.worded("light"), f"It was taken {S.LIGHTS[now.shown.light]}.", options)


@kind("count", "scene")
def _count(now: Situation, *_: str | None) -> Question:
    options = tuple(f"I see {n}." for n in NUMBERS.values())
    return Question("count", now.worded("count"), f"I see {NUMBERS[len(now.shown.figures)]}.", options)


@kind("describe_position", "scene")
def _describe_position(now: Situation, x: str | None, _: str | None) -> Question:
    figure = now.figure_of(x)
    slots = ["gender", *now.rng.sample(SLOTS[1:], now.rng.randint(3, len(SLOTS) - 1))]
    text = now.worded("describe_position", p=figure.position)
    return Question("describe_position", text, f"This is {describe(figure.person, ordered(slots))}.")


@kind("describe_portrait")
def _describe_portrait(now: Situation, *_: str | None) -> Question:
    person = now.shown.figures[0].person
    return Question("describe_portrait", now.worded("describe_portrait"), f"This is {describe(person, SLOTS)}.")


@kind("position_wearing", "scene")
def _position_wearing(now: Situation, x: str | None, _: str | None) -> Question:
    f = now.figure_of(x)
    text = now.worded("position_wearing", p=f.position)
    return Question("position_wearing", text, f"The person is wearing {clothes_of(f)}.")


@kind("position_doing", "scene")
def _position_doing(now: Situation, x: str | None, _: str | None) -> Question:
    f = now.figure_of(x)
    text = now.worded("position_doing", p=f.position)
    return Question("position_doing", text, f"The person is {S.ACTIVITIES[f.look.activity]}.")


@kind("position_expression", "scene")
def _position_expression(now: Situation, x: str | None, _: str | None) -> Question:
    f = now.figure_of(x)
    text = now.worded("position_expression", p=f.position)
    return Question("position_expression", text, f"The person is {S.EXPRESSIONS[f.look.expression]}.")


# ---------------------------------------------------------------- traits: answered from the concept, picture or not


def ask_trait(now: Situation, slot: str, x: str | None) -> Question:
    """A question about a trait of `<x>`; the slot is its kind."""
    assert x is not None
    options = tuple(f"<{x}> {TRAIT_VERB[slot]} {p}." for p in PHRASES[slot].values())
    answer = f"<{x}> {TRAIT_VERB[slot]} {now.named[x].phrase(slot)}."
    return Question(slot, now.worded(slot, x=f"<{x}>"), answer, options, about=(x,))


@kind("has", second="slot", pictured=False)
def _has(now: Situation, x: str, slot: str | None) -> Question:
    slot = slot if slot in PHRASES else now.rng.choice([s for s in SLOTS if TRAIT_VERB[s] == "has"])
    own = now.named[x][slot]
    value = own if now.rng.random() < 0.5 else now.rng.choice([v for v in PHRASES[slot] if v != own])
    text = now.worded("has", x=f"<{x}>", v=PHRASES[slot][value])
    answer = "Yes." if value == own else f"No, <{x}> has {now.named[x].phrase(slot)}."
    return Question("has", text, answer, ("Yes.", "No."), False, (x,))


@kind("who_has", second="slot", pictured=False)
def _who_has(now: Situation, x: str, slot: str | None) -> Question | None:
    slots = [s for s in SLOTS if TRAIT_VERB[s] == "has"]
    slot = slot if slot in slots else now.rng.choice(slots)
    if sum(p[slot] == now.named[x][slot] for p in now.named.values()) > 1:
        return None
    phrase = now.named[x].phrase(slot)
    options = tuple(f"<{n}> has {phrase}." for n in now.named)
    return Question("who_has", now.worded("who_has", v=phrase), f"<{x}> has {phrase}.", options)
