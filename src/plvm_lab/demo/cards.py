"""Dialogue cards: a picture at the left, what was said about it at the right, and who the names are. Pillow alone.

`Card` is a value, `draw_card` turns it into a picture. Everything is drawn at twice its size and scaled down, so that
round corners are smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

S = 2  # drawn at this scale, then reduced
WIDTH, MARGIN, PHOTO, GAP, LINE = 1160, 36, 460, 40, 27
GROUND, INK, PALE, WHITE, ASKED = "#f7f4ee", "#2b2a33", "#8b8794", "#ffffff", "#e3ecfb"
RIGHT, WRONG, EDGE = "#2f9e63", "#d64545", "#e6e0d5"
ACCENTS = ("#d9480f", "#0b7285", "#7b3fb5", "#b3416b", "#5c7a12", "#315fc4")


@dataclass(frozen=True, eq=False)
class Portrait:
    """Someone with a name: the picture that it was enrolled from."""

    name: str
    picture: Image.Image


@dataclass(frozen=True)
class Bubble:
    """Something said: a question (`asked`) or an answer, or the note that someone `joins`. An answer may be known to be
    `right` or not; a wrong one shows the `truth` below."""

    text: str
    asked: bool = False
    joins: str = ""
    right: bool | None = None
    truth: str = ""
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Card:
    """One dialogue. Without a picture, the people's own pictures stand in its place."""

    title: str
    picture: Image.Image | None
    people: tuple[Portrait, ...]
    bubbles: tuple[Bubble, ...]


def draw_card(card: Card) -> Image.Image:
    """The card as an RGB picture, WIDTH pixels wide and as high as it needs to be."""
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    top = MARGIN + (52 if card.title else 0)
    height = max(_left(ruler, card, top, None), _right(ruler, card, top)) + MARGIN
    image = Image.new("RGB", (WIDTH * S, height * S), GROUND)
    canvas = ImageDraw.Draw(image)
    if card.title:
        canvas.text((MARGIN * S, (MARGIN - 8) * S), card.title, INK, font_of(30, card.title))
    _left(canvas, card, top, image)
    _right(canvas, card, top)
    return image.resize((WIDTH, height), Image.Resampling.LANCZOS)


def accent(name: str, people: tuple[Portrait, ...]) -> str:
    """The colour of a name on a card; names that are nobody's have the text's."""
    names = [person.name for person in people]
    return ACCENTS[names.index(name) % len(ACCENTS)] if name in names else INK


def _left(canvas: ImageDraw.ImageDraw, card: Card, top: int, image: Image.Image | None) -> int:
    """The picture and the people below it; returns how far down they reach. Only measures without an `image`."""
    bottom = top
    if card.picture is not None:
        photo = card.picture.copy()
        photo.thumbnail((PHOTO * S, PHOTO * S), Image.Resampling.LANCZOS)
        if photo.width < PHOTO * S and photo.width >= photo.height:
            photo = photo.resize((PHOTO * S, photo.height * PHOTO * S // photo.width), Image.Resampling.LANCZOS)
        if image is not None:
            paste(image, photo, (MARGIN * S, top * S), lambda d, box: d.rounded_rectangle(box, 22 * S, 255))
        bottom += photo.height // S + 22
    side = 92 if card.picture is not None else 132
    across = max(1, (PHOTO + 22) // (side + 22))
    for i, person in enumerate(card.people):
        x, y = MARGIN + i % across * (side + 22), bottom + i // across * (side + 44)
        if image is not None:
            _person(canvas, image, person, accent(person.name, card.people), x, y, side)
    rows = -(-len(card.people) // across)
    return bottom + rows * (side + 44)


def _person(
    canvas: ImageDraw.ImageDraw, image: Image.Image, person: Portrait, color: str, x: int, y: int, side: int
) -> None:
    box = (x * S, y * S, (x + side) * S, (y + side) * S)
    canvas.ellipse(box, color)
    inner = side - 8
    face = person.picture.copy()
    square = min(face.size)
    left, upper = (face.width - square) // 2, (face.height - square) // 2
    face = face.crop((left, upper, left + square, upper + square))
    face = face.resize((inner * S, inner * S), Image.Resampling.LANCZOS)
    paste(image, face, ((x + 4) * S, (y + 4) * S), lambda d, b: d.ellipse(b, 255))
    label, font = _fitted(canvas, f"<{person.name}>", side + 18)
    canvas.text(((x + side / 2) * S, (y + side + 6) * S), label, color, font, anchor="ma")


def _fitted(canvas: ImageDraw.ImageDraw, label: str, width: int) -> tuple[str, ImageFont.FreeTypeFont]:
    for size in (19, 17, 15, 13):
        if canvas.textlength(label, font_of(size, label)) <= width * S:
            return label, font_of(size, label)
    while len(label) > 4 and canvas.textlength(label + "...", font_of(13, label)) > width * S:
        label = label[:-1]
    return label + "...", font_of(13, label)


def paste(
    image: Image.Image, part: Image.Image, place: tuple[int, int],
    shape: Callable[[ImageDraw.ImageDraw, tuple[int, int, int, int]], None],
) -> None:  # fmt: skip
    mask = Image.new("L", part.size)
    shape(ImageDraw.Draw(mask), (0, 0, part.width - 1, part.height - 1))
    image.paste(part, place, mask)


def _right(canvas: ImageDraw.ImageDraw, card: Card, top: int) -> int:
    """The bubbles; returns how far down they reach."""
    left, right = MARGIN + PHOTO + GAP, WIDTH - MARGIN
    y = top
    for bubble in card.bubbles:
        if bubble.joins:
            _runs(canvas, [_run(canvas, bubble.text, card, 18, PALE, 10_000)][0][:1], (left + right) / 2, y + 6, True)
            y += 42
            continue
        lines = _run(canvas, bubble.text, card, 21, INK, (right - left - 140) * S)
        width = max(sum(w for _, _, w, _ in line) for line in lines) / S + 36
        height = len(lines) * LINE + 20
        x = right - width if bubble.asked else left
        box = (x * S, y * S, (x + width) * S, (y + height) * S)
        canvas.rounded_rectangle(box, 18 * S, ASKED if bubble.asked else WHITE, None if bubble.asked else EDGE, S)
        _runs(canvas, lines, x + 18, y + 10)
        beside = x + width + 12
        if bubble.right is not None:
            draw_mark(canvas, beside + 13, y + height / 2, bubble.right)
            beside += 36
        if bubble.seconds is not None:
            time = f"{1000 * bubble.seconds:.0f} ms"
            canvas.text((beside * S, (y + height / 2) * S), time, PALE, font_of(15, time), anchor="lm")
        y += height + (10 if bubble.asked else 20)
        if bubble.right is False and bubble.truth:
            lines = _run(canvas, f"The truth: {bubble.truth}", card, 16, PALE, (right - left - 36) * S)
            _runs(canvas, lines, left + 18, y - 14, step=20)
            y += 20 * len(lines) + 4
    return y


Run = tuple[str, str, float, ImageFont.FreeTypeFont]  # text, colour, width, font


def _run(canvas: ImageDraw.ImageDraw, text: str, card: Card, size: int, color: str, limit: float) -> list[list[Run]]:
    """`text` as lines no wider than `limit`, each made of pieces of one colour: names have their own."""
    font = font_of(size, text)
    lines: list[list[Run]] = [[]]
    used = 0.0
    for word in text.split(" "):
        piece = (" " if lines[-1] else "") + word
        width = canvas.textlength(piece, font)
        if lines[-1] and used + width > limit:
            lines.append([])
            piece, used = word, 0.0
            width = canvas.textlength(piece, font)
        for part, shade in _shades(piece, card, color):
            lines[-1].append((part, shade, canvas.textlength(part, font), font))
        used += width
    return lines


def _shades(piece: str, card: Card, color: str) -> list[tuple[str, str]]:
    start, end = piece.find("<"), piece.find(">")
    if start < 0 or end < start:
        return [(piece, color)]
    parts = [(piece[:start], color), (piece[start : end + 1], accent(piece[start + 1 : end], card.people)),
             (piece[end + 1 :], color)]  # fmt: skip
    return [(text, shade) for text, shade in parts if text]


def _runs(
    canvas: ImageDraw.ImageDraw, lines: list[list[Run]], x: float, y: float, centred: bool = False, step: int = LINE
) -> None:
    for line in lines:
        across = x * S - (sum(width for _, _, width, _ in line) / 2 if centred else 0)
        for text, color, width, font in line:
            canvas.text((across, y * S), text, color, font)
            across += width
        y += step


def draw_mark(canvas: ImageDraw.ImageDraw, x: float, y: float, right: bool) -> None:
    """A tick or a cross in a coloured disc."""
    canvas.ellipse(((x - 13) * S, (y - 13) * S, (x + 13) * S, (y + 13) * S), RIGHT if right else WRONG)
    strokes = [((-6, 0), (-2, 5), (6, -5))] if right else [((-5, -5), (5, 5)), ((-5, 5), (5, -5))]
    for stroke in strokes:
        canvas.line([((x + dx) * S, (y + dy) * S) for dx, dy in stroke], WHITE, round(2.6 * S), "curve")


def font_of(size: int, text: str) -> ImageFont.FreeTypeFont:
    """Pillow's own font, in pixels of the finished card; for text beyond ASCII, of which it knows little, a wider one
    where the system has it."""
    return _load_font(size, wide=not text.isascii())


@cache
def _load_font(size: int, wide: bool) -> ImageFont.FreeTypeFont:
    if wide:
        with suppress(OSError):
            return ImageFont.truetype("DejaVuSans.ttf", size * S * 0.92)
    font = ImageFont.load_default(size * S)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
