"""The generator "portraits": drawn people in drawn scenes, each scene told by a prompt of the paper's template.

Its people are streams of their own: nobody here is a person of the benchmark or of the mini family's training. With the
option "people" some of them are friends: they are pictured together, and each has a reference.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plvm.data.shards import REFERENCE
from plvm.data.spec import Identity, Spec
from plvm.errors import RequestError
from plvm_lab.portraits import scene as S
from plvm_lab.portraits.person import SLOTS, Person, person_of
from plvm_lab.portraits.phrases import clothes_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import Figure, Scene, draw_portrait, draw_scene
from plvm_lab.synth.generator import Failure, Generator, Sample


@dataclass(frozen=True)
class Group:
    """One person, or a few who are pictured together: a reference scene of each by key, and the scenes with all of
    them."""

    references: Mapping[str, Scene]
    scenes: Sequence[Scene]

    def samples(self, size: int, reference_size: int) -> list[Sample]:
        """Everything drawn, references first; sizes in pixels a side."""
        who = {scene.figures[0].person: key for key, scene in self.references.items()}
        samples = [
            Sample(REFERENCE, (key,), draw(scene, reference_size), "", truth_of(scene))
            for key, scene in self.references.items()
        ]
        for i, scene in enumerate(self.scenes):
            people = tuple(who[f.person] for f in scene.figures)
            samples.append(Sample(str(i), people, draw(scene, size), prompt_of(scene), truth_of(scene)))
        return samples


def prompt_of(scene: Scene) -> str:
    """A scene in the words of the template: "A person wearing a red hoodie is waving at the beach, during the day."."""
    people = (f"a person wearing {clothes_of(f)} is {S.ACTIVITIES[f.look.activity]}" for f in scene.figures)
    return f"{' and '.join(people).capitalize()} {S.PLACES[scene.place]}, {S.LIGHTS[scene.light]}."


def truth_of(scene: Scene) -> dict[str, object]:
    """What is known of a scene: the place, the light and, from left to right, the people."""
    return {"place": scene.place, "light": scene.light, "people": [_truth_of_figure(f) for f in scene.figures]}


def _truth_of_figure(figure: Figure) -> dict[str, object]:
    look = figure.look
    return {
        "activity": look.activity, "clothes": look.clothes, "color": look.color, "expression": look.expression,
        "hat": look.hat, "glasses": look.glasses, "x": figure.x, "y": figure.y, "scale": figure.scale,
        "traits": dict(zip(SLOTS, figure.person.traits, strict=True)),
    }  # fmt: skip


class PortraitsGenerator(Generator):
    """Draws identities "p000000", "p000001", ...; all of it follows from the spec's seed. The option "people" is [least,
    most] in a picture, within 1 to 4; the last group may be smaller."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        least, most = spec.options.get("people", (1, 1))
        if not 1 <= least <= most <= max(S.POSITIONS):
            raise RequestError(
                f"Pictures of {least} to {most} people cannot be drawn.", "Ask for 1 to 4: --people 1-4."
            )
        if most > 1 and spec.filters:
            raise RequestError(
                "The judge of drawn pictures knows pictures of one person only.",
                "Use --no-filters: a drawn picture shows what it was told to.",
            )
        self._groups = dict(_groups(spec, least, most))

    def keys(self) -> Sequence[str]:
        return list(self._groups)

    def inputs(self) -> Mapping[str, str]:
        return {}

    def person(self, key: str) -> Person:
        """Who stands behind a key."""
        return person_of("synth", int(key[1:]), self.spec.seed)

    def group(self, identity: Identity) -> Group:
        """The scenes of an identity and of whoever is pictured with it."""
        people = {key: self.person(key) for key in self._groups[identity.key]}
        rng = random.Random(f"plvm-synth/{self.spec.seed}/{identity.key}")
        references = {key: draw_portrait(person, rng) for key, person in people.items()}
        return Group(references, [draw_scene(list(people.values()), rng) for _ in range(self.spec.per_identity)])

    def make(self, identity: Identity) -> tuple[list[Sample], list[Failure]]:
        return self.group(identity).samples(self.spec.size, self.spec.size), []

    def describe(self) -> Mapping[str, str]:
        return {"generator": "portraits: people and places drawn by plvm"}


def _groups(spec: Spec, least: int, most: int) -> list[tuple[str, tuple[str, ...]]]:
    """(key of the first, keys of all) of every group of `least` to `most` people."""
    rng, keys = random.Random(f"plvm-groups/{spec.seed}"), [f"p{i:06}" for i in range(spec.identities)]
    groups = []
    while keys:
        count = rng.randint(least, most)
        groups.append((keys[0], tuple(keys[:count])))
        keys = keys[count:]
    return groups
