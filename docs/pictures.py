"""Makes the pictures of the README.

`python docs/pictures.py` writes docs/images/world.png, a sample of the drawn world; with the folder of a finished demo
(`python docs/pictures.py demo`) also docs/images/dialogue.png, one of its cards as it is.
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from plvm_lab.portraits.render import draw
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.scene import draw_portrait, draw_scene

IMAGES = Path(__file__).parent / "images"
CARD = "friends"  # the dialogue that someone joins in the middle
SMALL, LARGE, GAP, ROUND = 192, 400, 16, 20
PORTRAITS = ((3, "3/1"), (13, "13/2"), (8, "8/1"), (7, "7/7"), (19, "19/0"), (4, "4/3"))
SCENES = (((3, 14, 12), "A/3"), ((7, 3), "B/9"), ((3, 14, 7, 21), "C/5"))


def world() -> Image.Image:
    """Portraits above, scenes below."""
    width = 3 * LARGE + 2 * GAP
    sheet = Image.new("RGB", (width, SMALL + GAP + LARGE), "white")
    step = (width - SMALL) / (len(PORTRAITS) - 1)
    for i, (number, look) in enumerate(PORTRAITS):
        scene = draw_portrait(person_of("demo", number), random.Random(f"plvm-demo/{look}"))
        _place(sheet, draw(scene, SMALL), round(i * step), 0)
    for i, (people, look) in enumerate(SCENES):
        scene = draw_scene([person_of("demo", n) for n in people], random.Random(f"plvm-demo/{look}"))
        _place(sheet, draw(scene, LARGE), i * (LARGE + GAP), SMALL + GAP)
    return sheet


def _place(sheet: Image.Image, picture: Image.Image, x: int, y: int) -> None:
    mask = Image.new("L", (2 * picture.width, 2 * picture.height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), 2 * ROUND, 255)
    sheet.paste(picture, (x, y), mask.resize(picture.size))


def main(arguments: list[str]) -> None:
    IMAGES.mkdir(exist_ok=True)
    world().save(IMAGES / "world.png", optimize=True)
    if arguments:
        shutil.copyfile(Path(arguments[0]) / "cards" / f"{CARD}.png", IMAGES / "dialogue.png")


if __name__ == "__main__":
    main(sys.argv[1:])
