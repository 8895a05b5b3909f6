"""The generator "portraits": drawn people in drawn scenes, each scene told by a prompt of the paper's template.

Its people are streams of their own: nobody here is a person of the benchmark or of the mini family's training.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from plvm.portraits import scene as S
from plvm.portraits.draw import draw
from plvm.portraits.person import SLOTS, Person, person_of
from plvm.portraits.questions import clothes_of
from plvm.portraits.scene import Scene, draw_portrait, draw_scene
from plvm.synth.generator import REFERENCE, Failure, Sample
from plvm.synth.spec import Identity, Spec


def prompt_of(scene: Scene) -> str:
    """A scene with one person in the words of the template: "A person wearing a red hoodie is waving at the beach,
    during the day."."""
    figure = scene.figures[0]
    doing = S.ACTIVITIES[figure.look.activity]
    return f"A person wearing {clothes_of(figure)} is {doing} {S.PLACES[scene.place]}, {S.LIGHTS[scene.light]}."


def truth_of(scene: Scene) -> dict[str, object]:
    """What is known of a scene with one person: the place, the light, the look and, under "traits", who it is."""
    figure = scene.figures[0]
    look = figure.look
    return {
        "place": scene.place, "light": scene.light, "activity": look.activity, "clothes": look.clothes,
        "color": look.color, "expression": look.expression, "hat": look.hat, "glasses": look.glasses,
        "x": figure.x, "y": figure.y, "scale": figure.scale,
        "traits": dict(zip(SLOTS, figure.person.traits, strict=True)),
    }  # fmt: skip


class PortraitsGenerator:
    """Draws identities "p000000", "p000001", ...; all of it follows from the spec's seed."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def keys(self) -> Sequence[str]:
        return [f"p{i:06}" for i in range(self.spec.identities)]

    def person(self, key: str) -> Person:
        """Who stands behind a key."""
        return person_of("synth", int(key[1:]), self.spec.seed)

    def scenes(self, identity: Identity) -> list[Scene]:
        """The reference scene, then the others."""
        person = self.person(identity.key)
        rng = random.Random(f"plvm-synth/{self.spec.seed}/{identity.key}")
        return [draw_portrait(person, rng), *(draw_scene([person], rng) for _ in range(self.spec.per_identity))]

    def make(self, identity: Identity) -> tuple[list[Sample], list[Failure]]:
        samples = []
        for i, scene in enumerate(self.scenes(identity)):
            name, prompt = (str(i - 1), prompt_of(scene)) if i else (REFERENCE, "")
            samples.append(Sample(name, draw(scene, self.spec.size), prompt, truth_of(scene)))
        return samples, []

    def describe(self) -> Mapping[str, str]:
        return {"generator": "portraits: people and places drawn by plvm"}
