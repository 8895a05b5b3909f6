"""Makes the pictures that go with the server's page.

`python docs/page_pictures.py samples` draws the page's sample pictures anew: people to get to know, and pictures to talk about.
They are of the demo's people, whom no training and no benchmark knows. `python docs/page_pictures.py screenshots` takes
docs/images/page.png and docs/images/page-phone.png of a visit in Chromium, with the shipped model's own answers.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from plvm_lab.demo.story import PEOPLE
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import draw
from plvm_lab.portraits.scene import draw_portrait, draw_scene

SAMPLES = Path(__file__).parents[1] / "src/plvm/server/page/samples"
IMAGES = Path(__file__).parent / "images"
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


def draw_samples() -> None:
    SAMPLES.mkdir(exist_ok=True)
    for name, picture in samples().items():
        picture.save(SAMPLES / name, optimize=True)
    listed = {
        "model": "mini",
        "people": [{"name": name.capitalize(), "file": f"{name}.png"} for name in LOOKS],
        "pictures": [{"about": about, "file": f"{name}.png"} for name, (_, _, about) in SCENES.items()],
    }
    (SAMPLES / "samples.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


@contextmanager
def served() -> Iterator[str]:
    """The address of a server with the shipped model and nobody enrolled."""
    with tempfile.TemporaryDirectory() as folder:
        code = "from plvm.cli.program import run; run()"
        own = ["--store", f"{folder}/concepts.db", "--keys", f"{folder}/keys.json"]
        command = [sys.executable, "-c", code, "serve", "--port", "0", *own]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        told = next(line for line in process.stderr if line.startswith("Serving"))
        try:
            yield re.findall(r"http://\S+?:\d+", told)[0]
        finally:
            process.terminate()
            process.wait(60)


def visit(page: Any, *, whole: bool) -> None:
    """Two people are added and asked about, a third one in the middle; in a `whole` visit also who is in the picture."""
    for name in ("Billie", "Avril"):
        page.get_by_role("button", name=f"Add {name}").click()
        page.locator("#people .label", has_text=name).wait_for()
    page.get_by_role("button", name="Three people in a library").click()
    ask(page, "Where is Billie?")
    page.get_by_role("button", name="Add", exact=True).click()
    page.set_input_files("#add-files", SAMPLES / "edna.png")
    page.fill("#add-name", "Edna")
    page.click("#add-go")
    page.locator("#log .joined").wait_for()
    ask(page, "Who is on the right?")
    if whole:
        page.click("#who")
        page.locator(".found img[src]").nth(2).wait_for()
    page.locator("#question").blur()
    page.mouse.move(0, 0)
    page.locator("#toast").evaluate("(toast) => { toast.textContent = ''; }")
    page.wait_for_timeout(500)


def ask(page: Any, question: str) -> None:
    said = page.locator("#log .said:not(:has(.writing))")
    before = said.count()
    page.fill("#question", question)
    page.keyboard.press("Enter")
    said.nth(before).wait_for()


def take_screenshots() -> None:
    from playwright.sync_api import sync_playwright

    sizes = {"page": (1180, 790, 1.5, "light"), "page-phone": (390, 806, 2, "dark")}
    with served() as address, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, (width, height, scale, scheme) in sizes.items():
            window = {"width": width, "height": height}
            page = browser.new_page(viewport=window, device_scale_factor=scale, color_scheme=scheme, reduced_motion="reduce")
            page.goto(address)
            page.locator("#start:not([hidden])").wait_for()
            visit(page, whole=width > 900)
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            shot.quantize(256, kmeans=4, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)
            for face in ("Billie", "Avril", "Edna"):
                page.get_by_role("button", name=face, exact=True).first.click()
                page.click("#forget")
                page.click("#forget-yes")
                page.locator("#people .label", has_text=face).wait_for(state="detached")
            page.close()
        browser.close()


if __name__ == "__main__":
    {"samples": draw_samples, "screenshots": take_screenshots}[sys.argv[1]]()
