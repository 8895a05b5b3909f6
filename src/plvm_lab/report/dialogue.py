"""One dialogue with several systems, side by side on one HTML page: who joins, what is asked, what each answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from plvm_lab.evaluate.result_table import lasting
from plvm_lab.report.pages import render


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
    return render(
        "dialogue.html.j2",
        picture=dialogue.picture,
        learned=", ".join(f"{name} {lasting(said[0].enroll_seconds)}" for name, said in dialogue.answers.items() if said),
        systems=list(dialogue.answers),
        turns=[_turn(dialogue, said) for said in zip(*dialogue.answers.values(), strict=True)],
    )


def _turn(dialogue: Dialogue, said: Sequence[Exchange]) -> dict[str, Any]:
    first = said[0]
    return {
        "picture": dialogue.references[first.joins], "joins": first.joins, "question": first.question, "truth": first.truth,
        "answers": said,
    }  # fmt: skip
