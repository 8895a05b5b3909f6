"""The faces of a picture side by side, each with its number, for people who are to say which is meant."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SIDE, COLUMNS = 160, 4  # pixels of a face, faces beside each other
_AROUND = 0.3  # of a face's size
_LINE = 36  # pixels of a number's line


def crop_sheet(image: Image.Image, boxes: Sequence[tuple[float, ...]]) -> Image.Image:
    """What is at `boxes` (left, top, right, bottom) of an RGB picture, counted from 1."""
    columns, rows = min(COLUMNS, len(boxes)), -(-len(boxes) // COLUMNS)
    sheet = Image.new("RGB", (columns * SIDE, rows * (SIDE + _LINE)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(28)
    for number, (left, top, right, bottom) in enumerate(boxes):
        x, y = number % COLUMNS * SIDE, number // COLUMNS * (SIDE + _LINE)
        half, across, down = (0.5 + _AROUND) * max(right - left, bottom - top), (left + right) / 2, (top + bottom) / 2
        crop = image.crop((round(across - half), round(down - half), round(across + half), round(down + half)))
        sheet.paste(crop.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0), (x, y))
        pen.text((x + SIDE / 2, y + SIDE + _LINE / 2), str(number + 1), fill="black", font=font, anchor="mm")
    return sheet
