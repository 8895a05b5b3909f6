"""Manners: captions, greetings, what the model says of itself, plain refusals: the kinds of the family "manners"."""

from __future__ import annotations

from plvm_lab.portraits import scene as S
from plvm_lab.portraits.everyday import ABILITIES, LIMITS, about_itself, described, greeting
from plvm_lab.portraits.outside import draw_outside
from plvm_lab.portraits.phrases import NUMBERS, capital, clothes_of
from plvm_lab.portraits.question_kind import Question, kind
from plvm_lab.portraits.scene import Figure, Scene
from plvm_lab.portraits.sentences import UNKNOWN
from plvm_lab.portraits.situation import Situation

NO_PICTURE = "I see no picture."


def caption(scene: Scene, called: list[str]) -> str:
    """What the picture shows: how many people and where, then each of them from left to right; `called` is how each is called,
    `UNKNOWN` for somebody without a name, who is then a woman or a man."""
    said = [f"{capital(NUMBERS[len(scene.figures)])} {S.PLACES[scene.place]}, {S.LIGHTS[scene.light]}."]
    for figure, name in zip(scene.figures, called, strict=True):
        who = figure.person.phrase("gender") if name == UNKNOWN else name
        said.append(f"{capital(who)} is {figure.position}, {_shown(figure)}.")
    return " ".join(said)


def _shown(figure: Figure) -> str:
    return f"wearing {clothes_of(figure)} and {S.ACTIVITIES[figure.look.activity]}"


@kind("describe", "manners", pictured=False)
def _describe(now: Situation, *_: str | None) -> Question:
    text = described(now.rng)
    answer = NO_PICTURE if now.scene is None else caption(now.scene, [now.name_of(f) for f in now.scene.figures])
    return Question("describe", text, answer)


@kind("greet", "manners", pictured=False)
def _greet(now: Situation, *_: str | None) -> Question:
    text, answer = greeting(now.rng)
    return Question("greet", text, answer)


@kind("about_itself", "manners", pictured=False)
def _about_itself(now: Situation, *_: str | None) -> Question:
    return Question("about_itself", about_itself(now.rng), ABILITIES)


@kind("outside", "manners", pictured=False)
def _outside(now: Situation, x: str | None, _: str | None) -> Question:
    return Question("outside", draw_outside(now.rng, f"<{x}>" if x is not None else None), LIMITS)
