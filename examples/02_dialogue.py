"""A dialogue about a picture: somebody joins in the middle, and answers appear word by word.

    python examples/02_dialogue.py
    python examples/02_dialogue.py --picture party.jpg --first anna anna.jpg --later ben ben.jpg
"""

from __future__ import annotations

import argparse

import drawn

import plvm

parser = argparse.ArgumentParser(description="A dialogue in which somebody joins in the middle.")
parser.add_argument("--picture", help="the picture to talk about (default: one is drawn)")
parser.add_argument("--first", nargs=2, metavar=("NAME", "IMAGE"), help="who is known from the start")
parser.add_argument("--later", nargs=2, metavar=("NAME", "IMAGE"), help="who joins in the middle")
options = parser.parse_args()

picture = options.picture if options.picture is not None else drawn.scene("friends")
first, first_image = options.first if options.first is not None else ("billie", drawn.portrait("billie"))
later, later_image = options.later if options.later is not None else ("dustin", drawn.portrait("dustin"))

vlm = plvm.load("mini")
chat = vlm.chat(picture, concepts=[vlm.enroll(first, first_image)])


def say(question: str) -> None:
    """Ask, and print the answer while it is made."""
    print(f"\nYou: {question}\nplvm: ", end="")
    for chunk in chat.stream(question):
        print(chunk, end="", flush=True)


say(f"Is <{first}> in this photo?")
say("Who is on the right?")

chat.add(vlm.enroll(later, later_image))  # in the middle of the dialogue: what was said before stays as it is
print(f"\n(<{later}> joins.)", end="")

say("Who is on the right?")
say(f"What is <{later}> doing?")

print("\n\nWhat a turn cost: tokens of its prompt, and how many of them had to be computed.")
for turn in chat.turns:
    print(f"  {turn.answer.prompt_tokens:4} {turn.answer.computed_tokens:4}  {turn.question}")
