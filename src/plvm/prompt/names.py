"""The `<name>`s in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence


def split_names(text: str, names: Sequence[str]) -> list[tuple[str, int]]:
    """Cut `text` at the `<name>`s it mentions: (piece, -1) for text, ("", i) for concept number i.

    The one blank before a name belongs to the name. `<other>` stays text.
    """
    if not names:
        return [(text, -1)] if text else []
    parts = re.split(" ?<(" + "|".join(re.escape(n) for n in names) + ")>", text)
    pieces: list[tuple[str, int]] = []
    for i, part in enumerate(parts):
        if i % 2:
            pieces.append(("", list(names).index(part)))
        elif part:
            pieces.append((part, -1))
    return pieces


def mentioned(text: str) -> list[str]:
    """Every `name` that stands as `<name>` in `text`, in order, once."""
    return list(dict.fromkeys(re.findall(r"<([^<>\s]{1,64})>", text)))
