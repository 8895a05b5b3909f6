"""Makes the sample pictures of the server's page: people to get to know, and pictures to talk about.

`python docs/page_pictures.py` draws them anew into src/plvm/server/page/samples. They are of the demo's people, whom no
training and no benchmark knows.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from PIL import Image

from plvm_lab.demo.story import PEOPLE
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import draw_portrait, draw_scene

SAMPLES = Path(__file__).parents[1] / "src/plvm/server/page/samples"
SIDE, COLORS = 448, 128  # enough for what is drawn flat
LOOKS = {**PEOPLE, "edna": (12, 1)}
SCENES = {
    "library": (("billie", "avril", "edna"), "A/3", "Three people in a library"),
    "beach": (("dustin", "billie"), "B/9", "Two people on a beach"),
    "mountains": (("billie", "avril", "dustin", 21), "C/5", "Four people in the mountains"),
    "strangers": ((5, 25), "D/9", "Two people nobody has met"),
}


def samples() -> dict[str, Image.Image]:
    """Every sample picture by the name of its file."""
    made = {
        name: draw(draw_portrait(person_of("demo", number), random.Random(f"plvm-demo/{number}/{look}")), SIDE)
        for name, (number, look) in LOOKS.items()
    }
    for name, (people, look, _) in SCENES.items():
        cast = [person_of("demo", LOOKS[who][0] if isinstance(who, str) else who) for who in people]
        made[name] = draw(draw_scene(cast, random.Random(f"plvm-demo/{look}")), SIDE)
    return {f"{name}.png": picture.quantize(COLORS, dither=Image.Dither.NONE) for name, picture in made.items()}


def main() -> None:
    SAMPLES.mkdir(exist_ok=True)
    for name, picture in samples().items():
        picture.save(SAMPLES / name, optimize=True)
    listed = {
        "model": "mini",
        "people": [{"name": name.capitalize(), "file": f"{name}.png"} for name in LOOKS],
        "pictures": [{"about": about, "file": f"{name}.png"} for name, (_, _, about) in SCENES.items()],
    }
    (SAMPLES / "samples.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
