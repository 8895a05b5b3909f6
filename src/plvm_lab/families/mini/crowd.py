"""Drawn people and pictures to calibrate verdicts on: identities and scenes of "val", from streams of their own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PIL import Image

from plvm.personal import Personal
from plvm.presence.calibration import Calibration
from plvm.presence.fit_verdicts import Labelled, Report, fit_verdicts
from plvm.types import Concept
from plvm_lab.portraits.person import Person, person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import Scene, draw_portrait, draw_scene, people_count

QUERY_SIZE, REFERENCE_SIZE = 480, 448
KNOWN = 0.5  # the share of the people in a picture who are enrolled; the others are in no other picture
AT_ONCE = 25  # people enrolled at a time
SIZES = {"full": (1350, 700), "smoke": (80, 120)}  # scale of a build -> people and pictures that verdicts are fitted on
SEED = 61  # of the calibration; a measurement takes others


@dataclass(frozen=True)
class Crowd:
    """`people` identities of `split` and `seed`, and pictures of them: number i is the same one in every crowd of that split and
    seed."""

    people: int
    seed: int
    split: str = "val"

    def person(self, number: int) -> Person:
        """Identity `number`."""
        return person_of(f"{self.split}-crowd", number, self.seed)

    def name(self, number: int) -> str:
        """What identity `number` is called."""
        return f"p{number}"

    def enrolled(self, vlm: Personal, first: int = 0, last: int | None = None, report: Report | None = None) -> list[Concept]:
        """Concepts of the identities from `first` up to `last`, each from one drawn portrait."""
        last, found = self.people if last is None else last, []
        for start in range(first, last, AT_ONCE):
            numbers = range(start, min(last, start + AT_ONCE))
            tokens = vlm.tokens_of([[self._portrait(i)] for i in numbers])
            found += [Concept(self.name(i), t, vlm.fingerprint) for i, t in zip(numbers, tokens, strict=True)]
            if report is not None:
                report("people enrolled", len(found), last - first)
        return found

    def _portrait(self, number: int) -> Image.Image:
        rng = random.Random(f"plvm-crowd/portrait/{self.split}/{self.seed}/{number}")
        return draw(draw_portrait(self.person(number), rng), REFERENCE_SIZE)

    def scene(self, number: int, first: int = 0, last: int | None = None) -> tuple[Scene, list[int]]:
        """Scene `number`, and who is in it of the identities from `first` up to `last`."""
        rng = random.Random(f"plvm-crowd/scene/{self.split}/{self.seed}/{number}")
        numbers: list[int] = []
        faces = []
        for i in range(people_count(rng)):
            known = rng.randrange(first, self.people if last is None else last)
            if rng.random() < KNOWN and known not in numbers:
                numbers.append(known)
                faces.append(self.person(known))
            else:
                faces.append(person_of(f"{self.split}-crowd-stranger", 4 * number + i, self.seed))
        return draw_scene(faces, rng), numbers


def labelled(crowd: Crowd, pictures: int) -> list[Labelled]:
    """Pictures of a crowd, the first half of them of the first half of its people, the second of the second."""
    found = []
    middle = crowd.people // 2
    for number in range(pictures):
        first, last = (0, middle) if number < pictures // 2 else (middle, crowd.people)
        scene, present = crowd.scene(number, first, last)
        show: Callable[[], Image.Image] = partial(draw, scene, QUERY_SIZE)
        found.append(Labelled(show, tuple(crowd.name(i) for i in present)))
    return found


def calibrate(
    vlm: Personal, *, people: int = SIZES["full"][0], pictures: int = SIZES["full"][1], seed: int = SEED,
    report: Report | None = None,
) -> Calibration:  # fmt: skip
    """The calibration of a model for drawn people: about three minutes on a core with these numbers."""
    crowd = Crowd(people, seed)
    return fit_verdicts(vlm.engine, crowd.enrolled(vlm, report=report), labelled(crowd, pictures), seed=seed, report=report)
