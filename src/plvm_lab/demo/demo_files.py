"""What the demo leaves behind: pictures, dialogue cards and a page."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from plvm_lab.demo.cards import draw_card
from plvm_lab.demo.demo_page import demo_page
from plvm_lab.demo.events import Show


def write_demo(show: Show, folder: Path) -> list[Path]:
    """Everything to look at: `pictures/`, `cards/` and `index.html`. Returns the files, the page first."""
    files = [folder / "index.html"]
    for kind in ("pictures", "cards"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for key, picture in show.pictures.items():
        files.append(folder / "pictures" / f"{key}.png")
        picture.save(files[-1], optimize=True)
    for key, card in show.cards.items():
        files.append(folder / "cards" / f"{key}.png")
        flat = draw_card(card).quantize(256, dither=Image.Dither.NONE)  # a third of the bytes, to the eye the same
        flat.save(files[-1], optimize=True)
    files[0].write_text(demo_page(show), encoding="utf-8")
    return files
