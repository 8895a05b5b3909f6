"""Whole dialogues about a scene: who is named, when each name joins, and what is asked in which order.

One function makes them for everybody: pretraining names people by a description in words, the Aligner's training by
concept tokens, the evaluation by both. A dialogue never tells by its questions who is in the picture: absent people are
asked about in the same ways as present ones.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from plvm_lab.portraits import manners as manners  # registers its kinds
from plvm_lab.portraits.everyday import as_typed
from plvm_lab.portraits.person import SLOTS, Person, draw_person, lookalike
from plvm_lab.portraits.phrases import TRAIT_VERB
from plvm_lab.portraits.question_kind import KINDS, Question, kinds_in, visible_of
from plvm_lab.portraits.questions import Asker
from plvm_lab.portraits.scene import Figure, Scene
from plvm_lab.portraits.sentences import PRACTICE

MANNERS = {"describe": 3.0, "greet": 0.8, "about_itself": 1.4, "outside": 4.5}  # how often each is drawn
_NAMELESS = ("scene", "who", "who_present", "manners")  # families that can be asked of nobody by name
WORN = 8  # a hat or glasses that are there are asked about so many times as often: few people wear any


@dataclass(frozen=True)
class Named:
    """Someone with a name in a dialogue: who it is, the figure that fits (None: not in the picture), the described slots,
    and the turn in which the name joins."""

    person: Person
    figure: Figure | None
    slots: tuple[str, ...] = SLOTS
    joins: int = 0


@dataclass(frozen=True)
class Dialogue:
    """Named people "n0", "n1", .. in order, and the questions with their answers."""

    named: tuple[Named, ...]
    questions: tuple[Question, ...]
    scene: Scene | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """ "n0", "n1", .. as many as there are people."""
        return tuple(f"n{i}" for i in range(len(self.named)))


@dataclass(frozen=True)
class DialogueMix:
    """Shares that shape dialogues. `kinds` are relative weights of families: one in which kinds of questions are registered
    ("named", "look", "who", "scene"), "trait", or a single kind; "who_named" asks who is where someone named is. `partial` is
    the share of descriptions with 1 to 5 traits only; `late` the share of names that join in a later turn. `wordings` says how
    each kind may be worded; `typed`: as people type, not as they are printed."""

    turns: int = 4
    present: float = 0.55
    lookalike: float = 0.35
    partial: float = 0.3
    late: float = 0.15
    kinds: tuple[tuple[str, float], ...] = (
        ("recognize", 3.0),
        ("named", 2.5),
        ("who", 2.5),
        ("who_present", 0.5),
        ("trait", 2.5),
        ("has", 0.4),
        ("who_has", 0.6),
        ("both", 0.5),
        ("doing_both", 0.4),
        ("scene", 1.2),
    )
    wordings: Mapping[str, Sequence[str]] = field(default_factory=lambda: PRACTICE)
    typed: bool = False


def _fits(figure: Figure, person: Person, slots: Sequence[str]) -> bool:
    return all(figure.person[s] == person[s] for s in slots)


def _slots(mix: DialogueMix, rng: random.Random) -> tuple[str, ...]:
    if rng.random() < mix.partial:
        return tuple(rng.sample(SLOTS, rng.randint(1, 5)))
    slots = list(SLOTS) if rng.random() < 0.6 else rng.sample(SLOTS, len(SLOTS))
    return tuple(slots if rng.random() < 0.7 else slots[: rng.randint(7, len(SLOTS))])


def name_someone(scene: Scene | None, taken: list[Person], mix: DialogueMix, rng: random.Random) -> Named:
    """Somebody to be named: a figure of the scene that the description singles out, a look-alike of one, or a stranger."""
    slots = _slots(mix, rng)
    figures = [f for f in scene.figures if f.person not in taken] if scene is not None else []
    if figures and rng.random() < mix.present:
        figure = rng.choice(figures)
        while sum(_fits(f, figure.person, slots) for f in scene.figures) > 1 and len(slots) < len(SLOTS):  # type: ignore[union-attr]
            slots = (*slots, rng.choice([s for s in SLOTS if s not in slots]))
        return Named(figure.person, figure, slots)
    if scene is not None and len(slots) >= 5 and rng.random() < mix.lookalike:
        person = lookalike(rng.choice(scene.figures).person, rng.choice((1, 2, 3, 4, 5)), rng)
    else:
        person = draw_person(rng)
    fitting = [f for f in scene.figures if _fits(f, person, slots)] if scene is not None else []
    if len(fitting) > 1 or any(f.person in taken for f in fitting):
        return name_someone(scene, taken, mix, rng)
    return Named(person, fitting[0] if fitting else None, slots)


def draw_dialogue(
    scene: Scene | None, concepts: int, mix: DialogueMix, rng: random.Random, named: Sequence[Named] = ()
) -> Dialogue:
    """A dialogue of `mix.turns` questions about `scene` (None: text alone) with `concepts` named people.

    `named` gives the people; without it they are drawn. A name that joins late is asked about from its turn on. With no
    names, and a picture, what needs none is asked.
    """
    people = list(named)
    while len(people) < concepts:
        people.append(name_someone(scene, [n.figure.person if n.figure else n.person for n in people], mix, rng))
    joins = [
        rng.randrange(1, mix.turns) if i and mix.turns > 1 and rng.random() < mix.late else 0 for i in range(concepts)
    ]
    people = [Named(p.person, p.figure, p.slots, j) for p, j in zip(people, joins, strict=True)]
    questions: list[Question] = []
    while len(questions) < mix.turns:
        known = {f"n{i}": p for i, p in enumerate(people) if p.joins <= len(questions)}
        question = _draw_question(scene, known, mix, rng)
        if question is not None:
            questions.append(replace(question, text=as_typed(question.text, rng)) if mix.typed else question)
    return Dialogue(tuple(people), tuple(questions), scene)


def _draw_question(
    scene: Scene | None, known: dict[str, Named], mix: DialogueMix, rng: random.Random
) -> Question | None:
    asker = Asker(
        scene,
        {n: p.person for n, p in known.items()},
        rng,
        mix.wordings,
        present={n: p.figure for n, p in known.items()},
    )
    families, weights = zip(*mix.kinds, strict=True)
    family = rng.choices(families, weights)[0]
    if scene is None and family not in ("trait", "manners") and (family not in KINDS or KINDS[family].pictured):
        family = rng.choice(("trait", "trait", "has", "who_has"))
    if not known and family not in _NAMELESS:
        family = rng.choice(("scene", "who", "who_present") if scene is not None else ("manners",))
    x = rng.choice(list(known)) if known else None
    if family == "manners":
        return asker.ask(rng.choices(*zip(*MANNERS.items(), strict=True))[0], x)
    if x is None:
        return asker.ask(rng.choice(kinds_in(family) or (family,)))
    if family == "trait":
        return asker.ask(rng.choice(known[x].slots), x)
    if family == "look":
        return _ask_look(asker, list(known), rng)
    if family == "who_named":
        return asker.ask(rng.choice(kinds_in("who")), x)
    if family == "who":
        return asker.ask(rng.choice(kinds_in("who")), x if rng.random() < 0.5 else None)
    if family == "scene":
        return asker.ask(rng.choice(kinds_in("scene")))
    if kinds := kinds_in(family):
        return asker.ask(rng.choice(kinds), x)
    return _ask_with_second(asker, family, x, known, rng)


def _ask_with_second(
    asker: Asker, kind: str, x: str, known: dict[str, Named], rng: random.Random
) -> Question | None:
    """A question of a kind that is its own family, with what it needs beside x: one of x's slots, a second name, nothing."""
    if not KINDS[kind].second:
        return asker.ask(kind, x)
    slots = [s for s in known[x].slots if TRAIT_VERB[s] == "has"]
    choices = slots if KINDS[kind].second == "slot" else [n for n in known if n != x]
    return asker.ask(kind, x, rng.choice(choices)) if choices else None


def _ask_look(asker: Asker, names: list[str], rng: random.Random) -> Question | None:
    """A question about something to be looked at closely on somebody: hat, glasses, expression."""
    asked = [(kind, x) for x in names for kind in kinds_in("look")]

    def weight(kind: str, x: str) -> int:
        figure, visible = asker.present[x], visible_of(kind)
        return WORN if figure is not None and visible.bare is not None and visible.tell(figure) != visible.bare else 1

    kind, x = rng.choices(asked, [weight(*a) for a in asked])[0]
    return asker.ask(kind, x)
