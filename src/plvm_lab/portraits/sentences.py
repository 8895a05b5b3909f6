"""The sentences of the portraits world: how each kind of question may be worded.

For every kind the list `TRAIN[kind]` is used in training and the protocol; `PRACTICE` is `TRAIN` with more wordings of the
traits, for training alone; `HELD_OUT[kind]` is in neither: the evaluation asks with it whether a new wording is
understood. `{x}` is the name asked about, `{y}` a second one, `{p}` a position, `{a}` an activity, `{c}` clothes, `{v}` a
phrase such as "red hair".
"""

from __future__ import annotations

from plvm.data.wordings import ATTRIBUTES, BESIDE, BOTH, RECOGNIZE, WHO

TRAIN: dict[str, tuple[str, ...]] = {
    "recognize": RECOGNIZE,
    "where": (
        "Where is {x}?",
        "Where is {x} in this photo?",
        "Where can I find {x}?",
        "Where does {x} stand?",
        "In which part of the photo is {x}?",
        "Which position is {x} in?",
    ),
    "wearing": (
        "What is {x} wearing?",
        "What is {x} wearing in this photo?",
        "What clothes is {x} wearing?",
        "What does {x} wear?",
        "How is {x} dressed?",
    ),
    "hat": (
        "What is on the head of {x}?",
        "Is {x} wearing a hat?",
        "Does {x} wear a hat?",
        "What kind of hat is {x} wearing?",
    ),
    "glasses": ("Is {x} wearing glasses?", "Does {x} wear glasses?", "What about the glasses of {x}?"),
    "doing": (
        "What is {x} doing?",
        "What is {x} doing in this photo?",
        "What does {x} do here?",
        "What is {x} up to?",
        "Tell me what {x} is doing.",
    ),
    "expression": (
        "How does {x} feel?",
        "What is the facial expression of {x}?",
        "What expression does {x} have?",
        "What mood is {x} in?",
        "How does {x} look?",
    ),
    "who_position": ("Who is {p}?", "Who is standing {p}?", "Who is the person {p}?", "Who do you see {p}?"),
    "who_doing": ("Who is {a}?", "Who is the person {a}?", "Which person is {a}?"),
    "who_wearing": ("Who is wearing {c}?", "Who wears {c}?", "Who is the person in {c}?"),
    "who_present": WHO,
    "beside": BESIDE,
    "both": BOTH,
    "doing_both": ("What are {x} and {y} doing?", "What are {x} and {y} doing in this photo?"),
    "place": ("Where was this photo taken?", "What place is this?", "Where is this?", "What is in the background?"),
    "light": ("What time of day is it?", "When was this photo taken?"),
    "count": ("How many people are in this photo?", "How many people are there?", "How many people do you see?"),
    "describe_position": ("Describe the person {p}.", "What does the person {p} look like?"),
    "describe_portrait": ("Describe this person.", "Describe this person's face.", "What does this person look like?"),
    "position_wearing": ("What is the person {p} wearing?", "What clothes does the person {p} wear?"),
    "position_doing": ("What is the person {p} doing?", "What does the person {p} do?"),
    "position_expression": ("How does the person {p} feel?", "What expression does the person {p} have?"),
    "has": ("Does {x} have {v}?", "Has {x} got {v}?"),
    "who_has": ("Who has {v}?", "Which of them has {v}?", "Which person has {v}?"),
    **{slot: texts for slot, (texts, _) in ATTRIBUTES.items()},
}

HELD_OUT: dict[str, tuple[str, ...]] = {
    "recognize": (
        "Is {x} anywhere in this photo?",
        "Can {x} be seen here?",
        "Do you see {x} among the people in this picture?",
        "Does this image show {x}?",
    ),
    "where": ("Where in the picture is {x}?", "Where do you see {x}?"),
    "wearing": ("What clothes does {x} have on?", "What is {x} dressed in?"),
    "doing": ("What do you see {x} doing?", "What is {x} doing here?"),
    "expression": ("What is the mood of {x}?", "What does the face of {x} look like?"),
    "who_position": ("Which person is {p}?", "Who stands {p}?"),
    "hair_color": ("What color of hair does {x} have?",),
    "eye_color": ("What color of eyes does {x} have?",),
    "hairstyle": ("What kind of hairstyle does {x} have?",),
    "skin": ("What kind of skin does {x} have?",),
    "age": ("What age is {x}?",),
    "gender": ("Is {x} a woman or a man?",),
    "nose": ("What nose does {x} have?",),
    "face": ("Describe the face shape of {x}.",),
    "mark": ("What marks does {x} have?",),
    "facial_hair": ("Describe the beard of {x}.",),
}

NOUNS = {
    "gender": "gender",
    "age": "age",
    "skin": "skin",
    "hair_color": "hair color",
    "hairstyle": "hairstyle",
    "eye_color": "eye color",
    "eye_shape": "eye shape",
    "brows": "eyebrows",
    "nose": "nose",
    "face": "face shape",
    "facial_hair": "beard",
    "mark": "marks",
    "lips": "lips",
    "earrings": "earrings",
}
TRAIT_FORMS = (
    "What {n} does {x} have?",
    "What kind of {n} does {x} have?",
    "Describe the {n} of {x}.",
    "Tell me about the {n} of {x}.",
)


def _practice(kind: str) -> tuple[str, ...]:
    """The wordings of a kind and, for a trait, every form that is not held out."""
    forms = [form.replace("{n}", NOUNS[kind]) for form in TRAIT_FORMS if kind in NOUNS]
    return tuple(dict.fromkeys([*TRAIN[kind], *(f for f in forms if f not in HELD_OUT.get(kind, ()))]))


PRACTICE: dict[str, tuple[str, ...]] = {kind: _practice(kind) for kind in TRAIN}

UNKNOWN = "someone I do not know"
