"""One dialogue with several systems, side by side on one HTML page: who joins, what is asked, what each answers."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from plvm_lab.report.markdown import lasting
from plvm_lab.report.report_page import STYLE, figure

OWN_STYLE = """
.opening { display: grid; grid-template-columns: 300px 1fr; gap: 32px; align-items: center; margin-bottom: 24px; }
.opening > figure img { width: 300px; height: 300px; border-radius: 14px; }
.turns td, .turns th { text-align: left; white-space: normal; vertical-align: top; min-width: 118px; }
.turns figure { width: 72px; } .turns img { width: 72px; height: 72px; border-radius: 50%; }
.turns td:first-child { min-width: 88px; }
.right::after { content: " \\2713"; color: #2f9e63; font-weight: 700; }
.wrong::after { content: " \\2717"; color: var(--wrong); font-weight: 700; }
@media (max-width: 700px) { .opening { grid-template-columns: 1fr; } }
"""


@dataclass(frozen=True)
class Exchange:
    """A turn: who joins, the question, the system's answer, the true one, whether it is right (None: it could not be
    read), and the seconds that an enrolment took."""

    joins: str
    question: str
    answer: str
    truth: str
    right: bool | None
    enroll_seconds: float


@dataclass(frozen=True, eq=False)
class Dialogue:
    """The picture talked about, the reference pictures by name, and the exchanges of each system."""

    picture: Image.Image
    references: Mapping[str, Image.Image]
    answers: dict[str, list[Exchange]]


def dialogue_page(dialogue: Dialogue) -> str:
    """The whole page; nothing is fetched."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in dialogue.answers)
    rows = "".join(_row(dialogue, i) for i in range(max(map(len, dialogue.answers.values()), default=0)))
    learned = ", ".join(
        f"{html.escape(name)} {lasting(said[0].enroll_seconds)}" for name, said in dialogue.answers.items() if said
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>plvm: four people join a dialogue</title><style>{STYLE}{OWN_STYLE}</style></head>
<body><main>
<header class="opening">{figure(dialogue.picture, "", 300)}
<div><h1>Four people join a dialogue</h1>
<p>Before each turn one more person is enrolled from the picture at its left. One enrolment took: {learned}.</p></div></header>
<div class="scroll"><table class="turns"><thead><tr><th>joins</th><th>question</th><th>truth</th>{head}</tr></thead>
<tbody>{rows}</tbody></table></div>
</main></body></html>
"""


def _row(dialogue: Dialogue, turn: int) -> str:
    first = next(iter(dialogue.answers.values()))[turn]
    answers = "".join(
        f'<td><span class="{"right" if said[turn].right else "wrong"}">{html.escape(said[turn].answer)}</span></td>'
        for said in dialogue.answers.values()
    )
    who = figure(dialogue.references[first.joins], f"&lt;{html.escape(first.joins)}&gt;", 72)
    return f"<tr><td>{who}</td><td>{html.escape(first.question)}</td><td>{html.escape(first.truth)}</td>{answers}</tr>"
