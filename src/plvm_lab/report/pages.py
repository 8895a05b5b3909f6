"""HTML pages by Jinja2. Everything is escaped; pictures become part of the page, so that nothing is fetched."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

TEMPLATES = Path(__file__).parent / "templates"  # base.html.j2 is what all pages share


def render(template: str, folder: Path = TEMPLATES, **values: Any) -> str:
    """The page that the template called `template` in `folder` makes of `values`. Text in them is escaped, but for what is
    Markup already; a value that a template misses is an error."""
    loader = FileSystemLoader([folder, TEMPLATES])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["embedded"] = embedded
    return environment.get_template(template).render(**values)


def embedded(picture: Image.Image, side: int | None = None, quality: int = 75) -> str:
    """A picture as a data URL, reduced to at most `side` pixels."""
    small = picture.copy()
    if side is not None:
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=quality)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
