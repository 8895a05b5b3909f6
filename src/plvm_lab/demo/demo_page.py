"""The demo as one HTML page that needs nothing but itself: pictures are inside it, nothing is fetched."""

from __future__ import annotations

import base64
import html
import io
import re
from typing import TYPE_CHECKING

from PIL import Image

from plvm_lab.demo.cards import ACCENTS, Bubble, Card

if TYPE_CHECKING:
    from plvm_lab.demo.events import Recognized, Show

STYLE = """
:root { --ink: #2b2a33; --pale: #7d7987; --paper: #f7f4ee; --line: #e6e0d5; --right: #2f9e63; --wrong: #d64545; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 48px 24px 80px; }
h1 { font-size: 40px; line-height: 1.15; margin: 0 0 8px; letter-spacing: -0.02em; }
h2 { font-size: 24px; margin: 56px 0 16px; letter-spacing: -0.01em; }
p.lead { font-size: 20px; color: var(--pale); margin: 0 0 28px; max-width: 42em; }
.people { display: flex; flex-wrap: wrap; gap: 24px; }
figure { margin: 0; text-align: center; }
figure img { width: 132px; height: 132px; border-radius: 50%; border: 4px solid; object-fit: cover; display: block; }
figcaption { font-weight: 600; margin-top: 6px; }
figcaption small { display: block; font-weight: 400; color: var(--pale); }
.talk { display: grid; grid-template-columns: minmax(0, 460px) minmax(0, 1fr); gap: 36px; align-items: start; }
.talk > img { width: 100%; border-radius: 22px; display: block; box-shadow: 0 8px 30px rgb(60 50 30 / 0.12); }
.talk.words { grid-template-columns: minmax(0, 1fr); max-width: 640px; }
.said { display: flex; flex-direction: column; gap: 8px; }
.bubble { padding: 9px 17px; border-radius: 18px; max-width: 88%; }
.asked { align-self: flex-end; background: #e3ecfb; border-bottom-right-radius: 5px; }
.answer { align-self: flex-start; display: flex; gap: 10px; align-items: center; max-width: 100%; }
.answer .bubble { background: white; border: 1px solid var(--line); border-bottom-left-radius: 5px; max-width: none; }
.note { color: var(--pale); font-size: 14px; margin: -4px 0 8px 18px; }
.answer small { color: var(--pale); white-space: nowrap; }
.joins { text-align: center; color: var(--pale); margin: 6px 0 10px; }
b.name { font-weight: 600; }
.mark { flex: none; width: 24px; height: 24px; border-radius: 50%; color: white; font-size: 14px; line-height: 24px;
  text-align: center; }
.mark.right { background: var(--right); } .mark.wrong { background: var(--wrong); }
table { border-collapse: separate; border-spacing: 6px; }
td, th { padding: 8px 16px; border-radius: 12px; text-align: center; }
th { font-weight: 600; } td.p { font-variant-numeric: tabular-nums; }
td img { width: 120px; border-radius: 12px; display: block; }
footer { margin-top: 64px; color: var(--pale); font-size: 15px; border-top: 1px solid var(--line); padding-top: 20px; }
@media (max-width: 760px) { .talk { grid-template-columns: minmax(0, 1fr); } }
"""


def page(show: Show) -> str:
    """The whole page."""
    right = sum(done.right for done in show.answered)
    asked = len(show.answered)
    answer_ms = sorted(1000 * done.answer.seconds for done in show.answered)[asked // 2]
    enrol_ms = sorted(1000 * done.seconds for done in show.enrolled)[len(show.enrolled) // 2]
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>plvm: one picture and a name</title><style>{STYLE}</style></head>
<body><main>
<h1>One picture and a name</h1>
<p class="lead">A small frozen vision-language model has met these people in one picture each. Nothing was trained for
them: enrolling took {enrol_ms:.0f} ms, an answer {answer_ms:.0f} ms (medians).</p>
<section class="people">{"".join(_person(show, done.name, done.seconds) for done in show.enrolled)}</section>
{"".join(_talk(show, card) for card in show.cards.values())}
{_recognition(show, show.recognized) if show.recognized is not None else ""}
<footer>{right} of {asked} answers are true. The pictures are drawn by a program that knows exactly what they show: a
tick or a cross compares an answer with that truth, and nothing was left out. Other people than these were drawn to
train the model.</footer>
</main></body></html>
"""


def _person(show: Show, name: str, seconds: float) -> str:
    picture, border = _embedded(show.pictures[name], 264), f"border-color:{_color(show, name)}"
    return (
        f'<figure><img src="{picture}" alt="{name}" style="{border}">'
        f"<figcaption>{_text(show, f'<{name}>')}<small>{1000 * seconds:.0f} ms</small></figcaption></figure>"
    )


def _talk(show: Show, card: Card) -> str:
    picture = "" if card.picture is None else f'<img src="{_embedded(card.picture)}" alt="">'
    kind = "talk" if picture else "talk words"
    said = "\n".join(_bubble(show, bubble) for bubble in card.bubbles)
    return (
        f'<h2>{html.escape(card.title)}</h2><section class="{kind}">{picture}<div class="said">{said}</div></section>'
    )


def _bubble(show: Show, bubble: Bubble) -> str:
    text = _text(show, bubble.text)
    if bubble.joins:
        return f'<div class="joins">{text}</div>'
    if bubble.asked:
        return f'<div class="bubble asked">{text}</div>'
    time = "" if bubble.seconds is None else f"<small>{1000 * bubble.seconds:.0f} ms</small>"
    note = f'<div class="note">The truth: {_text(show, bubble.truth)}</div>' if bubble.right is False else ""
    return f'<div class="answer"><div class="bubble">{text}</div>{_mark(bubble.right)}{time}</div>{note}'


def _recognition(show: Show, found: Recognized) -> str:
    head = "".join(f"<th>{_text(show, f'<{name}>')}</th>" for name in found.names)
    rows = []
    for key, chances, present in zip(found.pictures, found.chances, found.present, strict=True):
        cells = "".join(_chance(p, there) for p, there in zip(chances, present, strict=True))
        rows.append(f'<tr><td><img src="{_embedded(show.pictures[key], 240)}" alt="{key}"></td>{cells}</tr>')
    total = len(found.names) * len(found.pictures)
    return f"""<h2>Who is in which picture?</h2>
<p>The probability that the model gives to each person being there; {found.right} of {total} decisions are right.
All {total} took {1000 * found.seconds:.0f} ms.</p>
<table><tr><th></th>{head}</tr>{"".join(rows)}</table>"""


def _chance(p: float, there: bool) -> str:
    right = (p > 0.5) == there
    shade = f"rgb(47 158 99 / {0.08 + 0.4 * p:.2f})"
    return f'<td class="p" style="background:{shade}">{p:.3f} {_mark(right)}</td>'


def _mark(right: bool | None) -> str:
    if right is None:
        return ""
    return f'<span class="mark {"right" if right else "wrong"}">{"&#10003;" if right else "&#10007;"}</span>'


def _color(show: Show, name: str) -> str:
    names = list(show.concepts)
    return ACCENTS[names.index(name) % len(ACCENTS)] if name in names else "inherit"


def _text(show: Show, text: str) -> str:
    """Escaped text in which every known `<name>` has its colour."""

    def coloured(match: re.Match[str]) -> str:
        name = html.unescape(match[1])
        if name not in show.concepts:
            return match[0]
        return f'<b class="name" style="color:{_color(show, name)}">{match[0]}</b>'

    return re.sub(r"&lt;([\w-]+)&gt;", coloured, html.escape(text))


def _embedded(picture: Image.Image, side: int | None = None) -> str:
    small = picture.copy()
    if side is not None:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
