"""Dialogues about a photograph: who and what of those introduced is in it, and where, how many people there are; what lies
outside is refused.

A scene is faces from left to right, windows, and people and things that were introduced; an answer follows from these alone.
`{0}`, `{1}`, ... in a text are the concepts introduced. Whole wordings are held out of the training by a digest of their text.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

import numpy as np

from plvm.model.photo.face_places import COLUMNS, MOST, places_of
from plvm_lab.families.photo import thing_wordings
from plvm_lab.families.photo.code_space import Pool
from plvm_lab.families.photo.outside_wordings import COMBINED
from plvm_lab.families.photo.thing_pool import ThingPool, View
from plvm_lab.portraits import everyday
from plvm_lab.portraits.everyday import (
    EVERYDAY,
    LEARNED,
    LIMITS,
    about_itself,
    as_typed,
    described,
    greeting,
    read_wordings,
)
from plvm_lab.portraits.outside import draw_outside

MOST_FACES, MOST_PEOPLE = MOST, 6
_COUNTS = ("nobody", "one person", "two people", "three people", "four people", "five people", "six people")
_TURNED = re.compile(r"missing|absent|gone|left out")  # to these Yes would mean that somebody is not there
_DEEDS = re.compile(r"doing|happen|takes place")  # what somebody does is not taught
_FACES = (0.03, 0.14, 0.18, 0.22, 0.21, 0.13, 0.09)  # how many are in a photograph
_HELD_OUT = 8  # one wording of so many
_SHORT = 0.25  # of the questions whether somebody is there, those that ask for a short answer
KINDS = {
    "presence": 0.20, "where": 0.10, "who_at": 0.20, "who": 0.07, "beside": 0.13, "count": 0.01, "known": 0.10,
    "caption": 0.04, "outside": 0.13, "manners": 0.02,
}  # fmt: skip
LOOKED = {"who_at": 0.7, "beside": 0.3}  # what head 2 has to look at a certain face for


ABILITIES = "I can tell you which of your people and things are in a photo, where they are, and how many people there are."
_LISTS = {"presence": "recognize", "who_at": "who_position", "who": "who_present"}  # what everyday.txt calls a kind
_OWN = read_wordings(resources.files("plvm_lab.families.photo").joinpath("wordings.txt").read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Scene:
    """`faces [F, 48]` from left to right, for each face who it is (-1: somebody else), `windows [V, 96]` with their columns
    int64[V]; and the concepts introduced: their codes `[C, 144]`, first the numbers of faces, and for each thing among them the
    column it is in (-1: it is not there)."""

    faces: np.ndarray
    concepts: np.ndarray
    who: tuple[int, ...]
    windows: np.ndarray
    columns: np.ndarray
    things: Mapping[int, int] = field(default_factory=dict)

    @property
    def places(self) -> tuple[str, ...]:
        """Where each face is, in words."""
        return places_of(len(self.who))

    @property
    def people(self) -> tuple[int, ...]:
        """Which of the concepts are people."""
        return tuple(number for number in range(len(self.concepts)) if number not in self.things)


def draw_scene(
    pool: Pool, things: ThingPool, rng: np.random.Generator, *, alike: float = 0.15, mixed: float = 0.3, single: float = 0.1
) -> Scene:
    """A scene of people and things of the pools; of those who are not there, and of strangers, a share `alike` are look-alikes:
    the nearest of 48. Every other scene has a thing, which may have been introduced; three in four of these have few faces."""
    view = things.draw_view(rng, empty=rng.random() < 0.5, mixed=mixed)
    few = view.thing is not None and rng.random() < 0.75
    count = int(rng.choice(3, p=(0.6, 0.25, 0.15))) if few else int(rng.choice(MOST_FACES + 1, p=_FACES))
    introduced = int(rng.choice(5, p=(0.04, 0.36, 0.26, 0.2, 0.14)))
    are_things = [c for c in range(introduced) if rng.random() < (0.25 if view.thing is None else 0.6)]
    drawing = {"mixed": mixed, "single": single}
    people = pool.draw(rng, introduced, **drawing) if introduced else np.zeros((0, 2, pool.good[0].shape[1]))
    there = [c for c in range(introduced) if c not in are_things and rng.random() < 0.55][:count]
    who = np.array(there + [-1] * (count - len(there)), dtype=int)
    rng.shuffle(who)
    absent = [c for c in range(introduced) if c not in there]
    faces = np.zeros((count, people.shape[-1]))
    for place, person in enumerate(who):
        faces[place] = people[person, 1] if person >= 0 else _stranger(pool, rng, people[:, 0], alike, drawing)
    for person in absent:
        people[person, 0] = _stranger(pool, rng, faces, alike, drawing)
    found, codes = _introduce(things, view, are_things, rng, alike, mixed)
    concepts = np.concatenate([people[:, 0], np.zeros((introduced, things.width))], 1).astype(np.float32)
    for number, code in codes.items():
        concepts[number] = np.concatenate([np.zeros(people.shape[-1]), code])
    return Scene(faces.astype(np.float32), concepts, tuple(int(w) for w in who), view.windows, view.columns, found)


def _introduce(
    things: ThingPool, view: View, which: list[int], rng: np.random.Generator, alike: float, mixed: float
) -> tuple[dict[int, int], dict[int, np.ndarray]]:
    """Where each of the concepts `which` is (a column, or -1), and its code: one may be the thing in the picture, the others are
    not there."""
    there = which[int(rng.integers(len(which)))] if which and view.thing is not None and rng.random() < 0.6 else -1
    found, codes = {}, {}
    for number in which:
        own = view.thing if number == there else things.draw_other(rng, view, alike=rng.random() < alike, mixed=mixed)
        assert own is not None
        found[number], codes[number] = view.column if number == there else -1, own.reference
    return found, codes


def _stranger(pool: Pool, rng: np.random.Generator, near: np.ndarray, alike: float, drawing: dict[str, float]) -> np.ndarray:
    """Somebody's code; with the chance `alike` the one of 48 that is nearest to one of the codes `near`."""
    if not len(near) or rng.random() >= alike:
        return pool.draw(rng, 1, **drawing)[0, 1]
    some = pool.draw(rng, 48, **drawing)[:, 1]
    return some[(some @ near[rng.integers(len(near))]).argmax()]


def is_held_out(wording: str) -> bool:
    """Whether a wording is kept for validation."""
    return zlib.crc32(wording.encode()) % _HELD_OUT == 0


def wordings(kind: str, held_out: bool) -> tuple[str, ...]:
    """The wordings of a kind, of everyday.txt and our own, that are, or are not, held out."""
    name = _LISTS.get(kind, kind)
    every = [*LEARNED.get(name, ()), *EVERYDAY.get(name, ()), *_OWN.get(kind, ()), *(COMBINED if kind == "outside" else ())]
    return tuple(t for t in dict.fromkeys(every) if is_held_out(t) == held_out and not _TURNED.search(t))


def thing_wordings_of(kind: str, held_out: bool) -> tuple[str, ...]:
    """The wordings in which things are asked for ("presence", "where") that are, or are not, held out."""
    own = {"presence": thing_wordings.PRESENCE, "where": thing_wordings.WHERE}[kind]
    general = wordings(kind, held_out)
    return (*(t for t in own if is_held_out(t) == held_out), *(t for t in general if not thing_wordings.OF_PEOPLE.search(t)))


def ask(scene: Scene, rng: random.Random, kind: str, *, held_out: bool = False) -> tuple[str, str] | None:
    """A question of a kind about the scene, with its answer; None where the scene has no such question."""
    concepts, faces = len(scene.concepts), len(scene.who)
    if kind in ("presence", "where", "beside") and not concepts or kind == "who_at" and not faces:
        return None
    if kind in ("outside", "manners"):
        return _aside(rng, kind, concepts, held_out)
    if kind == "caption":
        text = described(rng)
        while _DEEDS.search(text):
            text = described(rng)
        return as_typed(text, rng), _caption(scene)
    one = _asked_about(scene, rng)
    if kind == "beside" and one not in scene.who:
        return None
    asked = thing_wordings_of(kind, held_out) if one in scene.things and kind in ("presence", "where") else ()
    text = rng.choice(asked or wordings(kind, held_out)).replace("{x}", _name(one))
    text = text.replace("{k}", rng.choice(thing_wordings.KINDS))
    place = _place_asked_about(scene, rng) if faces else 0
    text = text.replace("{p}", scene.places[place] if faces else "")
    text = text if text[-1] in ".?!" else text[0].upper() + text[1:] + "?"
    if kind == "presence" and rng.random() < _SHORT:
        text += " " + rng.choice(wordings("short", held_out))
    answer = {
        "presence": lambda: _presence(scene, one), "where": lambda: _where(scene, one),
        "who_at": lambda: f"That is {_name(scene.who[place])}.", "who": lambda: _everybody(scene),
        "beside": lambda: _beside(scene, one), "count": lambda: _count(scene), "known": lambda: _everybody(scene),
    }[kind]()  # fmt: skip
    return as_typed(text, rng), answer


def draw_questions(
    scene: Scene, rng: random.Random, count: int, kinds: Mapping[str, float] = KINDS, *, held_out: bool = False
) -> list[tuple[str, str, str]]:
    """`count` questions about the scene, of `kinds` with these shares: (kind, question, answer)."""
    asked: list[tuple[str, str, str]] = []
    while len(asked) < count:
        kind = rng.choices(tuple(kinds), tuple(kinds.values()))[0]
        if (pair := ask(scene, rng, kind, held_out=held_out)) is not None:
            asked.append((kind, *pair))
    return asked


def looked_at(scene: Scene, kind: str, question: str, answer: str) -> list[int]:
    """Of an answer that says who stands somewhere, the number of the face that each name in it, or "someone", is for; the last
    ones where it begins with another. Of other kinds, and where the place was typed too badly to be found, none."""
    if kind == "beside":
        place = scene.who.index(int(answer.split("{", 1)[1].split("}", 1)[0]))
        return [p for p in (place - 1, place + 1) if 0 <= p < len(scene.who)]
    return [p for p, name in enumerate(scene.places) if name in question.lower()] if kind == "who_at" else []


def _aside(rng: random.Random, kind: str, people: int, held_out: bool) -> tuple[str, str]:
    if kind == "outside":
        name = _name(rng.randrange(people)) if people else None
        if rng.random() < 0.25:
            return draw_outside(rng, name), LIMITS
        own = [t for t in wordings(kind, held_out) if name or "{x}" not in t]
        return as_typed(rng.choice(own).replace("{x}", name or ""), rng), LIMITS
    if rng.random() < 0.7:
        text, answer = greeting(rng)
        return text, answer.replace(everyday.ABILITIES, ABILITIES)
    return about_itself(rng), ABILITIES


def _name(person: int) -> str:
    return f"{{{person}}}" if person >= 0 else "someone I do not know"


def _asked_about(scene: Scene, rng: random.Random) -> int:
    """Whom or what to ask about, -1 where nobody was introduced; as often one that is there as one that is not."""
    there = rng.random() < 0.5
    every = range(len(scene.concepts))
    own = [one for one in every if bool(_place(scene, one)) == there] or list(every)
    return rng.choice(own) if own else -1


def _place_asked_about(scene: Scene, rng: random.Random) -> int:
    """The number of a place with a face; as often of somebody known as of a stranger."""
    known = rng.random() < 0.5
    return rng.choice([place for place, who in enumerate(scene.who) if (who >= 0) == known] or range(len(scene.who)))


def _place(scene: Scene, one: int) -> str:
    """Where a concept is, in words; "" where it is not there."""
    if one in scene.things:
        return COLUMNS[scene.things[one]] if scene.things[one] >= 0 else ""
    return scene.places[scene.who.index(one)] if one in scene.who else ""


def _where(scene: Scene, one: int) -> str:
    return f"{_name(one)} is {place}." if (place := _place(scene, one)) else f"{_name(one)} is not in this photo."


def _presence(scene: Scene, one: int) -> str:
    return ("Yes, " if _place(scene, one) else "No, ") + _where(scene, one)


def _beside(scene: Scene, person: int) -> str:
    place = scene.who.index(person)
    near = [_name(scene.who[p]) for p in (place - 1, place + 1) if 0 <= p < len(scene.who)]
    return f"Next to {_name(person)} is {' and '.join(near)}." if near else f"{_name(person)} is alone."


def _count(scene: Scene) -> str:
    return f"There {'is' if len(scene.who) < 2 else 'are'} {_COUNTS[len(scene.who)]}."


def _everybody(scene: Scene) -> str:
    """How many people there are, whom of them it knows, and what thing."""
    return _people(scene) + "".join(f" I also see {_name(one)}." for one, column in scene.things.items() if column >= 0)


def _people(scene: Scene) -> str:
    known = [_name(w) for w in scene.who if w >= 0]
    total, seen = len(scene.who), f"I see {_COUNTS[len(scene.who)]}"
    if not known:
        return f"{seen}." if not total else f"{seen}; I do not know {'them' if total > 1 else 'this person'}."
    if total == 1:
        return f"{seen}: {known[0]}."
    number = _COUNTS[len(known)].split()[0]
    return f"{seen}; I know {'all' if len(known) == total else number} of them: {', '.join(known)}."


def _caption(scene: Scene) -> str:
    parts = [f"{_name(w)} {place}" for w, place in zip(scene.who, scene.places)]
    parts += [f"{_name(one)} {COLUMNS[column]}" for one, column in scene.things.items() if column >= 0]
    return f"This photo shows {', '.join(parts)}." if parts else "I see nobody in this photo."
