"""Controls of multiple choice: the same questions with what should matter taken away, or with what should not matter
changed.

    constant          always answering A, or B, or C: what the key alone gives (no system is asked)
    permuted          the options in another order: must change nothing
    no_image          without the picture: visual questions must become guesses
    no_reference      nobody is enrolled, the name is plain text: must become guesses
    other_reference   the name was learned from somebody else's picture: must become guesses or worse

A system that stays above guessing without picture or reference answers from the words, not from what it learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from plvm_lab.evaluate.items import LETTERS, Choice
from plvm_lab.evaluate.metrics import Figure, accuracy
from plvm_lab.evaluate.suite import Suite

ASKED = ("permuted", "no_image", "no_reference", "other_reference")


def permuted(items: Sequence[Choice]) -> list[Choice]:
    """The items with every option one place further on, so that another letter is the key."""
    return [replace(i, options=(i.options[-1], *i.options[:-1]), key=(i.key + 1) % len(i.options)) for i in items]


def without_image(items: Sequence[Choice]) -> list[Choice]:
    """The items without their picture."""
    return [replace(i, picture=None) for i in items]


def without_reference(items: Sequence[Choice]) -> list[Choice]:
    """The items without their concepts: `<name>` is letters."""
    return [replace(i, concepts=()) for i in items]


def with_other_reference(items: Sequence[Choice], bench: Suite, purpose: str) -> list[Choice]:
    """The items with every name learned from the reference picture of somebody else, who is not in the picture."""
    rng = bench.rng(f"other-reference-{purpose}")
    found = []
    for i in items:
        absent = bench.names if i.picture is None else bench.absent(i.picture)
        others = [n for n in absent if n != i.about]
        if others:  # not so in a small benchmark's picture of everyone
            other = rng.choice(others)
            found.append(replace(i, concepts=tuple(f"{name}={other}" for name in i.concepts)))
    return found


def variants(bench: Suite) -> list[tuple[str, str, list[Choice]]]:
    """(part, control, items) of everything that a system is asked for the controls."""
    found = []
    for part, items in (("text_qa", bench.text_qa), ("visual_qa", bench.visual_qa)):
        found.append((part, "permuted", permuted(items)))
        if part == "visual_qa":
            found.append((part, "no_image", without_image(items)))
        found.append((part, "no_reference", without_reference(items)))
        found.append((part, "other_reference", with_other_reference(items, bench, part)))
    return found


def constant(keys: Sequence[int], groups: Sequence[str]) -> dict[str, Figure]:
    """What answering the same letter always would score, by letter."""
    return {
        LETTERS[letter]: accuracy([k == letter for k in keys], groups) for letter in range(max(keys, default=-1) + 1)
    }
