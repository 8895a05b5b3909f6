"""The sentences of the synthesised questions. `{x}` is the name asked about, `{y}` another one.

`RECOGNIZE` is how recognition can be asked, `ASK` the same with a few more; `YES` and `NO` are whole answers to any of it,
each beginning with the word that the loss weighs. `ATTRIBUTES` gives per attribute how it is asked about a name, and about
the person in a picture when nobody has a name yet.
"""

from __future__ import annotations

PROTOCOL = "Is {x} in this photo? Answer with Yes or No."

RECOGNIZE: tuple[str, ...] = (
    PROTOCOL,
    "Is {x} in this photo?",
    "Is {x} in this picture?",
    "Is {x} in the image?",
    "Is {x} here?",
    "Is {x} there?",
    "Is {x} visible?",
    "Is {x} visible in this photo?",
    "Is {x} shown here?",
    "Is {x} shown in this picture?",
    "Is {x} part of this photo?",
    "Is {x} among these people?",
    "Is {x} one of the people in this photo?",
    "Is {x} one of them?",
    "Is this {x}?",
    "Is one of these people {x}?",
    "Can you see {x}?",
    "Can you see {x} in this photo?",
    "Can you find {x} here?",
    "Can you spot {x} in the picture?",
    "Do you see {x}?",
    "Do you see {x} in this image?",
    "Do you recognize {x} here?",
    "Do you recognize {x} in this photo?",
    "Does this photo show {x}?",
    "Does this picture contain {x}?",
    "Does {x} appear in this photo?",
    "Does {x} appear here?",
    "Did {x} get into this picture?",
    "Was {x} there when this photo was taken?",
    "Has {x} been photographed here?",
    "Tell me if {x} is in this photo.",
    "Check if {x} is in this picture.",
    "Please say whether {x} is here.",
)

ASK: tuple[str, ...] = (
    *RECOGNIZE,
    "Would you say that {x} is in this shot?",
    "Take a look: is {x} around?",
    "Am I right that this is a photo of {x}?",
    "Could that be {x} in the picture?",
)

YES: tuple[str, ...] = (
    "Yes.",
    "Yes, {x} is in this photo.",
    "Yes, {x} is in this picture.",
    "Yes, {x} is here.",
    "Yes, {x} is there.",
    "Yes, that is {x}.",
    "Yes, this is {x}.",
    "Yes, it is {x}.",
    "Yes, I can see {x}.",
    "Yes, I see {x} here.",
    "Yes, I see {x} in this photo.",
    "Yes, I recognize {x}.",
    "Yes, I recognize {x} here.",
    "Yes, I found {x}.",
    "Yes, {x} can be seen here.",
    "Yes, {x} can be seen in this photo.",
    "Yes, {x} is visible.",
    "Yes, {x} is visible in this picture.",
    "Yes, {x} is shown here.",
    "Yes, {x} appears in this photo.",
    "Yes, {x} appears here.",
    "Yes, this photo shows {x}.",
    "Yes, this picture shows {x}.",
    "Yes, the picture contains {x}.",
    "Yes, {x} is part of this photo.",
    "Yes, {x} is one of the people here.",
    "Yes, {x} was there.",
    "Yes, {x} has been photographed here.",
    "Yes, {x} got into this picture.",
    "Yes, the face of {x} is here.",
    "Yes, there is {x}.",
    "Yes, you are looking at {x}.",
)

NO: tuple[str, ...] = (
    "No.",
    "No, {x} is not in this photo.",
    "No, {x} is not in this picture.",
    "No, {x} is not here.",
    "No, {x} is not there.",
    "No, that is not {x}.",
    "No, this is not {x}.",
    "No, it is not {x}.",
    "No, I cannot see {x}.",
    "No, I do not see {x} here.",
    "No, I do not see {x} in this photo.",
    "No, I do not recognize {x}.",
    "No, I do not recognize {x} here.",
    "No, I did not find {x}.",
    "No, {x} cannot be seen here.",
    "No, {x} cannot be seen in this photo.",
    "No, {x} is not visible.",
    "No, {x} is not visible in this picture.",
    "No, {x} is not shown here.",
    "No, {x} does not appear in this photo.",
    "No, {x} does not appear here.",
    "No, this photo does not show {x}.",
    "No, this picture shows someone else.",
    "No, the picture does not contain {x}.",
    "No, {x} is not part of this photo.",
    "No, {x} is not one of the people here.",
    "No, {x} was not there.",
    "No, {x} has not been photographed here.",
    "No, {x} did not get into this picture.",
    "No, the face of {x} is not here.",
    "No, there is no {x}.",
    "No, you are looking at someone else.",
)

# attribute -> (questions about a name, the question about the nameless person of the reference picture)
ATTRIBUTES: dict[str, tuple[tuple[str, ...], str]] = {
    "gender": (
        ("Is {x} a man or a woman?", "What is the gender of {x}?", "What gender is {x}?"),
        "Is this person a man or a woman?",
    ),
    "age": (
        ("How old is {x}?", "What is the age of {x}?", "About how old is {x}?"),
        "About how old is this person?",
    ),
    "skin": (
        ("What is the skin tone of {x}?", "What skin color does {x} have?", "What is the color of {x} skin?"),
        "What is the skin tone of this person?",
    ),
    "hair_color": (
        (
        "What is the hair color of {x}?",
        "What color is the hair of {x}?",
        "What hair color does {x} have?",
    ),
        "What is the hair color of this person?",
    ),
    "hairstyle": (
        ("What is the hairstyle of {x}?", "What hairstyle does {x} have?", "How is the hair of {x} cut?"),
        "What is the hairstyle of this person?",
    ),
    "eye_color": (
        ("What is the eye color of {x}?", "What color are the eyes of {x}?", "What eye color does {x} have?"),
        "What is the eye color of this person?",
    ),
    "eye_shape": (
        ("What is the eye shape of {x}?", "What shape are the eyes of {x}?"),
        "What shape are the eyes of this person?",
    ),
    "brows": (
        ("What are the eyebrows of {x} like?", "What eyebrows does {x} have?", "Describe the eyebrows of {x}."),
        "What are the eyebrows of this person like?",
    ),
    "nose": (
        ("What is the nose of {x} like?", "What kind of nose does {x} have?", "Describe the nose of {x}."),
        "What is the nose of this person like?",
    ),
    "face": (
        ("What is the face shape of {x}?", "What face shape does {x} have?", "What shape is the face of {x}?"),
        "What is the face shape of this person?",
    ),
    "facial_hair": (
        ("Does {x} have a beard?", "What facial hair does {x} have?", "What beard does {x} have?"),
        "Does this person have a beard?",
    ),
    "mark": (
        ("What distinctive marks does {x} have?", "Does {x} have any marks?", "What is special about {x} skin?"),
        "What distinctive features does the face of this person have?",
    ),
    "lips": (
        ("What are the lips of {x} like?", "What lips does {x} have?", "Describe the lips of {x}."),
        "What are the lips of this person like?",
    ),
    "earrings": (
        ("What earrings does {x} have?", "Does {x} wear earrings?", "What earrings does {x} wear?"),
        "Does this person wear earrings?",
    ),
}

WHICH: tuple[str, ...] = (
    "Who is in this photo: {x} or {y}?",
    "Is this {x} or {y}?",
    "Which of the two is in this picture, {x} or {y}?",
    "Whom do you see, {x} or {y}?",
)
BOTH: tuple[str, ...] = ("Are {x} and {y} in this photo?", "Are {x} and {y} both here?", "Can you see both {x} and {y}?")
BESIDE: tuple[str, ...] = ("Who is next to {x}?", "Who is standing next to {x}?", "Who stands beside {x}?")
WHO: tuple[str, ...] = ("Who is in this photo?", "Who is in this picture?", "Who do you see?", "Whom do you recognize?")
