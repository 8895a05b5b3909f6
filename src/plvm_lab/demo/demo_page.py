"""The demo as one HTML page that needs nothing but itself: pictures are inside it, nothing is fetched."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median_high
from typing import Any

from markupsafe import Markup, escape

from plvm_lab.demo.cards import ACCENTS
from plvm_lab.demo.events import Recognized, Show
from plvm_lab.report.pages import render

TEMPLATES = Path(__file__).parent / "templates"


def demo_page(show: Show) -> str:
    """The whole page about a demo that has run."""
    names = list(show.concepts)
    return render(
        "demo.html.j2", TEMPLATES,
        right=sum(done.right for done in show.answered),
        asked=len(show.answered),
        answer_ms=median_high(1000 * done.answer.seconds for done in show.answered),
        enrol_ms=median_high(1000 * done.seconds for done in show.enrolled),
        people=[
            {"name": done.name, "ms": 1000 * done.seconds, "picture": show.pictures[done.name],
             "color": color_of(done.name, names)}
            for done in show.enrolled
        ],
        talks=list(show.cards.values()),
        found=show.recognized and _recognition(show, show.recognized),
        coloured=lambda text: coloured(text, names),
    )  # fmt: skip


def _recognition(show: Show, found: Recognized) -> dict[str, Any]:
    rows = zip(found.pictures, found.chances, found.present, strict=True)
    return {
        "names": found.names, "right": found.right, "total": len(found.names) * len(found.pictures),
        "ms": 1000 * found.seconds,
        "rows": [
            {"picture": show.pictures[key], "name": key, "cells": [
                {"p": p, "right": (p > 0.5) == there, "shade": f"{0.08 + 0.4 * p:.2f}"}
                for p, there in zip(chances, present, strict=True)
            ]}
            for key, chances, present in rows
        ],
    }  # fmt: skip


def color_of(name: str, names: list[str]) -> str:
    """The colour of a name; names that are nobody's have the text's."""
    return ACCENTS[names.index(name) % len(ACCENTS)] if name in names else "inherit"


def coloured(text: str, names: list[str]) -> Markup:
    """Escaped text in which every known `<name>` has its colour."""

    def mark(match: re.Match[str]) -> str:
        if match[1] not in names:
            return match[0]
        return f'<b class="name" style="color:{color_of(match[1], names)}">{match[0]}</b>'

    return Markup(re.sub(r"&lt;([\w-]+)&gt;", mark, str(escape(text))))
