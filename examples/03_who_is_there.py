"""A folder of people and a few pictures -> a table: how likely everyone is in each picture.

    python examples/03_who_is_there.py
    python examples/03_who_is_there.py people party.jpg holiday.jpg        # people/NAME/*.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import drawn

import plvm

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}

parser = argparse.ArgumentParser(description="How likely everyone of a folder is in each picture.")
parser.add_argument("people", nargs="?", type=Path, help="a folder with one folder of pictures per person")
parser.add_argument("pictures", nargs="*", type=Path, help="where to look for them")
options = parser.parse_args()
if options.people is not None and not options.pictures:
    parser.error("name at least one picture after the folder of people")

people, pictures = options.people, options.pictures
if people is None:
    people = drawn.FOLDER / "people"
    for name in drawn.NAMES:
        drawn.portrait(name, people / name)
    pictures = [drawn.scene(key) for key in drawn.SCENES]

references = {
    folder.name: sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    for folder in sorted(people.iterdir())
    if folder.is_dir()
}

vlm = plvm.load("mini")
concepts = vlm.enroll_many(references)  # several pictures of somebody make one concept
table = vlm.recognize(pictures, concepts)  # a row per picture, a column per person

widths = [max(len(c.name), 5) for c in concepts]
left = max(len(picture.name) for picture in pictures)
print(" " * left, *(c.name.rjust(w) for c, w in zip(concepts, widths, strict=True)), sep="  ")
for picture, row in zip(pictures, table, strict=True):
    print(picture.name.ljust(left), *(f"{p:.2f}".rjust(w) for p, w in zip(row, widths, strict=True)), sep="  ")
