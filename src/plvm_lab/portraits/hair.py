"""Hair and hats of a portrait head as SVG text, drawn for the average head; `head.py` scales them to a person's face.

Contract: `hair_back(style, color, hatted)` lies behind the torso, `hair_front(...)` in front of the face, and
`hat(kind, color)` on top. The average head is 80 units wide (x -40..40) and its face reaches from y -52 to y 50. Hair
stays within x -73..73 and y -92..102, hats within x -66..66 and y -105..-25. Under a hat, what would stick through the
crown (the bun, the spikes, the crest, the top of the afro) is left out or moved to where it shows.
"""

from __future__ import annotations

from collections.abc import Iterable

# value -> (base, shade); black's "shade" is lighter than its base, so that its strands and its outline can be seen
HAIR: dict[str, tuple[str, str]] = {
    "black": ("#25222e", "#514d66"),
    "brown": ("#7b4520", "#4a260e"),
    "blonde": ("#f6cf4e", "#c89321"),
    "red": ("#d9481a", "#98290a"),
    "white": ("#f1f3f7", "#aab2c2"),
    "blue": ("#2f72e8", "#1a459f"),
    "pink": ("#f77fbb", "#c64488"),
    "green": ("#2fb050", "#187034"),
}
SHINE: dict[str, str] = {
    "black": "#6d6988",
    "brown": "#b0703c",
    "blonde": "#fff0a8",
    "red": "#ff8a52",
    "white": "#ffffff",
    "blue": "#7fb0ff",
    "pink": "#ffc2e0",
    "green": "#80e090",
}
COLOR: dict[str, str] = {
    "red": "#dc2f36",
    "blue": "#2b6bd6",
    "green": "#2d9b4f",
    "yellow": "#f7c82e",
    "purple": "#8443b8",
    "orange": "#f2802a",
    "black": "#2b2b33",
    "white": "#f4f4f1",
}


def blob(d: str, fill: str, edge: str, width: float = 1.6) -> str:
    """A filled path with an outline."""
    return f'<path d="{d}" fill="{fill}" stroke="{edge}" stroke-width="{width:.3g}" stroke-linejoin="round"/>'


def line(d: str, color: str, width: float, opacity: float = 1) -> str:
    """A round-ended line."""
    faint = "" if opacity == 1 else f' opacity="{opacity:.3g}"'
    return f'<path d="{d}" fill="none" stroke="{color}" stroke-width="{width:.3g}" stroke-linecap="round"{faint}/>'


def disc(x: float, y: float, r: float, fill: str, edge: str = "none", width: float = 1.4) -> str:
    """A circle, outlined when `edge` is a colour."""
    stroke = "" if edge == "none" else f' stroke="{edge}" stroke-width="{width:.3g}"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.3g}" fill="{fill}"{stroke}/>'


def rings(circles: Iterable[tuple[float, float, float]]) -> str:
    """One path of many circles (x, y, r)."""
    return " ".join(f"M{x - r:.1f},{y:.1f} a{r},{r} 0 1 0 {2 * r},0 a{r},{r} 0 1 0 {-2 * r},0" for x, y, r in circles)


def _mirror(d: str) -> str:
    """The path `d` (absolute coordinates "x,y", no arcs) with x negated."""
    return " ".join(_mirror_word(word) for word in d.split())


def _mirror_word(word: str) -> str:
    head = word[0] if word[0].isalpha() else ""
    body = word[len(head) :]
    if "," not in body:
        return word
    x, y = body.split(",")
    return f"{head}{-float(x):g},{y}"


def _both(d: str) -> str:
    return f"{d} {_mirror(d)}"


# One path each: what lies behind the torso
BACK: dict[str, str] = {
    "long": "M-44,-20 C-56,20 -58,60 -64,96 Q0,108 64,96 C58,60 56,20 44,-20 C36,-64 -36,-64 -44,-20 Z",
    "bob": "M-44,-24 C-54,0 -58,24 -55,42 Q0,54 55,42 C58,24 54,0 44,-24 C34,-62 -34,-62 -44,-24 Z",
    "braids": "M-43,-24 C-50,0 -52,14 -46,30 L46,30 C52,14 50,0 43,-24 C34,-60 -34,-60 -43,-24 Z",
}
# Circles (x, y, r) behind the head
CURLS_BACK = (
    (-46, 26, 14),
    (46, 26, 14),
    (-50, 6, 15),
    (50, 6, 15),
    (-48, -18, 16),
    (48, -18, 16),
    (-38, 42, 12),
    (38, 42, 12),
)
AFRO_TOP = ((-44, -58, 19), (44, -58, 19), (-20, -74, 19), (20, -74, 19))
AFRO_SIDE = ((-55, -34, 18), (55, -34, 18), (-54, -8, 17), (54, -8, 17), (-47, 12, 14), (47, 12, 14))
TAIL = "M30,-46 C56,-66 78,-34 68,2 C64,26 70,44 60,64 C46,48 44,22 48,0 C50,-16 44,-28 32,-30 Z"

# The hair on the forehead and beside the face
_SIDE_LONG = (
    "M0,-63 C-34,-64 -50,-40 -50,-10 C-52,26 -56,60 -62,94 Q-50,98 -40,90 C-38,60 -40,30 -39,4 C-38,-14 -28,-34 0,-42 Z"
)
FRONT: dict[str, str] = {
    "short": "M-43,0 C-50,-44 -30,-66 4,-65 C36,-64 48,-40 43,0 L37,-2 C38,-16 35,-26 30,-33 "
    "C14,-33 0,-38 -10,-44 C-18,-36 -26,-33 -32,-30 C-36,-22 -37,-12 -37,-2 Z",
    "long": _both(_SIDE_LONG),
    "bun": "M-42,-6 C-47,-42 -28,-62 0,-62 C28,-62 47,-42 42,-6 C40,-28 28,-41 0,-42 C-28,-41 -40,-28 -42,-6 Z",
    "ponytail": "M-42,-4 C-48,-44 -28,-63 0,-63 C30,-63 48,-44 42,-6 C41,-28 30,-37 18,-42 C6,-34 -20,-34 -34,-30 "
    "C-39,-22 -40,-12 -42,-4 Z",
    "braids": _both(
        "M0,-62 C-34,-63 -50,-38 -49,-6 C-49,4 -47,12 -44,18 C-39,10 -40,0 -39,-6 C-36,-24 -22,-36 0,-46 Z"
    ),
    "bob": "M-40,44 C-56,46 -60,26 -56,4 C-56,-46 -34,-66 0,-66 C34,-66 56,-46 56,4 C60,26 56,46 40,44 "
    "C42,26 41,0 37,-14 L34,-31 L-34,-31 L-37,-14 C-41,0 -42,26 -40,44 Z",
    "spiky": "M-41,-2 L-54,-22 L-43,-25 L-58,-48 L-40,-47 L-44,-74 L-23,-61 L-16,-88 L-1,-65 L16,-88 L23,-61 L44,-74 "
    "L40,-47 L58,-48 L43,-25 L54,-22 L41,-2 L36,-22 L28,-35 L19,-31 L12,-41 "
    "L0,-31 L-10,-41 L-19,-31 L-27,-37 L-36,-22 Z",
}
HATTED: dict[str, str] = {
    "spiky": "M-41,2 L-60,-6 L-46,-14 L-64,-26 L-44,-30 L-40,-44 L40,-44 L44,-30 L64,-26 L46,-14 L60,-6 L41,2 L36,-18 "
    "L28,-29 L19,-24 L12,-33 L0,-24 L-10,-33 L-19,-24 L-27,-31 L-36,-18 Z",
}
CURLS_FRONT = (
    (-40, -38, 13),
    (40, -38, 13),
    (-26, -52, 14),
    (26, -52, 14),
    (-9, -56, 14),
    (10, -56, 14),
    (-16, -42, 10),
    (3, -43, 10),
    (20, -41, 10),
)
AFRO_CAP = (
    "M-43,2 C-50,-44 -30,-62 0,-62 C30,-62 50,-44 43,2 C38,-12 36,-24 28,-33 "
    "Q14,-40 0,-38 Q-14,-40 -28,-33 C-36,-24 -38,-12 -43,2 Z"
)
CREST = (
    "M-13,-34 C-20,-58 -22,-72 -19,-86 L-10,-77 L-4,-90 L3,-78 L11,-89 L16,-76 C20,-72 18,-54 13,-34 Q0,-26 -13,-34 Z"
)
CREST_HATTED = "M-14,-44 L-15,-20 L-8,-25 L-1,-13 L7,-25 L14,-19 L14,-44 Z"
STUBBLE = "M-39,-6 C-41,-36 -26,-54 0,-54 C26,-54 41,-36 39,-6 C37,-24 28,-37 10,-39 L-10,-39 C-28,-37 -37,-24 -39,-6 Z"

# Darker strands and light streaks over the front hair
STRANDS: dict[str, str] = {
    "short": "M-10,-44 C0,-50 10,-56 24,-56 M6,-38 C18,-42 28,-44 36,-40",
    "long": _both("M-4,-46 C-30,-42 -42,-24 -44,4 C-45,34 -48,60 -52,86"),
    "bun": "M0,-44 L0,-60 " + _both("M-16,-42 Q-14,-52 -6,-59 M-31,-33 Q-28,-46 -14,-57"),
    "ponytail": "M-30,-34 C-10,-40 14,-50 34,-46 M-34,-44 C-14,-54 14,-58 34,-50 "
    "M52,-38 C64,-24 58,0 56,12 C54,30 58,44 59,54",
    "braids": _both("M-6,-50 C-28,-44 -42,-28 -44,-2"),
    "bob": _both("M-22,-33 L-22,-44 M-8,-33 L-8,-46 M-48,-4 C-49,12 -50,24 -48,38"),
    "spiky": "M-30,-42 L-38,-64 M-10,-46 L-15,-74 M10,-46 L15,-74 M30,-42 L38,-64",
}
SHINES: dict[str, str] = {
    "short": "M-36,-36 C-32,-50 -20,-58 -6,-59",
    "long": _both("M-14,-56 C-30,-52 -42,-38 -45,-18"),
    "bun": "M-35,-34 C-32,-46 -24,-54 -14,-57",
    "ponytail": "M-37,-34 C-33,-48 -22,-56 -8,-58 M60,-28 C63,-16 60,-6 58,2",
    "braids": _both("M-14,-56 C-28,-52 -40,-40 -44,-22"),
    "bob": "M-50,-12 C-50,-36 -36,-56 -14,-60 M20,-58 C30,-55 38,-48 43,-38",
    "spiky": "M-34,-38 C-28,-48 -20,-54 -10,-57",
}


def _discs(circles: tuple[tuple[float, float, float], ...], fill: str, edge: str) -> str:
    """A scalloped mass: outlined circles, then the same circles a little smaller without outline to join them."""
    return blob(rings(circles), fill, edge, 3) + f'<path d="{rings(circles)}" fill="{fill}"/>'


def _curl_marks(circles: tuple[tuple[float, float, float], ...], color: str) -> str:
    """A C-shaped curl in every circle."""
    d = " ".join(
        f"M{x - r * 0.4:.1f},{y + 1:.1f} q{r * 0.1:.1f},{-r * 0.7:.1f} {r * 0.8:.1f},{-r * 0.2:.1f}"
        for x, y, r in circles
    )
    return line(d, color, 2)


def _bun(base: str, shade: str, shine: str, low: bool) -> str:
    """The bun: on top of the head, or low at one side under a hat."""
    place = "translate(48,20) scale(0.85)" if low else "translate(0,-69)"
    swirl = line("M-10,3 q8,-16 20,-5 M-5,8 q8,-10 16,-3", shade, 2) + line("M-10,-7 q5,-6 10,-5", shine, 2.6)
    return f'<g transform="{place}">{disc(0, 0, 16.5, base, shade, 1.6)}{swirl}</g>'


def hair_back(style: str, color: str, hatted: bool) -> str:
    """The hair behind the torso and the head."""
    base, shade = HAIR[color]
    if style in BACK:
        return blob(BACK[style], base, shade) + f'<path d="{BACK[style]}" fill="#000" opacity="0.16"/>'
    if style == "curly":
        return _discs(CURLS_BACK, base, shade) + _curl_marks(CURLS_BACK, shade)
    if style == "afro":
        circles = AFRO_SIDE if hatted else AFRO_SIDE + AFRO_TOP
        middle = "" if hatted else f'<ellipse cx="0" cy="-34" rx="56" ry="50" fill="{base}"/>'
        return _discs(circles, base, shade) + middle + _curl_marks(circles, SHINE[color])
    if style == "bun":
        return _bun(base, shade, SHINE[color], hatted)
    return ""


def _braid(side: int, base: str, shade: str, tie: str) -> str:
    """One braid in front of the shoulder."""
    x = side * 48
    links = ""
    for i in range(5):
        sway, y = (1 if i % 2 else -1), 20 + 13 * i
        links += (
            f'<ellipse cx="{x + side * sway * 2}" cy="{y}" rx="{10.5 - i * 0.5}" ry="8.5" fill="{base}" '
            f'stroke="{shade}" stroke-width="2" transform="rotate({side * sway * 24} {x} {y})"/>'
        )
    tuft = blob(f"M{x - 5},82 L{x - 8},98 Q{x},102 {x + 8},98 L{x + 5},82 Z", base, shade)
    return links + tuft + f'<rect x="{x - 6.5}" y="78" width="13" height="6" rx="2.5" fill="{tie}"/>'


def hair_front(style: str, color: str, hatted: bool) -> str:
    """The hair on the head and before the shoulders."""
    base, shade = HAIR[color]
    shine = SHINE[color]
    tie = "#ffd23f" if color in ("pink", "red", "blue", "green") else "#e23b5a"
    if style == "curly":
        return (
            _discs(CURLS_FRONT, base, shade)
            + _curl_marks(CURLS_FRONT, shade)
            + line("M-32,-56 q6,-7 14,-7", shine, 2.6)
        )
    if style == "afro":
        return f'<path d="{AFRO_CAP}" fill="{base}"/>' + line("M-28,-33 Q-14,-40 0,-38 Q14,-40 28,-33", shade, 1.6)
    if style == "mohawk":
        sides = f'<path d="{STUBBLE}" fill="{base}" opacity="0.22"/>'
        if hatted:
            return sides + blob(CREST_HATTED, base, shade)
        strands = line("M-7,-40 C-9,-58 -11,-68 -10,-78 M0,-38 L0,-78 M7,-40 C9,-58 11,-68 10,-78", shade, 1.8)
        return sides + blob(CREST, base, shade) + strands + line("M-13,-48 C-16,-62 -16,-70 -15,-78", shine, 2.6)
    parts = blob(HATTED[style] if hatted and style in HATTED else FRONT[style], base, shade)
    if style == "ponytail":
        parts = blob(TAIL, base, shade) + parts
    if not (hatted and style == "spiky"):
        parts += line(STRANDS[style], shade, 1.7, 0.85) + line(SHINES[style], shine, 3, 0.9)
    if style == "ponytail":
        parts += f'<rect x="36" y="-50" width="9" height="17" rx="4" transform="rotate(-24 40 -42)" fill="{tie}"/>'
    if style == "braids":
        parts += _braid(-1, base, shade, tie) + _braid(1, base, shade, tie)
    return parts


def _cap(c: str, edge: str) -> str:
    dome = blob("M-45,-34 C-46,-66 -26,-80 0,-80 C26,-80 46,-66 45,-34 Z", c, edge)
    seams = line("M0,-79 L0,-40 M-8,-79 C-24,-70 -27,-54 -27,-40 M8,-79 C24,-70 27,-54 27,-40", edge, 1.4, 0.6)
    brim = blob("M-45,-37 C-20,-46 20,-46 45,-37 C62,-32 64,-26 58,-25 C30,-34 -20,-34 -45,-31 Z", c, edge)
    under = '<path d="M-45,-34 C-20,-41 30,-41 60,-26 C30,-34 -20,-34 -45,-31 Z" fill="#000" opacity="0.22"/>'
    return dome + seams + disc(0, -80, 3.5, c, edge) + brim + under


def _beanie(c: str, edge: str) -> str:
    dome = blob("M-46,-38 C-48,-70 -26,-84 0,-84 C26,-84 48,-70 46,-38 Z", c, edge)
    band = f'<rect x="-49" y="-47" width="98" height="18" rx="8" fill="{c}" stroke="{edge}" stroke-width="1.6"/>'
    ribs = line(
        "M-36,-44 V-32 M-24,-44 V-32 M-12,-44 V-32 M0,-44 V-32 M12,-44 V-32 M24,-44 V-32 M36,-44 V-32", edge, 2, 0.7
    )
    return dome + band + ribs + disc(0, -87, 11, "#fffaf0", "#c9c2b4")


def _straw(c: str, _: str) -> str:
    brim = '<ellipse cx="0" cy="-36" rx="66" ry="10.5" fill="#f0d58a" stroke="#b98f3c" stroke-width="1.6"/>'
    dome = blob("M-37,-38 C-37,-68 -26,-78 0,-78 C26,-78 37,-68 37,-38 Q0,-30 -37,-38 Z", "#f0d58a", "#b98f3c")
    ribbon = f'<path d="M-37.500,-50 Q0,-42 37.500,-50 L37.500,-38 Q0,-30 -37.500,-38 Z" fill="{c}"/>'
    weave = line(
        "M-32,-60 Q0,-53 32,-60 M-26,-69 Q0,-63 26,-69 M-58,-35 Q-30,-29 0,-29 M58,-35 Q30,-29 0,-29",
        "#b98f3c",
        1.3,
        0.7,
    )
    return brim + dome + weave + ribbon


def _party(c: str, edge: str) -> str:
    dots = "#ffffff" if c not in (COLOR["white"], COLOR["yellow"]) else "#e23b5a"
    cone = blob("M-33,-40 L0,-100 L33,-40 Q0,-28 -33,-40 Z", c, edge)
    spots = "".join(disc(x, y, 4.2, dots) for x, y in ((-16, -45), (4, -42), (20, -48), (-6, -59), (9, -64), (0, -78)))
    return (
        line("M-33,-40 L-42,-6 M33,-40 L42,-6", "#55505f", 1.2, 0.7)
        + cone
        + spots
        + disc(0, -98, 7, "#ffd23f", "#d99a12")
    )


def _cowboy(c: str, _: str) -> str:
    brown, dark = "#9a6233", "#5f3818"
    dome = blob("M-38,-38 C-37,-64 -30,-82 -16,-80 Q0,-70 16,-80 C30,-82 37,-64 38,-38 Z", brown, dark)
    band = f'<path d="M-38,-50 Q0,-44 38,-50 L38.500,-38 Q0,-32 -38.500,-38 Z" fill="{c}"/>'
    brim = blob(
        "M-66,-52 C-60,-36 -40,-42 0,-40 C40,-42 60,-36 66,-52 C66,-32 46,-27 0,-28 C-46,-27 -66,-32 -66,-52 Z",
        brown,
        dark,
    )
    return dome + band + line("M0,-74 L0,-58", dark, 2, 0.7) + brim


HAT_DRAWERS = {"cap": _cap, "beanie": _beanie, "straw": _straw, "party": _party, "cowboy": _cowboy}


def hat(kind: str, color: str) -> str:
    """The hat, or nothing for "none"."""
    if kind == "none":
        return ""
    edge = {"black": "#5c5c6b", "white": "#a9a9b3", "yellow": "#b98a10"}.get(color, "#2a1830")
    return HAT_DRAWERS[kind](COLOR[color], edge)
