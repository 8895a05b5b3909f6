"""Makes the pictures of README and of the site.

`python docs/pictures.py` writes docs/images/world.png, a sample of the drawn world, docs/images/method.svg, the drawing of
docs/method.svg.in with its two pictures in it, and the site's icon; with the folder of a finished demo
(`python docs/pictures.py demo`) also docs/images/dialogue.png, one of its cards as it is.
"""

from __future__ import annotations

import base64
import io
import random
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from plvm_lab.demo.story import STORY, reference
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
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


def method() -> str:
    """The drawing of the method: a reference of somebody, and a picture that they are in."""
    query = next(scenario.scene for scenario in STORY if scenario.key == "library")
    assert query is not None
    text = (Path(__file__).parent / "method.svg.in").read_text(encoding="utf-8")
    text = text.replace("{reference}", _data(draw(reference("billie"), 256)))
    return text.replace("{query}", _data(draw(query, 192)))


def icon() -> Image.Image:
    """A face, round, for the browser's tab."""
    face = draw(reference("billie"), 256).crop((64, 40, 192, 168)).resize((64, 64), Image.Resampling.LANCZOS).convert("RGBA")
    mask = Image.new("L", (256, 256))
    ImageDraw.Draw(mask).ellipse((0, 0, 255, 255), 255)
    face.putalpha(mask.resize((64, 64)))
    return face


def _data(picture: Image.Image) -> str:
    """A picture as an address that holds it whole; 128 colours are enough for what is drawn flat."""
    file = io.BytesIO()
    picture.quantize(128, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _place(sheet: Image.Image, picture: Image.Image, x: int, y: int) -> None:
    mask = Image.new("L", (2 * picture.width, 2 * picture.height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), 2 * ROUND, 255)
    sheet.paste(picture, (x, y), mask.resize(picture.size))


def main(arguments: list[str]) -> None:
    IMAGES.mkdir(exist_ok=True)
    world().save(IMAGES / "world.png", optimize=True)
    icon().save(IMAGES / "favicon.png", optimize=True)
    (IMAGES / "method.svg").write_text(method(), encoding="utf-8")
    if arguments:
        shutil.copyfile(Path(arguments[0]) / "cards" / f"{CARD}.png", IMAGES / "dialogue.png")


if __name__ == "__main__":
    main(sys.argv[1:])
