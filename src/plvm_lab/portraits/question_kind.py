"""Kinds of questions: what one is, and the register of all. `questions.py` fills it with those of the portraits world; a
new kind is registered there, or by whoever adds one from outside, and worded in `sentences.py`.

Dialogues draw a kind by its family, the benchmark asks about it by its `Visible`. Kinds of a family are drawn in the order
in which they were registered.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from plvm.errors import RequestError
from plvm_lab.portraits.scene import Figure


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


Ask = Callable[..., Question | None]  # (situation, x, y): None where the question makes no sense


@dataclass(frozen=True)
class Visible:
    """Something that a picture shows of a figure, in words that follow its name: "is waving".

    `tell` says it of a figure. `values` gives what else might have been said (the true one may be among them); None: only
    what is true of others in the picture. `bare` is how it is said that the thing is not there, None where it always is.
    """

    tell: Callable[[Figure], str]
    values: Callable[[Figure | None, random.Random], list[str]] | None = None
    bare: str | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of question. `families` are those of `DialogueMix` in which it is drawn; without one it is its own family.
    `second` is what stands at y: nothing, a second name, or the slot of a trait. `pictured`: it needs a picture."""

    name: str
    ask: Ask
    families: tuple[str, ...] = ()
    second: Literal["", "name", "slot"] = ""
    pictured: bool = True
    visible: Visible | None = None


KINDS: dict[str, Kind] = {}


def kind(
    name: str, *families: str, second: Literal["", "name", "slot"] = "", pictured: bool = True,
    visible: Visible | None = None,
) -> Callable[[Ask], Ask]:  # fmt: skip
    """Register the function below as a kind of question (`Kind` says what the parameters mean)."""

    def register(ask: Ask) -> Ask:
        KINDS[name] = Kind(name, ask, families, second, pictured, visible)
        return ask

    return register


def kinds_in(family: str) -> tuple[str, ...]:
    """The kinds that dialogues draw from in a family, in the order of their registration."""
    return tuple(k.name for k in KINDS.values() if family in k.families)


def visible_of(name: str) -> Visible:
    """What the kind called `name` asks to see. Raises RequestError where it asks about nothing visible."""
    found = KINDS[name].visible if name in KINDS else None
    if found is None:
        known = [k.name for k in KINDS.values() if k.visible is not None]
        raise RequestError(f'"{name[:40]}" asks about nothing visible.', f"Use some of: {', '.join(known)}.")
    return found
