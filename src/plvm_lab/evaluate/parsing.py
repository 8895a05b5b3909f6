"""Free text -> what was answered. An answer that cannot be read is None: it counts as wrong, and is counted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from plvm_lab.evaluate.items import Line

NOBODY = "unknown"
_UNKNOWN = re.compile(r"\b(some(one|body) i do(n't| not) know|i do(n't| not) know|stranger)\b", re.IGNORECASE)


def who_is_named(text: str, names: Sequence[str]) -> str | None:
    """The first of `names` that stands as `<name>` in the text; "unknown" where the text first says that it knows
    nobody."""
    places = {name: text.find(f"<{name}>") for name in names if f"<{name}>" in text}
    unknown = _UNKNOWN.search(text)
    if unknown:
        places[NOBODY] = unknown.start()
    return min(places, key=lambda name: places[name]) if places else None


def names_said(text: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that stand as `<name>` anywhere in the text."""
    return [name for name in names if f"<{name}>" in text]


def yes_or_no(text: str) -> bool | None:
    """Whether an answer begins with Yes or No."""
    word = re.match(r"\s*(yes|no)\b", text, re.IGNORECASE)
    return None if word is None else word[1].lower() == "yes"


def is_right(line: Line, text: str) -> bool | None:
    """Whether `text` answers a script's question as it should: the true statement is in it and no other one of its
    kind."""
    if line.kind == "recognize":
        said = yes_or_no(text)
        return None if said is None else said == yes_or_no(line.answer)
    true = next((o for o in line.options if line.answer.startswith(o.rstrip("."))), line.answer)
    said_options = [o for o in line.options or (true,) if _statement(o).lower() in text.lower()]
    if not said_options and not re.match(r"\s*<", text):
        return None
    return said_options == [true]


def _statement(option: str) -> str:
    """An option without its subject and full stop: "is on the left"."""
    return re.sub(r"^<[^>]*> ", "", option).rstrip(".")
