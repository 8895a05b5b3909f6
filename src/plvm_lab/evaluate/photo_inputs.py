"""Whether an answer about a photograph is of the kind that was asked for, and right: ordinary wordings, about a row of people.

A `PhotoInput` is a line of a list of such texts; a `Row` is who stands where in the photograph, who has a name, and what `{x}`
and `{p}` mean. An answer is judged by what it says, as `research/photo_inputs/README.md` has it.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plvm.errors import RequestError
from plvm.model.photo.face_places import places_of
from plvm_lab.evaluate.face_parts import ABSENT, number_said, place_said
from plvm_lab.evaluate.parsing import NOBODY, names_said, who_is_named, yes_or_no
from plvm_lab.portraits.everyday import LIMITS

OUTSIDE = "outside"
KINDS = ("presence", "where", "who_at", "count", "known", "beside", "caption", OUTSIDE)


@dataclass(frozen=True)
class PhotoInput:
    """One line of the list; `half` is "development" or "sealed"."""

    id: str
    half: str
    kind: str
    text: str


def read_photo_inputs(path: Path) -> list[PhotoInput]:
    """The list in a JSON Lines file. Raises RequestError where a line is of no known kind."""
    found = [PhotoInput(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if wrong := [i.id for i in found if i.kind not in KINDS]:
        raise RequestError(f"{path} has inputs of no known kind: {', '.join(wrong[:5])}.", f"Kinds: {', '.join(KINDS)}.")
    return found


@dataclass(frozen=True)
class Row:
    """`who` stands in a photograph, from left to right (None is a stranger); the `known` names, of which some may not be there;
    the name `x`; and the number of the place `p`."""

    who: tuple[str | None, ...]
    known: tuple[str, ...]
    x: str
    p: int

    @classmethod
    def draw(cls, rng: random.Random, kind: str, known: tuple[str, str]) -> Row:
        """One to four people. Of two who are known, none, one or both are there; where it is asked who is beside somebody, that
        one is."""
        count, x = rng.randint(1, 4), rng.choice(known)
        there = [name for name in known if rng.random() < 0.5 or (kind == "beside" and name == x)]
        rng.shuffle(there)
        who: list[str | None] = [*there[:count], *[None] * (count - len(there))]
        if kind == "beside" and x not in who:
            who[0] = x
        rng.shuffle(who)
        return cls(tuple(who), known, x, rng.randrange(count))

    @property
    def places(self) -> tuple[str, ...]:
        """Where everybody is, in words."""
        return places_of(len(self.who))

    @property
    def present(self) -> set[str]:
        """The names of those who are there."""
        return {name for name in self.who if name is not None}

    def typed(self, text: str, brackets: bool) -> str:
        """A text with the name at `{x}`, `<billie>` or Billie, and the place at `{p}`."""
        return text.replace("{x}", f"<{self.x}>" if brackets else self.x.capitalize()).replace("{p}", self.places[self.p])


@dataclass(frozen=True)
class Judged:
    """Of an answer: whether it refuses, whether it is of the kind that was asked for, and whether what it says is right."""

    refused: bool
    fits: bool
    right: bool


def judged(kind: str, row: Row, answer: str) -> Judged:
    """What an answer to a question of `kind` about a row is worth; one of no known kind is wrong."""
    refused = answer.strip().lower() == LIMITS.lower()
    if kind == OUTSIDE or refused:
        return Judged(refused, refused == (kind == OUTSIDE), refused and kind == OUTSIDE)
    fits, right = _JUDGES[kind](row, answer)
    return Judged(False, fits, fits and right)


# ---- (whether an answer is of a kind, whether what it says is right)

_ALONE = re.compile(r"\b(alone|nobody|no one)\b", re.IGNORECASE)


def _presence(row: Row, answer: str) -> tuple[bool, bool]:
    said = yes_or_no(answer)
    return said is not None, said == (row.x in row.present)


def _where(row: Row, answer: str) -> tuple[bool, bool]:
    said = place_said(answer)
    fits = said is not None and names_said(answer, row.known) == [row.x]
    return fits, said == (row.places[row.who.index(row.x)] if row.x in row.who else ABSENT)


def _who_at(row: Row, answer: str) -> tuple[bool, bool]:
    said, named = who_is_named(answer, row.known), names_said(answer, row.known)
    return said is not None and len(named) < 2, said == (row.who[row.p] or NOBODY)


def _count(row: Row, answer: str) -> tuple[bool, bool]:
    said = number_said(answer)
    return said is not None, said == len(row.who)


def _known(row: Row, answer: str) -> tuple[bool, bool]:
    """Both how many there are and whom of them it knows, or that it knows nobody."""
    said = number_said(answer)
    fits = said is not None and who_is_named(answer, row.known) is not None
    return fits, said == len(row.who) and set(names_said(answer, row.known)) == row.present


def _beside(row: Row, answer: str) -> tuple[bool, bool]:
    at = row.who.index(row.x)
    near = [row.who[i] for i in (at - 1, at + 1) if 0 <= i < len(row.who)]
    named, strange = set(names_said(answer, row.known)) - {row.x}, who_is_named(answer, ()) == NOBODY
    alone = _ALONE.search(answer) is not None
    fits = bool(named) or strange or alone
    return fits, named == set(near) - {None} and strange == (None in near) and alone == (not near)


def _caption(row: Row, answer: str) -> tuple[bool, bool]:
    """It tells of people, each with a place, or how many there are; and names exactly those who are known."""
    fits = yes_or_no(answer) is None and (place_said(answer) not in (None, ABSENT) or number_said(answer) is not None)
    return fits, set(names_said(answer, row.known)) == row.present


_JUDGES: dict[str, Callable[[Row, str], tuple[bool, bool]]] = {
    "presence": _presence, "where": _where, "who_at": _who_at, "count": _count, "known": _known, "beside": _beside,
    "caption": _caption,
}  # fmt: skip
