"""People, clothes and numbers in English: the pieces that questions, answers and prompts are put together from."""

from __future__ import annotations

from collections.abc import Sequence

from plvm_lab.portraits import scene as S
from plvm_lab.portraits.person import SLOTS, Person
from plvm_lab.portraits.scene import Figure

NUMBERS = {1: "one person", 2: "two people", 3: "three people", 4: "four people"}
TRAIT_VERB = {slot: "is" if slot in ("gender", "age") else "has" for slot in SLOTS}


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


def ordered(slots: Sequence[str]) -> list[str]:
    """`slots` in the usual order of a description."""
    return [s for s in SLOTS if s in slots]


def next_to(x: str, names: Sequence[str]) -> str:
    """The answer that these are next to `x`: "<a> and someone I do not know are next to <x>."."""
    return capital(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} next to {x}.")
