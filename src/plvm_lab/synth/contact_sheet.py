"""Contact sheets: every identity a row, its reference first, its pictures with their scores beside it; as PNG or HTML."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from plvm.data.manifest import read_manifest, read_rows
from plvm.data.shards import KEPT, REFERENCE, REJECTED, encode_png, read_pictures
from plvm.errors import RequestError

SIDE, GAP, TEXT = 160, 8, 44
GOOD, BAD, INK = (60, 140, 80), (190, 50, 50), (40, 40, 40)


@dataclass(frozen=True, eq=False)
class Row:
    """One identity: its table rows with their pictures (None: there is none to show)."""

    identity: str
    cells: tuple[tuple[dict[str, Any], Image.Image | None], ...]


def rows_of(folder: Path, identities: int = 12, split: str | None = None, rejected: bool = False) -> list[Row]:
    """The first identities of a finished dataset; with `rejected`, only those of which a picture was refused. Raises
    RequestError where the dataset has none."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(folder, split=split):
        for key in row["people"]:
            found.setdefault(key, []).append(row)
    chosen = [k for k, own in found.items() if not rejected or not all(r["kept"] for r in own)][:identities]
    if not chosen:
        raise RequestError("There is nobody to show.", "Choose another --split, or leave out --rejected.")
    wanted = {row["picture"] for key in chosen for row in found[key]}
    pictures: dict[str, Image.Image] = {}
    for name in sorted(read_manifest(folder).shards):
        if len(pictures) < len(wanted) and (split is None or name.startswith(f"{split}-")):
            for part in (KEPT, REJECTED):
                for key, png in read_pictures(folder / f"{name}{part}"):
                    if key in wanted:
                        pictures[key] = Image.open(io.BytesIO(png)).convert("RGB")
    return [Row(key, tuple((row, pictures.get(row["picture"])) for row in found[key])) for key in chosen]


def scores_of(row: dict[str, Any]) -> str:
    """ "face 0.83  text 0.61", or the reason why it was refused."""
    if not row["kept"]:
        return str(row["reason"])
    shown = ((label, row[column]) for label, column in (("face", "face_score"), ("text", "text_score")))
    return "reference" if row["name"] == REFERENCE else "  ".join(f"{k} {v:.2f}" for k, v in shown if v is not None)


def sheet_png(rows: Sequence[Row]) -> Image.Image:
    """The sheet as one picture; what was refused has a red frame."""
    columns = max(len(r.cells) for r in rows)
    step_x, step_y = SIDE + GAP, SIDE + TEXT + GAP
    sheet = Image.new("RGB", (GAP + columns * step_x, GAP + len(rows) * step_y), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for y, row in enumerate(rows):
        for x, (told, picture) in enumerate(row.cells):
            left, top = GAP + x * step_x, GAP + y * step_y
            if picture is not None:
                small = picture.copy()
                small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
                sheet.paste(small, (left + (SIDE - small.width) // 2, top + (SIDE - small.height) // 2))
            if not told["kept"]:
                pen.rectangle((left - 3, top - 3, left + SIDE + 2, top + SIDE + 2), outline=BAD, width=3)
            lines = [told["picture"], *_wrapped(scores_of(told), font)]
            for i, line in enumerate(lines[:3]):
                colour = INK if i == 0 else GOOD if told["kept"] else BAD
                pen.text((left, top + SIDE + 2 + 13 * i), line, fill=colour, font=font)
    return sheet


def _wrapped(text: str, font: Any) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= SIDE else [*lines, word]
    return lines


def sheet_html(rows: Sequence[Row], title: str) -> str:
    """The sheet as one page that needs no other file."""
    parts = []
    for row in rows:
        cells = "".join(_cell(told, picture) for told, picture in row.cells)
        parts.append(f'<section><h2>{html.escape(row.identity)}</h2><div class="row">{cells}</div></section>')
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title><style>'
        "body{font:14px system-ui,sans-serif;margin:2rem;color:#222}.row{display:flex;flex-wrap:wrap;gap:12px}"
        "figure{margin:0;width:180px}img{width:180px;border-radius:6px}.bad img{outline:4px solid #be3232}"
        ".bad figcaption b{color:#be3232}figcaption{font-size:12px}h2{font-size:1rem;margin:1.2rem 0 .4rem}"
        f"</style><h1>{html.escape(title)}</h1>{''.join(parts)}</html>\n"
    )


def _cell(told: dict[str, Any], picture: Image.Image | None) -> str:
    data = base64.b64encode(encode_png(picture)).decode() if picture is not None else ""
    image = f'<img alt="{html.escape(told["picture"])}" src="data:image/png;base64,{data}">' if data else ""
    text = f"<b>{html.escape(scores_of(told))}</b><br>{html.escape(told['prompt'])}"
    return f"<figure{'' if told['kept'] else ' class=bad'}>{image}<figcaption>{text}</figcaption></figure>"
