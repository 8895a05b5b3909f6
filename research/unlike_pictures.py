"""Pictures that no portrait is: noise, flat colours, screenshots of text, and drawings of another style. All are drawn here, a
pure function of their number."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from plvm_lab.portraits.render import rasterize

SIDES = (160, 224, 320, 480)
WORDS = ("the", "of", "and", "a", "in", "is", "report", "file", "open", "save", "line", "error", "value", "table", "total")


def noise(number: int) -> Image.Image:
    """Uniform, normal, coarse or smooth noise."""
    rng = np.random.default_rng(number)
    side = int(rng.choice(SIDES))
    if number % 4 == 0:
        pixels = rng.integers(0, 256, (side, side, 3))
    elif number % 4 == 1:
        pixels = np.clip(128 + 45 * rng.standard_normal((side, side, 3)), 0, 255)
    else:
        cells = rng.integers(0, 256, (int(rng.integers(3, 24)),) * 2 + (3,)).astype(np.uint8)
        how = Image.Resampling.NEAREST if number % 4 == 2 else Image.Resampling.BICUBIC
        return Image.fromarray(cells).resize((side, side), how)
    return Image.fromarray(pixels.astype(np.uint8))


def flat(number: int) -> Image.Image:
    """One colour all over; of every four one is black, white or grey, and one goes over into a second colour."""
    rng = random.Random(f"flat/{number}")
    side = rng.choice(SIDES)
    if number % 4 == 0:
        return Image.new("RGB", (side, side), (rng.choice((0, 128, 255, rng.randrange(256))),) * 3)
    one, two = (tuple(rng.randrange(256) for _ in range(3)) for _ in range(2))
    picture = Image.new("RGB", (side, side), one)
    return picture if number % 4 != 1 else Image.blend(picture, _slope(side, one, two), 1.0)


def _slope(side: int, one: tuple[int, ...], two: tuple[int, ...]) -> Image.Image:
    share = np.linspace(0, 1, side)[:, None, None]
    rows = (1 - share) * np.array(one) + share * np.array(two)
    return Image.fromarray(np.broadcast_to(rows, (side, side, 3)).astype(np.uint8))


def text(number: int) -> Image.Image:
    """A screenshot of text: a page, a terminal, a table or a dialogue window."""
    rng = random.Random(f"text/{number}")
    side = rng.choice((320, 480, 640))
    dark = number % 4 == 1
    paper, ink = ((24, 26, 32), (210, 220, 210)) if dark else ((255, 255, 255), (25, 25, 25))
    picture = Image.new("RGB", (side, side), paper)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(rng.choice((11, 13, 16, 22)))
    step = int(font.size * 1.5)  # type: ignore[union-attr]
    if number % 4 == 3:
        pen.rectangle((0, 0, side, 28), fill=tuple(rng.randrange(60, 220) for _ in range(3)))
    for y in range(34 if number % 4 == 3 else 8, side - step, step):
        if number % 4 == 2:
            pen.line((0, y - 3, side, y - 3), fill=(190, 190, 190))
            for x in range(8, side, side // 4):
                pen.text((x, y), f"{rng.randrange(10_000):,}", fill=ink, font=font)
            continue
        words = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(2, 14)))
        pen.text((8 + 20 * rng.randrange(3 if dark else 1), y), words, fill=ink, font=font)
    return picture


def drawing(number: int) -> Image.Image:
    """A drawing of another style: an icon, a landscape, stick figures, a cartoon animal, a chart or a pattern."""
    rng = random.Random(f"drawing/{number}")
    body = STYLES[number % len(STYLES)](rng)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400">{body}</svg>'
    return rasterize(svg, rng.choice(SIDES))


def _color(rng: random.Random, low: int = 20, high: int = 240) -> str:
    return "#" + "".join(f"{rng.randint(low, high):02x}" for _ in range(3))


def _icon(rng: random.Random) -> str:
    """One or two plain shapes on a plain ground."""
    ground, ink = rng.choice(("#ffffff", _color(rng))), _color(rng)
    shapes = (
        f'<circle cx="200" cy="200" r="{rng.randint(70, 150)}" fill="{ink}"/>',
        f'<rect x="80" y="{rng.randint(80, 140)}" width="240" height="180" rx="{rng.randint(0, 60)}" fill="{ink}"/>',
        f'<path d="M200 60 L340 330 L60 330 Z" fill="{ink}"/>',
        f'<path d="M60 200 H260 V120 L350 {rng.randint(180, 230)} L260 290 V220 H60 Z" fill="{ink}"/>',
        f'<path d="{_star(rng.randint(4, 9), rng.randint(100, 160), rng.randint(40, 80))}" fill="{ink}"/>',
        f'<path d="M200 330 C20 200 90 70 200 150 C310 70 380 200 200 330 Z" fill="{ink}"/>',
    )
    inner = f'<circle cx="{rng.randint(160, 240)}" cy="{rng.randint(160, 240)}" r="{rng.randint(20, 60)}" fill="{_color(rng)}"/>'
    return f'<rect width="400" height="400" fill="{ground}"/>{rng.choice(shapes)}{inner if rng.random() < 0.5 else ""}'


def _star(points: int, outer: int, inner: int) -> str:
    corners = [
        (200 + r * math.sin(math.pi * i / points), 200 - r * math.cos(math.pi * i / points))
        for i in range(2 * points)
        for r in ((outer, inner)[i % 2],)
    ]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + " Z"


def _landscape(rng: random.Random) -> str:
    """Sky, sun, hills and trees; nobody is there."""
    parts = [f'<rect width="400" height="400" fill="{_color(rng, 120)}"/>']
    parts.append(f'<circle cx="{rng.randint(40, 360)}" cy="{rng.randint(40, 120)}" r="{rng.randint(18, 45)}" fill="#f8e27a"/>')
    for y in (190, 240, 290):
        wave = " ".join(f"L{x} {y + rng.randint(-50, 40)}" for x in range(0, 401, 80))
        parts.append(f'<path d="M0 400 {wave} L400 400 Z" fill="{_color(rng, 30, 200)}"/>')
    for _ in range(rng.randint(0, 6)):
        x, y = rng.randint(20, 380), rng.randint(260, 380)
        parts.append(f'<path d="M{x} {y - 60} L{x + 25} {y} L{x - 25} {y} Z" fill="#2f6b3c"/>')
    return "".join(parts)


def _stick_figures(rng: random.Random) -> str:
    """One to three people of lines."""
    ground, ink = rng.choice(("#ffffff", "#fbf6e9", _color(rng, 150))), rng.choice(("#111111", _color(rng, 0, 120)))
    parts = [f'<rect width="400" height="400" fill="{ground}"/>']
    count = rng.randint(1, 3)
    for i in range(count):
        x, size = 400 * (i + 1) // (count + 1), rng.uniform(0.7, 1.4)
        arm, leg = rng.randint(-40, 40), rng.randint(20, 45)
        parts.append(
            f'<g transform="translate({x} {rng.randint(90, 140)}) scale({size:.2f})" fill="none" stroke="{ink}" '
            f'stroke-width="{rng.randint(3, 9)}"><circle r="26"/><path d="M0 26 V120 M-45 {60 + arm} L0 60 L45 {60 - arm} '
            f'M-{leg} 190 L0 120 L{leg} 190"/></g>'
        )
    return "".join(parts)


def _animal(rng: random.Random) -> str:
    """A cat, bear, rabbit or bird of circles, close by."""
    fur, inner = _color(rng, 60), _color(rng, 100)
    kind = rng.choice(("cat", "bear", "rabbit", "bird"))
    ears = {
        "cat": f'<path d="M110 130 L120 40 L180 90 Z M290 130 L280 40 L220 90 Z" fill="{fur}"/>',
        "bear": f'<circle cx="120" cy="100" r="42" fill="{fur}"/><circle cx="280" cy="100" r="42" fill="{fur}"/>',
        "rabbit": f'<g fill="{fur}"><ellipse cx="150" cy="70" rx="26" ry="75"/><ellipse cx="250" cy="70" rx="26" ry="75"/></g>',
        "bird": f'<path d="M200 40 L220 90 L180 90 Z" fill="{inner}"/>',
    }[kind]
    mouth = (
        '<path d="M200 220 L250 245 L200 265 Z" fill="#f2a33a"/>'
        if kind == "bird"
        else f'<ellipse cx="200" cy="245" rx="50" ry="38" fill="{inner}"/><circle cx="200" cy="230" r="12" fill="#222222"/>'
    )
    eye = rng.randint(9, 22)
    return (
        f'<rect width="400" height="400" fill="{rng.choice(("#ffffff", _color(rng, 140)))}"/>{ears}'
        f'<circle cx="200" cy="210" r="{rng.randint(105, 135)}" fill="{fur}"/>{mouth}'
        f'<circle cx="155" cy="180" r="{eye}" fill="#111111"/><circle cx="245" cy="180" r="{eye}" fill="#111111"/>'
    )


def _chart(rng: random.Random) -> str:
    """Bars, or a line, between two axes."""
    parts = ['<rect width="400" height="400" fill="#ffffff"/><path d="M50 40 V350 H370" fill="none" stroke="#333333" '
             'stroke-width="3"/>']  # fmt: skip
    heights = [rng.randint(20, 280) for _ in range(rng.randint(4, 9))]
    step = 310 / len(heights)
    if rng.random() < 0.5:
        parts += [
            f'<rect x="{56 + step * i:.0f}" y="{350 - h}" width="{0.7 * step:.0f}" height="{h}" fill="{_color(rng)}"/>'
            for i, h in enumerate(heights)
        ]
    else:
        line = " L".join(f"{56 + step * i:.0f} {350 - h}" for i, h in enumerate(heights))
        parts.append(f'<path d="M{line}" fill="none" stroke="{_color(rng, 0, 160)}" stroke-width="5"/>')
    return "".join(parts)


def _pattern(rng: random.Random) -> str:
    """Stripes, squares or dots."""
    one, two, step = _color(rng), _color(rng), rng.choice((20, 25, 40, 50))
    kind = rng.randrange(3)
    parts = [f'<rect width="400" height="400" fill="{one}"/>']
    for i in range(0, 400, step):
        if kind == 0:
            parts.append(f'<rect x="{i}" width="{step // 2}" height="400" fill="{two}"/>')
            continue
        for j in range(0, 400, step):
            if kind == 1 and (i + j) // step % 2:
                parts.append(f'<rect x="{i}" y="{j}" width="{step}" height="{step}" fill="{two}"/>')
            elif kind == 2:
                parts.append(f'<circle cx="{i + step // 2}" cy="{j + step // 2}" r="{step // 3}" fill="{two}"/>')
    return "".join(parts)


STYLES: tuple[Callable[[random.Random], str], ...] = (_icon, _landscape, _stick_figures, _animal, _chart, _pattern)
KINDS: dict[str, Callable[[int], Image.Image]] = {"noise": noise, "flat colours": flat, "text": text, "drawings": drawing}
