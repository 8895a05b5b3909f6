"""How people ask for pets and things in a photograph: `{x}` is the name, `{k}` what it is."""

from __future__ import annotations

import re

KINDS = (
    "dog", "cat", "mug", "cup", "toy", "teddy bear", "car", "bike", "bag", "backpack", "shoe", "boot", "hat", "vase", "lamp",
    "clock", "chair", "guitar", "watch", "bottle", "bowl", "plant", "horse", "rabbit", "bird", "parrot", "puppy", "kitten",
    "pet", "doll", "robot", "figurine", "camera", "phone", "laptop", "umbrella", "helmet", "jacket", "candle", "teapot",
    "book", "ball", "suitcase", "boat", "van", "scooter", "hamster", "tortoise", "cushion", "statue",
)  # fmt: skip
PRESENCE = (
    "Is that my {k} {x}?", "Is this my {k} {x}?", "Is my {k} {x} in this photo?", "Is my {k} {x} here?",
    "Is the {k} {x} in it?", "Is that {k} {x}?", "Is this {k} {x}?", "Is the {k} here {x}?", "Is the {k} in the picture {x}?",
    "Could that {k} be {x}?", "Would that {k} be {x}?", "Isn't that my {k} {x}?", "That's my {k} {x}, right?",
    "That {k} is {x}, isn't it?", "This is my {k} {x}, no?", "Can you see my {k} {x}?", "Do you see my {k} {x}?",
    "Do you see the {k} {x} anywhere?", "Did I photograph my {k} {x}?", "Is it the {k} that I call {x}?",
    "Is it {x} or another {k}?", "Is it {x} or some other {k}?", "Is that {x} or a different {k}?",
    "Is this the same {k} as {x}?", "Is it the same {k} as {x}?", "Is {x} the {k} I see here?", "Does this show my {k} {x}?",
    "Does the photo show my {k} {x}?", "Does the picture have my {k} {x} in it?", "Is my {k} in this one? It's called {x}.",
    "My {k} is {x}. Is it here?", "I lost my {k} {x}. Is it in this picture?", "Any sign of my {k} {x}?",
    "Any trace of the {k} {x}?", "Have you found my {k} {x}?", "Can you find my {k} {x} here?",
    "I'm looking for my {k} {x}. Is it there?", "Please check whether my {k} {x} is there.", "Tell me if my {k} {x} is here.",
    "Do you recognise my {k} {x}?", "Do you recognize the {k} {x}?", "Do you know this {k}? Is it {x}?",
    "Whose {k} is this, is it {x}?", "Is {x} in the photo, my {k}?", "My {k} {x}, is it in there?",
    "{x}, my {k}: there or not?", "Is {x} to be seen, the {k}?", "Spot my {k} {x}?", "See my {k} {x}?",
    "Got my {k} {x} in this one?",
)  # fmt: skip
WHERE = (
    "Where is my {k} {x}?", "Where's my {k} {x}?", "Where is the {k} {x}?", "Where did I leave my {k} {x}?",
    "Where did my {k} {x} go?", "Where do you see my {k} {x}?", "Where in the picture is my {k} {x}?",
    "Where should I look for my {k} {x}?", "On which side is my {k} {x}?", "Which side is the {k} {x} on?",
    "Find my {k} {x}.", "Find the {k} {x} for me.", "Help me find my {k} {x}.", "Show me my {k} {x}.",
    "Show me where my {k} {x} is.", "Tell me where my {k} {x} is.", "Point out my {k} {x}.", "Locate my {k} {x}.",
    "I can't find my {k} {x}, where is it?", "I can't see my {k} {x}. Where is it?", "My {k} {x}: where is it?",
    "Whereabouts is my {k} {x}?", "Which {k} is {x}?", "In what part of the picture is my {k} {x}?",
    "Left or right, my {k} {x}?", "Can you tell me where my {k} {x} is?", "Can you point to my {k} {x}?",
    "Do you know where my {k} {x} is?",
)  # fmt: skip
OF_PEOPLE = re.compile(
    r"\b(come|joined?|ma[kd]e it|one of|people|person|group|crowd|with us|them|stand|standing|sits?|are you)\b"
)  # wordings of everyday.txt that suit nobody but people
