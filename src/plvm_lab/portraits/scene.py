"""What a portrait picture shows: who stands where, how each one looks today, in which place and light.

A `Scene` is the exact truth of a picture. `render.py` turns it into SVG, `questions.py` into captions, questions and
answers; the two never speak to each other.

Coordinates: a square canvas of `CANVAS` units, x to the right, y down. A figure's (x, y) is the centre of its face, and a
face is 100 units high at scale 1.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from plvm_lab.portraits.person import Person

CANVAS = 400

PLACES: dict[str, str] = {
    "beach": "at the beach",
    "park": "in a park",
    "kitchen": "in a kitchen",
    "library": "in a library",
    "street": "on a street",
    "mountains": "in the mountains",
    "classroom": "in a classroom",
    "cafe": "in a cafe",
    "forest": "in a forest",
    "desert": "in a desert",
    "stage": "on a stage",
    "snow": "in the snow",
}
LIGHTS: dict[str, str] = {"day": "during the day", "sunset": "at sunset", "night": "at night"}
ACTIVITIES: dict[str, str] = {
    "reading": "reading a book",
    "coffee": "drinking coffee",
    "icecream": "eating ice cream",
    "guitar": "playing the guitar",
    "balloon": "holding a balloon",
    "phone": "talking on the phone",
    "flowers": "holding flowers",
    "camera": "taking a photo",
    "waving": "waving",
    "ball": "holding a ball",
    "standing": "just standing",
}
EXPRESSIONS: dict[str, str] = {
    "smiling": "smiling",
    "laughing": "laughing",
    "sad": "sad",
    "angry": "angry",
    "surprised": "surprised",
    "calm": "calm",
}
CLOTHES: dict[str, str] = {
    "tshirt": "t-shirt",
    "hoodie": "hoodie",
    "jacket": "jacket",
    "stripes": "striped shirt",
    "suit": "suit",
    "overalls": "overalls",
}
COLORS: tuple[str, ...] = ("red", "blue", "green", "yellow", "purple", "orange", "black", "white")
HATS: dict[str, str] = {
    "cap": "a cap",
    "beanie": "a beanie",
    "straw": "a straw hat",
    "party": "a party hat",
    "cowboy": "a cowboy hat",
}
GLASSES: dict[str, str] = {"glasses": "glasses", "sunglasses": "sunglasses"}

# How many people -> the positions from left to right
POSITIONS: dict[int, tuple[str, ...]] = {
    1: ("in the middle",),
    2: ("on the left", "on the right"),
    3: ("on the left", "in the middle", "on the right"),
    4: ("on the far left", "on the left", "on the right", "on the far right"),
}
PEOPLE_WEIGHTS = (0.3, 0.34, 0.22, 0.14)  # share of pictures with 1, 2, 3, 4 people


@dataclass(frozen=True)
class Look:
    """How a person looks in one picture. `hat` and `glasses` may be "none". `tilt` in degrees; `turn` in [-1, 1]: the
    face turned to the viewer's left (-1) or right (1)."""

    expression: str
    clothes: str
    color: str
    hat: str
    hat_color: str
    glasses: str
    activity: str
    tilt: float = 0.0
    turn: float = 0.0


@dataclass(frozen=True)
class Figure:
    """A person in a scene; (x, y) is the face centre on the canvas, `scale` 1 = a face 100 units high."""

    person: Person
    look: Look
    position: str
    x: float
    y: float
    scale: float


@dataclass(frozen=True)
class Scene:
    """One picture's truth; figures from left to right. `detail_seed` varies the background's small things."""

    place: str
    light: str
    figures: tuple[Figure, ...]
    detail_seed: int

    def find(self, person: Person) -> Figure | None:
        """The figure of `person`, or None."""
        return next((f for f in self.figures if f.person == person), None)


def draw_look(rng: random.Random, *, reference: bool = False) -> Look:
    """A random look. A reference picture shows the bare head more often and no activity."""
    hat = rng.choice(list(HATS)) if rng.random() < (0.04 if reference else 0.22) else "none"
    glasses = rng.choice(list(GLASSES)) if rng.random() < (0.08 if reference else 0.2) else "none"
    return Look(
        expression=rng.choice(list(EXPRESSIONS)),
        clothes=rng.choice(list(CLOTHES)),
        color=rng.choice(COLORS),
        hat=hat,
        hat_color=rng.choice(COLORS),
        glasses=glasses,
        activity="standing" if reference else rng.choice(list(ACTIVITIES)),
        tilt=round(rng.uniform(-8, 8), 1),
        turn=round(rng.uniform(-1, 1), 2),
    )


def _placements(count: int, rng: random.Random) -> list[tuple[float, float, float]]:
    """(x, y, scale) from left to right; fewer people stand nearer."""
    low, high = {1: (1.3, 1.9), 2: (1.15, 1.5), 3: (0.98, 1.15), 4: (0.88, 0.98)}[count]
    step = CANVAS / count
    raised = rng.random() < 0.5
    spots = []
    for i in range(count):
        scale = rng.uniform(low, high)
        x = step * (i + 0.5) + rng.uniform(-0.08, 0.08) * step * (3 if count == 1 else 1)
        row = 0 if count < 3 else (28 if (i % 2 == 0) == raised else -28)
        y = 165 + 14 * count / 2 + row + rng.uniform(-12, 12)
        spots.append((round(x, 1), round(y, 1), round(scale, 3)))
    return spots


def draw_scene(people: list[Person], rng: random.Random) -> Scene:
    """A scene with these people (1 to 4), shuffled into positions, each with a look of its own."""
    order = rng.sample(people, len(people))
    spots = _placements(len(order), rng)
    figures = tuple(
        Figure(person, draw_look(rng), POSITIONS[len(order)][i], *spots[i]) for i, person in enumerate(order)
    )
    light = rng.choices(list(LIGHTS), (0.6, 0.2, 0.2))[0]
    return Scene(rng.choice(list(PLACES)), light, figures, rng.randrange(2**31))


def draw_portrait(person: Person, rng: random.Random) -> Scene:
    """A reference picture: this person alone, the head filling the canvas."""
    look = draw_look(rng, reference=True)
    scale = round(rng.uniform(2.3, 2.7), 3)
    figure = Figure(person, look, "in the middle", 200 + rng.uniform(-14, 14), 200 + rng.uniform(-8, 14), scale)
    return Scene(rng.choice(list(PLACES)), "day", (figure,), rng.randrange(2**31))


def people_count(rng: random.Random) -> int:
    """How many people a picture shows: 1 to 4."""
    return rng.choices((1, 2, 3, 4), PEOPLE_WEIGHTS)[0]
