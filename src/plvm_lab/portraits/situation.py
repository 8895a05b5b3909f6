"""What a question is asked in: a scene, who has a name in the request, and which figure each name fits. Kinds of questions
(`questions.py`) read the truth from here."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from plvm_lab.portraits.person import Person
from plvm_lab.portraits.scene import Figure, Scene
from plvm_lab.portraits.sentences import TRAIN, UNKNOWN


class Situation:
    """A scene (None: text alone) and the people who have names in the request.

    `named` maps the names to their people; `present` maps a name to the figure it fits, by default that of the very person;
    `wordings` says how each kind of question may be worded, and `TRAIN` does where it is silent; `rng` draws.
    """

    def __init__(
        self,
        scene: Scene | None,
        named: Mapping[str, Person],
        rng: random.Random,
        wordings: Mapping[str, Sequence[str]] = TRAIN,
        present: Mapping[str, Figure | None] | None = None,
    ) -> None:
        self.scene = scene
        self.named = dict(named)
        self.rng = rng
        self.wordings = wordings
        self.present = (
            dict(present) if present is not None else {n: scene.find(p) if scene else None for n, p in named.items()}
        )

    @property
    def shown(self) -> Scene:
        """The scene, for kinds that are about a picture."""
        assert self.scene is not None, "this kind of question needs a picture"
        return self.scene

    def worded(self, kind: str, **parts: str | None) -> str:
        """One wording of a kind, drawn; `parts` fill its places."""
        choices = self.wordings.get(kind) or TRAIN[kind]
        return self.rng.choice(list(choices)).format(**parts)

    def name_of(self, figure: Figure) -> str:
        """How a figure is called: by its name if it has one here."""
        return next((f"<{n}>" for n, f in self.present.items() if f == figure), UNKNOWN)

    def candidates(self, true: str) -> tuple[str, ...]:
        """Everybody who might be meant, the true one first, the unknown one last."""
        return tuple(dict.fromkeys([true, *(f"<{n}>" for n in self.named), UNKNOWN]))

    def neighbours(self, figure: Figure) -> list[Figure]:
        """Who stands next to a figure, from left to right."""
        figures = self.shown.figures
        i = figures.index(figure)
        return [figures[j] for j in (i - 1, i + 1) if 0 <= j < len(figures)]

    def figure_of(self, x: str | None) -> Figure:
        """The figure of the person called `x`; any figure, drawn, where nobody is meant or the person is not there."""
        figure = self.present.get(x) if x is not None else None
        return figure if figure is not None else self.rng.choice(self.shown.figures)
