"""One picture and a name, and then questions.

    python examples/01_first_answer.py
    python examples/01_first_answer.py --name anna --reference anna.jpg --picture party.jpg "Where is <anna>?"
"""

from __future__ import annotations

import argparse
from pathlib import Path

import drawn

import plvm

parser = argparse.ArgumentParser(description="One picture and a name, and then questions.")
parser.add_argument("questions", nargs="*", help="questions in which <NAME> stands for the person")
parser.add_argument("--name", default="billie", help="what the person is called (default: billie)")
parser.add_argument("--reference", type=Path, help="a picture of that person alone (default: one is drawn)")
parser.add_argument("--picture", type=Path, help="the picture to ask about (default: one is drawn)")
options = parser.parse_args()

reference = options.reference if options.reference is not None else drawn.portrait("billie")
picture = options.picture if options.picture is not None else drawn.scene("library")
name = options.name
questions = options.questions or [f"Is <{name}> in this photo?", f"Where is <{name}>?", f"What is <{name}> doing?"]

vlm = plvm.load("mini")
person = vlm.enroll(name, reference)  # milliseconds; no weight changes
print(f"<{name}> is who is on {reference}.")
for question in questions:
    answer = vlm.ask(picture, question, [person])
    print(f"{question}  {answer.text}")

# Without a picture the model answers from the reference alone.
print(f"What is the hair color of <{name}>?  {vlm.ask(None, f'What is the hair color of <{name}>?', [person]).text}")
