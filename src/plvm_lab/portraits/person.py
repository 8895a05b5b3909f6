"""Who a portrait person is: fourteen discrete traits and a continuous geometry, all drawn from one seed.

A `Person` is a value. It knows nothing about pictures (`render.py`), scenes (`scene.py`) or questions (`questions.py`).
Every trait value has one English phrase (`PHRASES`), so that "red hair" is what the pictures show, what the text says and
what an answer contains.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

# slot -> value -> the phrase that names it in English
PHRASES: dict[str, dict[str, str]] = {
    "gender": {"woman": "a woman", "man": "a man"},
    "age": {"young": "young", "middle": "middle-aged", "old": "elderly"},
    "skin": {
        "pale": "pale skin",
        "light": "light skin",
        "tan": "tan skin",
        "brown": "brown skin",
        "dark": "dark skin",
    },
    "hair_color": {
        "black": "black hair",
        "brown": "brown hair",
        "blonde": "blonde hair",
        "red": "red hair",
        "white": "white hair",
        "blue": "blue hair",
        "pink": "pink hair",
        "green": "green hair",
    },
    "hairstyle": {
        "short": "a short cut",
        "long": "long hair",
        "curly": "curly hair",
        "bun": "a bun",
        "ponytail": "a ponytail",
        "braids": "braids",
        "bob": "a bob",
        "spiky": "spiky hair",
        "mohawk": "a mohawk",
        "afro": "an afro",
    },
    "eye_color": {
        "blue": "blue eyes",
        "green": "green eyes",
        "brown": "brown eyes",
        "grey": "grey eyes",
        "amber": "amber eyes",
    },
    "eye_shape": {"round": "round eyes", "narrow": "narrow eyes", "droopy": "droopy eyes"},
    "brows": {"thin": "thin eyebrows", "thick": "thick eyebrows", "arched": "arched eyebrows"},
    "nose": {"button": "a button nose", "long": "a long nose", "wide": "a wide nose", "pointed": "a pointed nose"},
    "face": {"round": "a round face", "oval": "an oval face", "square": "a square jaw", "pointed": "a pointed chin"},
    "facial_hair": {"none": "no beard", "moustache": "a moustache", "beard": "a full beard", "goatee": "a goatee"},
    "mark": {
        "none": "clear skin",
        "freckles": "freckles",
        "mole": "a beauty mark",
        "scar": "a scar",
        "blush": "rosy cheeks",
        "birthmark": "a birthmark",
    },
    "lips": {"thin": "thin lips", "full": "full lips", "red": "red lips"},
    "earrings": {"none": "no earrings", "gold": "gold earrings", "green": "green earrings", "pearl": "pearl earrings"},
}
SLOTS: tuple[str, ...] = tuple(PHRASES)

# Continuous geometry: each a number in [-1, 1], 0 being the average face.
GEOMETRY: tuple[str, ...] = (
    "face_width",
    "face_height",
    "eye_gap",
    "eye_size",
    "nose_size",
    "mouth_width",
    "mouth_height",
    "brow_height",
    "ear_size",
    "shoulders",
)


@dataclass(frozen=True)
class Person:
    """One identity. `traits[i]` is the value in slot `SLOTS[i]`; `geometry[i]` in [-1, 1] belongs to `GEOMETRY[i]`."""

    traits: tuple[str, ...]
    geometry: tuple[float, ...]

    def __getitem__(self, slot: str) -> str:
        return self.traits[SLOTS.index(slot)]

    def size(self, name: str) -> float:
        """The geometry number `name`, in [-1, 1]."""
        return self.geometry[GEOMETRY.index(name)]

    def phrase(self, slot: str) -> str:
        """The English phrase of this person's value in `slot`: "red hair"."""
        return PHRASES[slot][self[slot]]

    def differences(self, other: Person) -> int:
        """How many of the discrete traits differ."""
        return sum(a != b for a, b in zip(self.traits, other.traits, strict=True))


def _draw_trait(slot: str, gender: str, rng: random.Random) -> str:
    if slot == "facial_hair" and gender == "woman":
        return "none"
    return rng.choice(list(PHRASES[slot]))


def draw_person(rng: random.Random) -> Person:
    """A new identity: traits uniform over their values (a woman has no beard), geometry uniform in [-1, 1]."""
    gender = rng.choice(list(PHRASES["gender"]))
    traits = tuple(gender if s == "gender" else _draw_trait(s, gender, rng) for s in SLOTS)
    return Person(traits, tuple(round(rng.uniform(-1, 1), 3) for _ in GEOMETRY))


def lookalike(person: Person, changes: int, rng: random.Random) -> Person:
    """Another identity that differs from `person` in exactly `changes` visible traits, and slightly in geometry.

    Gender stays (it would bring a beard along) and so does the facial hair of a woman.
    """
    free = [s for s in SLOTS if s != "gender" and not (s == "facial_hair" and person["gender"] == "woman")]
    traits = dict(zip(SLOTS, person.traits, strict=True))
    for slot in rng.sample(free, changes):
        traits[slot] = rng.choice([v for v in PHRASES[slot] if v != traits[slot]])
    nearby = tuple(round(max(-1.0, min(1.0, g + rng.uniform(-0.4, 0.4))), 3) for g in person.geometry)
    return replace(person, traits=tuple(traits.values()), geometry=nearby)


def person_of(split: str, index: int, seed: int = 0) -> Person:
    """Identity number `index` of a split ("train", "val", "test"): splits are separate random streams, by identity."""
    return draw_person(random.Random(f"plvm-person/{split}/{seed}/{index}"))
