"""Heads of portrait people as SVG text.

Contract: `head_svg(person, look)` gives (behind, front), two strings of SVG shapes in local units: face centre (0, 0),
face 100 high (y -50..50) and about 80 wide, x right, y down. `behind` belongs behind the torso, `front` before it. The
caller draws the neck and applies place, scale and `look.tilt`; `look.turn` is applied here. No ids, no text, no
randomness. `SKIN`, `HAIR` and `COLOR` are the palettes; hair and hats live in `hair.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from plvm_lab.portraits.hair import COLOR, HAIR, blob, disc, hair_back, hair_front, hat, line, rings
from plvm_lab.portraits.person import Person
from plvm_lab.portraits.scene import Look

__all__ = ["COLOR", "HAIR", "SKIN", "head_svg"]

# value -> (base, shade)
SKIN: dict[str, tuple[str, str]] = {
    "pale": ("#fde6da", "#efc2b2"),
    "light": ("#f5c59c", "#dd9f74"),
    "tan": ("#d9985c", "#b87840"),
    "brown": ("#a2663a", "#7f4a26"),
    "dark": ("#623e2b", "#432618"),
}
LINE: dict[str, str] = {"pale": "#b56f60", "light": "#a25a38", "tan": "#7c441e", "brown": "#542c12", "dark": "#200e06"}
FULL_LIPS = {"pale": "#e67f8b", "light": "#d5666c", "tan": "#bf5560", "brown": "#d07c7c", "dark": "#c47a7c"}
BLUSH: dict[str, str] = {"pale": "#ff7f92", "light": "#f9667a", "tan": "#ee4d5c", "brown": "#e84c58", "dark": "#d8444f"}
BROW: dict[str, str] = {
    "black": "#16131b",
    "brown": "#3c1e0a",
    "blonde": "#8f6412",
    "red": "#7d2106",
    "white": "#777d8b",
    "blue": "#132f70",
    "pink": "#93265f",
    "green": "#0f4f24",
}
IRIS: dict[str, tuple[str, str]] = {
    "blue": ("#1f8fff", "#0b4fa8"),
    "green": ("#22b14c", "#0c6b2b"),
    "brown": ("#7a3d12", "#3f1c05"),
    "grey": ("#98a2ad", "#545d68"),
    "amber": ("#ffae00", "#b46a00"),
}
INK = "#241a22"


def _outline(lower: tuple[tuple[float, ...], ...], jaw: float) -> tuple[str, str]:
    """(whole face, its right lower edge from temple to chin) of cubic segments from (40, -8) to the chin."""
    cubics = [[(x * (jaw if y > 10 else 1), y) for x, y in zip(c[::2], c[1::2], strict=True)] for c in lower]
    right = " ".join("C" + " ".join(f"{x:.1f},{y:.1f}" for x, y in c) for c in cubics)
    points = [p for c in cubics for p in c]
    back = [(-x, y) for x, y in [*reversed(points[:-1]), (40.0, -8.0)]]
    left = " ".join("C" + " ".join(f"{x:.1f},{y:.1f}" for x, y in back[i : i + 3]) for i in range(0, len(back), 3))
    return f"M-40,-8 C-40,-38 -26,-53 0,-53 C26,-53 40,-38 40,-8 {right} {left} Z", f"M40,-8 {right}"


# face shape -> (width factor, cubic segments (x, y, x, y, x, y) down the right side, ending at the chin)
SHAPES: dict[str, tuple[float, tuple[tuple[float, ...], ...]]] = {
    "round": (1.12, ((41, 26, 27, 49, 0, 49),)),
    "oval": (0.93, ((41, 25, 28, 54, 0, 54),)),
    "square": (1.04, ((40, 6, 40, 18, 39, 27), (38, 43, 33, 51, 20, 51), (12, 51, 8, 51, 0, 51))),
    "pointed": (1.04, ((40, 10, 34, 22, 9, 51), (6, 57, 3, 59, 0, 59))),
}
JAW: dict[str, float] = {"man": 1.06, "woman": 0.94}
FACES = {(s, g): _outline(cubics, jaw) for s, (_, cubics) in SHAPES.items() for g, jaw in JAW.items()}


@dataclass(frozen=True)
class Frame:
    """What every feature needs: who, how today, the head's scale and the places of eyes and mouth."""

    person: Person
    look: Look
    sx: float
    sy: float
    shift: float
    eye_x: float
    eye_y: float
    mouth_y: float

    @property
    def skin(self) -> tuple[str, str]:
        """The colours of the skin: of the face, of its shadows."""
        return SKIN[self.person["skin"]]

    @property
    def ink(self) -> str:
        """The dark tone of lines on this skin."""
        return LINE[self.person["skin"]]


def _frame(person: Person, look: Look) -> Frame:
    sx = SHAPES[person["face"]][0] * (1 + 0.11 * person.size("face_width"))
    sy = 1 + 0.09 * person.size("face_height")
    eye_x = 18.5 * (1 + 0.13 * person.size("eye_gap")) * (0.6 + 0.4 * sx)
    mouth_y = 31 + 3 * person.size("mouth_height") + 5 * person.size("face_height") * 0.6
    return Frame(person, look, sx, sy, 6 * look.turn, eye_x, -2, mouth_y)


def _group(transform: str, body: str) -> str:
    return f'<g transform="{transform}">{body}</g>' if body else ""


def _ears(f: Frame) -> str:
    base, shade = f.skin
    size = 1 + 0.28 * f.person.size("ear_size")
    rx, ry = 8.5 * size, 12 * size
    out = ""
    for side in (-1, 1):
        x = side * 41
        out += (
            f'<ellipse cx="{x}" cy="3" rx="{rx:.1f}" ry="{ry:.1f}" fill="{base}" stroke="{f.ink}" stroke-width="1.2"/>'
        )
        out += f'<ellipse cx="{x + side * 1.5}" cy="3" rx="{rx * 0.5:.1f}" ry="{ry * 0.6:.1f}" fill="{shade}"/>'
    return out


def _face(f: Frame) -> str:
    base, shade = f.skin
    whole, right = FACES[f.person["face"], f.person["gender"]]
    inner = "C20,44 31,26 31,0 C31,-26 22,-44 8,-52.500 C28,-50 40,-36 40,-8 Z"
    return blob(whole, base, f.ink, 1.4) + f'<path d="{right} {inner}" fill="{shade}" opacity="0.6"/>'


def _age(f: Frame) -> str:
    """Folds and wrinkles."""
    age = f.person["age"]
    if age == "young":
        return ""
    ex, ey, my = f.eye_x, f.eye_y, f.mouth_y
    folds, under, rest = [], [], []
    for s in (-1, 1):
        folds.append(f"M{s * 11},{ey + 18} Q{s * 24:.1f},{ey + 22} {s * 24:.1f},{my + 2:.1f}")
        under.append(f"M{s * (ex - 9):.1f},{ey + 15} Q{s * ex:.1f},{ey + 20} {s * (ex + 9):.1f},{ey + 15}")
        for end in (-6, 0, 6):
            rest.append(f"M{s * (ex + 14):.1f},{ey + 3 + end * 0.3:.1f} L{s * (ex + 20):.1f},{ey + 3 + end}")
        rest.append(f"M{s * (ex - 7):.1f},{ey + 19} Q{s * ex:.1f},{ey + 24} {s * (ex + 8):.1f},{ey + 18}")
    if age == "middle":
        return line(" ".join(folds), f.ink, 1.9, 0.8) + line(" ".join(under), f.ink, 1.5, 0.7)
    rest.append("M-22,-30 Q0,-35 22,-30 M-24,-36 Q0,-41 24,-36 M-3,-24 L-3,-16 M3,-24 L3,-16")
    return line(" ".join(folds), f.ink, 2.5) + line(" ".join(under + rest), f.ink, 1.9, 0.9)


def _temples(f: Frame) -> str:
    """Grey strands at an old person's temples."""
    if f.person["age"] != "old" or f.person["hair_color"] == "white" or f.person["hairstyle"] == "mohawk":
        return ""
    return line("M-42,-10 C-43,-18 -41,-26 -38,-32 M42,-10 C43,-18 41,-26 38,-32", "#dfe2e8", 3, 0.9)


# Ellipse (rx, ry) of the open eye; the iris' radius; how far the iris reaches up and down when lids cut it
EYES: dict[str, tuple[float, float, float]] = {
    "round": (12.2, 13.2, 9.3),
    "narrow": (15, 5.6, 7.8),
    "droopy": (13, 11.5, 8.6),
}
LASHES: dict[str, str] = {
    "round": "M8,-10 L13,-16 M11,-6 L17,-10 M3.500,-12.700 L6,-19",
    "narrow": "M9,-4.500 L14,-10 M13,-2 L19,-6 M4,-5.400 L6.500,-11",
    "droopy": "M11,2.500 L18,1 M8,1.500 L14,-3 M11,5 L18,6",
}


SHADOW: dict[str, str] = {
    "round": "M-10,-10.500 C-5,-18.500 6,-18 12,-9",
    "narrow": "M-12,-4 C-6,-11 8,-11 15,-6",
    "droopy": "M-11,-8.500 C-5,-16 8,-16 14.500,-1",
}


def _eye_shape(shape: str, skin: tuple[str, str], ink: str, lashes: bool) -> tuple[str, str]:
    """(white of the eye, lids and lashes), for a right eye around (0, 0) with the nose to the left."""
    rx, ry, _ = EYES[shape]
    if shape == "narrow":
        almond = "M-15,1.500 C-8,-7.500 6,-8 15,-2.500 C9,7 -8,7.500 -15,1.500 Z"
        white, lids = blob(almond, "#fff", INK, 1.3), line("M-15,1.500 C-8,-7.500 6,-8 15,-2.500", INK, 2.8)
    else:
        white = f'<ellipse rx="{rx}" ry="{ry}" fill="#fff" stroke="{INK}" stroke-width="1.5"/>'
        lids = line("M-11.500,-5 C-8,-17 8,-17 11.500,-5", INK, 2.6)
    if shape == "droopy":
        lid = "M-12.800,-4 A13.500,12 0 0 1 13.500,4.500 L13,6 Q0,-2 -12.800,-4 Z"
        lids = blob(lid, skin[1], ink, 1) + line("M-13,-4.500 Q1,-2.500 14.500,7.500", INK, 3)
    if lashes:
        white = line(SHADOW[shape], "#a45bb5", 3.6, 0.7) + white
    return white, lids + (line(LASHES[shape], INK, 2.1) if lashes else "")


def _iris(shape: str, color: str, x: float) -> str:
    """The iris, cut at the lids where the eye is narrow, the pupil and a glint."""
    fill, edge = IRIS[color]
    r = EYES[shape][2]
    if shape == "narrow":
        h = 5.2
        c = sqrt(r * r - h * h)
        left, right = f"{x - c:.1f}", f"{x + c:.1f}"
        d = f"M{left},{-h} L{right},{-h} A{r},{r} 0 0 1 {right},{h} L{left},{h} A{r},{r} 0 0 1 {left},{-h} Z"
        return blob(d, fill, edge, 1.2) + disc(x, 0, 3.2, "#0d0a10") + disc(x + 2.6, -2.2, 1.7, "#fff")
    y = 2.4 if shape == "droopy" else -0.5
    return disc(x, y, r - 0.7, fill, edge, 1.5) + disc(x, y + 0.5, 4, "#0d0a10") + disc(x + 3.2, y - 2.8, 2.6, "#fff")


def _eyes(f: Frame) -> str:
    p = f.person
    shape = p["eye_shape"]
    white, lids = _eye_shape(shape, f.skin, f.ink, p["gender"] == "woman")
    size = (1 + 0.12 * p.size("eye_size")) * (1.08 if f.look.expression == "surprised" else 1)
    out = ""
    for s in (-1, 1):
        iris = _iris(shape, p["eye_color"], 2 * f.look.turn)
        mirrored = s < 0
        shapes = (_group("scale(-1,1)", white), _group("scale(-1,1)", lids)) if mirrored else (white, lids)
        out += _group(f"translate({s * f.eye_x:.1f},{f.eye_y}) scale({size:.3f})", shapes[0] + iris + shapes[1])
    return out


# value -> (path of the right brow, line width); expression -> (turn in degrees, raise)
BROWS: dict[str, tuple[str, float]] = {
    "thin": ("M-11,1 Q1,-4 12,1", 2.3),
    "thick": ("M-10,0 Q1,-4 12,1", 7.6),
    "arched": ("M-11,4 C-6,-6 4,-11 14,4", 3.6),
}
BROW_MOOD: dict[str, tuple[float, float]] = {
    "smiling": (0, 0),
    "laughing": (4, 2),
    "sad": (20, 1),
    "angry": (-22, -2.5),
    "surprised": (2, 6),
    "calm": (0, 0),
}


def _brows(f: Frame) -> str:
    p = f.person
    d, width = BROWS[p["brows"]]
    color = BROW[p["hair_color"]]
    if p["skin"] == "dark":
        color = "#d9dce3" if p["hair_color"] == "white" else "#150a05"
    elif p["age"] == "old" and p["hair_color"] != "white":
        color = "#5d5a60"
    angle, up = BROW_MOOD[f.look.expression]
    top = f.eye_y - 20.8 - 2.6 * p.size("brow_height") - up + (2 if p["eye_shape"] == "narrow" else 0)
    brow = line(d, color, width)
    return "".join(
        _group(f"translate({s * f.eye_x:.1f},{top:.1f}) scale({s},1) rotate({angle})", brow) for s in (-1, 1)
    )


def _nose(f: Frame) -> str:
    shade, ink = f.skin[1], f.ink
    shapes = {
        "button": disc(0, 12, 5.6, shade, ink, 1.7) + disc(-1.8, 10, 1.5, f.skin[0]),
        "long": blob(
            "M-2.500,-12 C-3,2 -6,12 -6.500,16 Q-6,21 0,21 Q6,21 6.500,16 C6,12 3,2 2.500,-12", shade, ink, 1.7
        ),
        "wide": blob("M-5,4 C-6,8 -14,8 -14,14 C-14,20 -6,19 0,19 C6,19 14,20 14,14 C14,8 6,8 5,4", shade, ink, 1.7)
        + f'<ellipse cx="-6" cy="16" rx="3" ry="2" fill="{ink}"/><ellipse cx="6" cy="16" rx="3" ry="2" fill="{ink}"/>',
        "pointed": blob("M-1,-6 L-9,16 L9,19 Z", shade, ink, 2) + line("M-9,16 L9,19", ink, 2.6),
    }
    size = 1 + 0.16 * f.person.size("nose_size")
    return _group(f"translate({2.5 * f.look.turn:.1f},{8 - 8 * size:.1f}) scale({size:.3f})", shapes[f.person["nose"]])


# expression -> (width factor, how far the corners are up, opening); an opening above 0 is an open mouth
MOODS: dict[str, tuple[float, float, float]] = {
    "smiling": (1.25, 7, 0),
    "laughing": (1.2, 4, 15),
    "sad": (1.05, -7, 0),
    "angry": (0.8, -2.5, 0),
    "surprised": (0.58, 0, 10),
    "calm": (1, 0.6, 0),
}
LIP: dict[str, tuple[float, float]] = {"thin": (0, 2.4), "full": (6, 6), "red": (4.6, 5.5)}


def _mouth_shape(expression: str, half: float, lip: float) -> str:
    """The outline of the mouth around (0, 0): a line for thin lips, lips otherwise, an opening when it is open."""
    factor, up, gap = MOODS[expression]
    m = half * factor
    if expression == "surprised":
        return f"M0,{-gap} C{m},{-gap} {m},{gap} 0,{gap} C{-m},{gap} {-m},{-gap} 0,{-gap} Z"
    if gap:
        return f"M{-m:.1f},{-up} Q0,{up - 4} {m:.1f},{-up} C{m:.1f},{gap} {-m:.1f},{gap} {-m:.1f},{-up} Z"
    if not lip:
        return f"M{-m:.1f},{-up} Q0,{up} {m:.1f},{-up}"
    top = -0.35 * up - 1.5 * lip
    return (
        f"M{-m:.1f},{-up} C{-m * 0.5:.1f},{top:.1f} {-m * 0.2:.1f},{-lip * 1.2:.1f} 0,{-lip * 0.7:.1f} "
        f"C{m * 0.2:.1f},{-lip * 1.2:.1f} {m * 0.5:.1f},{top:.1f} {m:.1f},{-up} "
        f"Q0,{2.3 * lip + up:.1f} {-m:.1f},{-up} Z"
    )


def _mouth(f: Frame) -> str:
    kind = f.person["lips"]
    lip, width = LIP[kind]
    color = {"thin": f.ink, "full": FULL_LIPS[f.person["skin"]], "red": "#d90b2a"}[kind]
    half = 15.5 * (1 + 0.18 * f.person.size("mouth_width"))
    mood = f.look.expression
    factor, up, gap = MOODS[mood]
    m = half * factor
    d = _mouth_shape(mood, half, lip)
    bearded = f.person["facial_hair"] in ("beard", "goatee", "moustache")
    back = blob(d, f.skin[0] if lip or gap else "none", f.skin[0], 11 if lip == 0 else 9) if bearded else ""
    if gap:
        inside = blob(d, "#5a1220", color, width)
        if mood == "laughing":
            w = m - width * 0.5
            teeth = (
                f"M{-w:.1f},{-up + 1} Q0,{up - 3} {w:.1f},{-up + 1} Q{w:.1f},4 {w * 0.6:.1f},4.5 "
                f"L{-w * 0.6:.1f},4.5 Q{-w:.1f},4 {-w:.1f},{-up + 1} Z"
            )
            inside += (
                f'<path d="{teeth}" fill="#fff"/>'
                + f'<path d="{d}" fill="none" stroke="{color}" stroke-width="{width}"/>'
            )
        body = inside
    elif lip:
        body = blob(d, color, "#7d0014" if kind == "red" else f.ink, 1)
        body += line(f"M{-m:.1f},{-up} Q0,{up} {m:.1f},{-up}", "#5c0010" if kind == "red" else f.ink, 1.6)
        body += line(f"M{-m * 0.25:.1f},{lip * 0.6 + 0.8:.1f} L{m * 0.2:.1f},{lip * 0.6 + 0.8:.1f}", "#fff", 1.5, 0.5)
    else:
        body = line(d, color, width + 0.4)
    return _group(f"translate(0,{f.mouth_y:.1f})", back + body)


def _beard_back(f: Frame) -> str:
    """A full beard or a goatee, in the scaled head's units."""
    kind = f.person["facial_hair"]
    base, shade = HAIR[f.person["hair_color"]]
    if kind == "goatee":
        return blob("M-15,39 Q0,33 15,39 C15,52 9,66 0,70 C-9,66 -15,52 -15,39 Z", base, shade, 1.6) + line(
            "M-5,44 L-3,60 M5,44 L3,60", shade, 1.6
        )
    if kind != "beard":
        return ""
    d = (
        "M-41,-6 C-44,22 -42,44 -26,58 Q0,74 26,58 C42,44 44,22 41,-6 C37,6 34,18 24,20 "
        "C16,22 10,17 0,19 C-10,17 -16,22 -24,20 C-34,18 -37,6 -41,-6 Z"
    )
    strands = "M-32,28 C-31,42 -24,52 -18,56 M32,28 C31,42 24,52 18,56 M-9,48 L-6,61 M9,48 L6,61"
    return blob(d, base, shade, 1.6) + line(strands, shade, 1.8)


def _moustache(f: Frame) -> str:
    if f.person["facial_hair"] != "moustache":
        return ""
    base, shade = HAIR[f.person["hair_color"]]
    d = "M0,-9 C8,-14 18,-10 27,-13 C26,-2 12,2 0,-3 C-12,2 -26,-2 -27,-13 C-18,-10 -8,-14 0,-9 Z"
    top = f.mouth_y - (9 if f.look.expression == "surprised" else 3)
    return _group(f"translate(0,{top:.1f})", blob(d, base, shade, 1.6) + line("M0,-8 L0,-4", shade, 1.4))


BIRTHMARK = (
    "M-40,-24 C-34,-36 -22,-33 -15,-27 C-8,-22 -12,-14 -17,-10 "
    "C-8,0 -14,10 -20,11 C-24,20 -36,19 -38,10 C-43,0 -39,-12 -40,-24 Z"
)
FRECKLES = ((-31, 13), (-25, 18), (-19, 13.5), (-26, 10), (-14, 18.5), (-33, 19), (-20, 23), (-6, 6), (0, 2), (6, 6))


def _mark_under(f: Frame) -> str:
    """Marks that eyes and hair may cover: freckles, rosy cheeks, the birthmark."""
    kind, skin = f.person["mark"], f.person["skin"]
    k = 0.5 + 0.5 * f.sx
    if kind == "birthmark":
        color = "#8c3a55" if skin in ("pale", "light", "tan") else "#4a1836" if skin == "brown" else "#b0688a"
        return _group(f"scale({k:.2f},1)", f'<path d="{BIRTHMARK}" fill="{color}" opacity="0.88"/>')
    if kind == "blush":
        x, c = 28 * k, BLUSH[skin]
        return f'<g opacity="0.8">{disc(-x, 17, 10.5, c)}{disc(x, 17, 10.5, c)}</g>'
    if kind == "freckles":
        color = {"dark": "#d69566", "brown": "#3d1a08"}.get(skin, "#8c431a")
        spots = [(s * x * k, y, 2.1) for x, y in FRECKLES for s in ((1, -1) if x < -10 else (1,))]
        return f'<path d="{rings(spots)}" fill="{color}"/>'
    return ""


def _mark_over(f: Frame) -> str:
    """Marks that nothing but hair covers: the mole and the scar."""
    kind = f.person["mark"]
    if kind == "mole":
        ringed = f.person["skin"] == "dark" or f.person["facial_hair"] == "beard"
        return disc(23, f.mouth_y - 11, 4.7, "#1d0d0a", "#fff3e6" if ringed else "none", 1.6)
    if kind == "scar":
        slash, stitches = "M36,4 L16,29", "M25,9 L33,16 M21,14 L29,21 M17,19 L25,26"
        dark, bright = ("#fbd9c8", "#8e3d38") if f.person["skin"] in ("brown", "dark") else ("#a11f2b", "#ffd9d3")
        return line(slash, bright, 6) + line(slash, dark, 2.8) + line(stitches, dark, 2.2)
    return ""


def _glasses(f: Frame) -> str:
    kind = f.look.glasses
    if kind == "none":
        return ""
    ex, y, far = f.eye_x, f.eye_y, 41 * f.sx
    arms = line(
        f"M{-ex - 16:.1f},{y - 3} L{-far - f.shift:.1f},{y - 2} M{ex + 16:.1f},{y - 3} L{far - f.shift:.1f},{y - 2}",
        "#1b1b24",
        3,
    )
    bridge = line(f"M{-ex + 14:.1f},{y - 3} Q0,{y - 8} {ex - 14:.1f},{y - 3}", "#1b1b24", 3.2)
    if kind == "glasses":
        r = min(16.5, ex - 1)
        rims = rings((s * ex, y, r) for s in (-1, 1))
        lens = f'<path d="{rims}" fill="#dff1ff" fill-opacity="0.16" stroke="#1b1b24" stroke-width="3"/>'
        return arms + bridge + lens
    d = "M-17,-12 Q0,-15 17,-12 C18,4 12,14 0,14 C-12,14 -18,4 -17,-12 Z"
    dark = blob(d, "#17171f", "#000", 1.6) + line("M-9,-6 L-3,-10 M-9,2 L4,-8", "#8fa3c4", 2.4, 0.85)
    return arms + bridge + "".join(_group(f"translate({s * ex:.1f},{y})", dark) for s in (-1, 1))


def _earrings(f: Frame) -> str:
    kind = f.person["earrings"]
    if kind == "none":
        return ""
    drop = {
        "gold": '<circle cy="9" r="7.500" fill="none" stroke="#8a5c00" stroke-width="5.200"/>'
        '<circle cy="9" r="7.500" fill="none" stroke="#ffc81f" stroke-width="3.400"/>',
        "green": blob("M0,-1 C3,6 8,9 8,15 C8,23 -8,23 -8,15 C-8,9 -3,6 0,-1 Z", "#00b368", "#00502e", 1.6)
        + line("M-3,12 L-3,16", "#b6ffdc", 2.4),
        "pearl": disc(0, 8, 7.6, "#fffdf6", "#77728a", 1.5)
        + disc(2.2, 10, 3.6, "#e3dcea")
        + disc(-2.4, 5.5, 2.2, "#fff"),
    }[kind]
    y = 12 + 3.4 * f.person.size("ear_size")
    return "".join(_group(f"translate({s * 44 * f.sx:.1f},{y:.1f})", drop) for s in (-1, 1))


def head_svg(person: Person, look: Look) -> tuple[str, str]:
    """(behind, front): hair etc. that lies behind the torso, and everything in front of it."""
    f = _frame(person, look)
    style, color, hatted = person["hairstyle"], person["hair_color"], look.hat != "none"
    scale = f"scale({f.sx:.3f},{f.sy:.3f})"
    shift = f"translate({f.shift:.1f},0)"
    skull = _group(scale, _ears(f) + _face(f) + _beard_back(f))
    features = _mark_under(f) + _age(f) + _mouth(f) + _nose(f) + _moustache(f) + _mark_over(f)
    hair = _group(scale, hair_front(style, color, hatted) + _temples(f))
    eyes = _eyes(f) if look.glasses != "sunglasses" else ""
    top = _group(shift, eyes + _brows(f) + _glasses(f))
    crown = _group(scale, hat(look.hat, look.hat_color))
    front = skull + _group(shift, features) + hair + top + crown + _earrings(f)
    return _group(scale, hair_back(style, color, hatted)), front
