"""The body of a person as SVG: neck, garment, and what the hands hold.

Contract: `body_svg(person, look)` is everything below the chin that lies between the two head layers; `held_svg(person,
look)` is the arms, hands and prop of the activity, to be drawn over the head's front layer (a phone lies over the ear).
Both are pure functions of their arguments and use local coordinates: face centre (0, 0), face 100 units high. The prop
stays within x +-85, y -62..130; `side=-1` mirrors it to the left. No ids, no filters.
"""

from __future__ import annotations

from collections.abc import Callable

from plvm_lab.portraits.head import COLOR, SKIN
from plvm_lab.portraits.person import Person
from plvm_lab.portraits.scene import Look

_INK = "#2b2d42"


def _mix(color: str, other: str, share: float) -> str:
    """`color` moved towards `other` by `share` in [0, 1]; both "#rrggbb"."""
    pairs = ((int(color[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _shade(color: str) -> str:
    """The darker companion of a flat colour; near-black becomes lighter instead, so that folds stay visible."""
    dark = sum(int(color[i : i + 2], 16) for i in (1, 3, 5)) < 210
    return _mix(color, "#ffffff", 0.16) if dark else _mix(color, "#1d1b4b", 0.2)


def shoulder_width(person: Person) -> float:
    """Half the width of the shoulders."""
    return (82 if person["gender"] == "man" else 71) + 7 * person.size("shoulders")


# --- garments: each (w, colour, shade, skin) -> SVG over the plain torso ---


def _torso(w: float, fill: str) -> str:
    """Shoulders, trunk and upper arms in one silhouette."""
    return (
        f'<path fill="{fill}" d="M{-w - 9:.0f} 340L{-w - 5:.0f} 132Q{-w:.0f} 96 {-w + 30:.0f} 84L-23 66Q0 88 23 66'
        f'L{w - 30:.0f} 84Q{w:.0f} 96 {w + 5:.0f} 132L{w + 9:.0f} 340Z"/>'
    )


def _folds(w: float, shade: str) -> str:
    """The lines where the arms meet the trunk."""
    a = w - 21
    return (
        f'<path fill="none" stroke="{shade}" stroke-width="4" stroke-linecap="round" '
        f'd="M{-a:.0f} 128Q{-a + 5:.0f} 220 {-a + 2:.0f} 340M{a:.0f} 128Q{a - 5:.0f} 220 {a - 2:.0f} 340"/>'
    )


def _neck(skin: tuple[str, str]) -> str:
    base, shade = skin
    return (
        f'<path fill="{base}" d="M-17 25V62Q-22 70-34 72Q0 112 34 72Q22 70 17 62V25Z"/>'
        f'<path fill="{shade}" d="M-17 30H17V56Q0 68-17 56Z"/>'
    )


def _tshirt(w: float, color: str, shade: str, skin: tuple[str, str]) -> str:
    a = w - 21
    sleeve = (
        f'<path fill="{skin[0]}" d="M{-w - 8:.0f} 176L{-a + 1:.0f} 182L{-a + 2:.0f} 340H{-w - 9:.0f}Z'
        f'M{w + 8:.0f} 176L{a - 1:.0f} 182L{a - 2:.0f} 340H{w + 9:.0f}Z"/>'
        f'<path stroke="{shade}" stroke-width="6" d="M{-w - 8:.0f} 173L{-a + 1:.0f} 179'
        f'M{w + 8:.0f} 173L{a - 1:.0f} 179"/>'
    )
    ring = f'<path fill="none" stroke="{shade}" stroke-width="6" d="M-36 77Q0 115 36 77"/>'
    return _torso(w, color) + _folds(w, shade) + sleeve + ring


def _hoodie(w: float, color: str, shade: str, skin: tuple[str, str]) -> str:
    cord = "#ffffff" if color != COLOR["white"] else "#8d99ae"
    return (
        _torso(w, color) + _folds(w, shade) + f'<path fill="{shade}" d="M-18 50Q-56 52-56 82'
        'Q-30 112 0 114Q30 112 56 82Q56 52 18 50Q30 74 0 96Q-30 74-18 50Z"/>'
        + f'<path fill="{_mix(color, "#ffffff", 0.14)}" d="M-30 55Q-52 60-52 80Q-28 106 0 108Q28 106 52 80Q52 60 30 55'
        f'Q42 82 0 102Q-42 82-30 55Z"/>'
        + f'<path stroke="{cord}" stroke-width="4.5" stroke-linecap="round" d="M-17 104V142M17 104V136"/>'
        + f'<path fill="{shade}" d="M-34 196H34L48 250H-48Z"/>'
    )


def _jacket(w: float, color: str, shade: str, skin: tuple[str, str]) -> str:
    shirt = "#fff3dc" if color != COLOR["white"] else "#a9c4e0"
    return (
        _torso(w, color)
        + _folds(w, shade)
        + f'<path fill="{shirt}" d="M-23 66Q0 88 23 66L33 340H-33Z"/>'
        + f'<path fill="{shade}" d="M-24 63L-46 78L-52 112L-36 112L-28 140ZM24 63L46 78L52 112L36 112L28 140Z"/>'
        + '<path fill="none" stroke="#e9c46a" stroke-width="3.5" d="M-25 76L-32 340M25 76L32 340"/>'
    )


def _stripes(w: float, color: str, shade: str, skin: tuple[str, str]) -> str:
    plain = color == COLOR["white"]
    band = "#c3ccd9" if plain else color
    rows = "".join(f"M{-w - 4 - y / 90:.0f} {y}Q0 {y + 12} {w + 4 + y / 90:.0f} {y}" for y in range(132, 330, 28))
    return (
        _torso(w, "#ffffff")
        + f'<path fill="none" stroke="{band}" stroke-width="14" d="M{-w + 14:.0f} 100Q0 124 {w - 14:.0f} 100{rows}"/>'
        + _folds(w, "#d5dae3")
        + f'<path fill="none" stroke="{band}" stroke-width="7" d="M-36 77Q0 115 36 77"/>'
    )


def _suit(w: float, color: str, shade: str, skin: tuple[str, str]) -> str:
    tie = {COLOR["black"]: "#e63946", COLOR["red"]: _INK, COLOR["orange"]: _INK}.get(color, "#c1283e")
    return (
        _torso(w, color)
        + _folds(w, shade)
        + '<path fill="#ffffff" d="M-24 62L0 84L24 62L30 80L0 196L-30 80Z"/>'
        + f'<path fill="{tie}" d="M-9 82H9L6 97L12 150L0 172L-12 150L-6 97Z"/>'
        + f'<path fill="{shade}" d="M-23 62L-40 74L-54 112L-40 118L-46 128L0 200L-24 112ZM23 62L40 74L54 112L40 118'
        'L46 128L0 200L24 112Z"/>' + '<path fill="#e6eaf2" d="M-24 58L0 83L-15 94L-29 68ZM24 58L0 83L15 94L29 68Z"/>'
    )


def _overalls(w: float, color: str, shade: str, skin: tuple[str, str]) -> str:
    return (
        _torso(w, "#cdd3dc")
        + _folds(w, "#a9b2c0")
        + '<path fill="none" stroke="#a9b2c0" stroke-width="6" d="M-36 77Q0 115 36 77"/>'
        + f'<path fill="{color}" d="M-50 78L-33 73L-28 116H28L33 73L50 78L47 190Q{w - 24:.0f} 210 {w - 24:.0f} 340'
        f'H{-w + 24:.0f}Q{-w + 24:.0f} 210-47 190Z"/>'
        + f'<path fill="none" stroke="{shade}" stroke-width="4" d="M-47 122H47M-24 150H24V182H-24Z"/>'
        + '<path fill="#f2c14e" d="M-45 122a7 7 0 1 0 14 0a7 7 0 1 0-14 0M31 122a7 7 0 1 0 14 0a7 7 0 1 0-14 0"/>'
    )


_GARMENTS: dict[str, Callable[[float, str, str, tuple[str, str]], str]] = {
    "tshirt": _tshirt,
    "hoodie": _hoodie,
    "jacket": _jacket,
    "stripes": _stripes,
    "suit": _suit,
    "overalls": _overalls,
}


def body_svg(person: Person, look: Look) -> str:
    """Neck, shoulders and garment, without the lifted arms of an activity."""
    skin, color = SKIN[person["skin"]], COLOR[look.color]
    clothes = _GARMENTS[look.clothes](shoulder_width(person), color, _shade(color), skin)
    neck = _neck(skin)
    collar_stands = look.clothes in ("suit", "hoodie", "jacket")  # and so lies over the neck
    return neck + clothes if collar_stands else clothes + neck


# --- props: SVG text; hands and arms are added by `held_svg` ---

_BOOK = (
    '<path fill="#b5263c" d="M-47 72Q-20 64 0 75Q20 64 47 72V122Q20 114 0 125Q-20 114-47 122Z"/>'
    '<path fill="#fffaf0" d="M-43 68Q-18 60 0 71V119Q-18 108-43 116Z"/>'
    '<path fill="#f1e6d0" d="M43 68Q18 60 0 71V119Q18 108 43 116Z"/>'
    '<path fill="none" stroke="#a79f90" stroke-width="3.4" d="M-36 77Q-20 72-7 79M-36 88Q-20 83-7 90'
    'M-36 99Q-20 94-7 101M36 77Q20 72 7 79M36 88Q20 83 7 90M36 99Q20 94 7 101"/>'
)
_MUG = (
    '<path fill="none" stroke="#ffffff" stroke-width="5" stroke-linecap="round" '
    'd="M10 68q-7-8 0-15t0-14M26 66q-7-8 0-15t0-14"/>'
    '<path fill="none" stroke="#e8505b" stroke-width="7" d="M36 86Q56 84 54 98Q52 112 34 112"/>'
    '<path fill="#e8505b" d="M-4 76H40V110Q40 128 26 128H10Q-4 128-4 110Z"/>'
    '<path fill="#ffffff" d="M-4 92H40V105H-4Z"/>'
    '<ellipse cx="18" cy="77" rx="22" ry="6.5" fill="#ffe5d9"/>'
    '<ellipse cx="18" cy="78" rx="18" ry="4.5" fill="#5a3521"/>'
)
_CONE = (
    '<path fill="#e0a458" d="M6 84H44L25 132Z"/>'
    '<path fill="none" stroke="#b9762f" stroke-width="2.6" d="M14 86L30 118M26 86L35 106M38 86L20 118M26 86L15 106"/>'
    '<circle cx="14" cy="76" r="15" fill="#8fe3c0"/><circle cx="36" cy="76" r="15" fill="#fff1c9"/>'
    '<circle cx="25" cy="60" r="17" fill="#ff8fb8"/><circle cx="25" cy="42" r="6" fill="#d90429"/>'
)
_GUITAR = (
    '<path stroke="#5b3216" stroke-width="9" d="M0 100L68 64"/>'
    '<path stroke="#2b1608" stroke-width="14" stroke-linecap="round" d="M68 64L79 58"/>'
    '<circle cx="-30" cy="114" r="27" fill="#8f4a1c"/><circle cx="2" cy="98" r="20" fill="#8f4a1c"/>'
    '<circle cx="-30" cy="114" r="23" fill="#e59545"/><circle cx="2" cy="98" r="16" fill="#e59545"/>'
    '<circle cx="-9" cy="104" r="10" fill="#4a2610"/><path stroke="#4a2610" stroke-width="6" d="M-45 111L-36 129"/>'
    '<path stroke="#fff3dc" stroke-width="2" d="M-40 120L68 63"/>'
)
_BALLOON = (
    '<path fill="none" stroke="#ffffff" stroke-width="2.6" d="M60-4Q68 28 56 52T46 104"/>'
    '<path fill="#b8102f" d="M60-8L53 2H67Z"/><ellipse cx="60" cy="-33" rx="23" ry="28" fill="#ef233c"/>'
    '<ellipse cx="52" cy="-44" rx="6" ry="9" fill="#ff9aa8" transform="rotate(20 52 -44)"/>'
)
_PHONE = (
    '<g transform="rotate(10 48 6)"><rect x="38" y="-26" width="21" height="58" rx="5" fill="#14151f"/>'
    '<rect x="41" y="-20" width="15" height="44" rx="2" fill="#5fd3f3"/></g>'
)
_BOUQUET = (
    '<path fill="#2f9e44" d="M-38 86Q-30 62 0 74Q30 62 38 86L10 104H-10Z"/>'
    '<path fill="#fff3dc" d="M-31 88Q0 102 31 88L11 132H-11Z"/><path fill="#f4a6b8" d="M-13 108H13V116H-13Z"/>'
    + "".join(
        f'<circle cx="{x}" cy="{y}" r="13" fill="{c}"/><circle cx="{x}" cy="{y}" r="5" fill="{m}"/>'
        for x, y, c, m in (
            (-27, 76, "#ff5d8f", "#ffe066"),
            (27, 76, "#9b5de5", "#ffe066"),
            (-10, 65, "#ffd23f", "#b5651d"),
            (12, 65, "#ffffff", "#f9a620"),
            (0, 84, "#ef233c", "#ffe066"),
        )
    )
)
_CAMERA = (
    '<path fill="#ffe14d" d="M32 44L37 56L49 50L45 62L58 67L45 72L48 82H20L27 66L15 60L28 57Z"/>'
    '<path fill="#23253a" d="M-14 70L-9 62H9L14 70Z"/>'
    '<rect x="-40" y="69" width="80" height="52" rx="8" fill="#23253a"/>'
    '<path fill="#8d99ae" d="M-40 80H40V87H-40Z"/><rect x="20" y="72" width="15" height="9" rx="2" fill="#ffffff"/>'
    '<circle cx="-28" cy="75" r="4" fill="#ef233c"/><circle cx="0" cy="97" r="22" fill="#c8d0dc"/>'
    '<circle cx="0" cy="97" r="17" fill="#0d1021"/><circle cx="0" cy="97" r="10" fill="#3a86c8"/>'
    '<circle cx="-4" cy="92" r="4" fill="#ffffff"/>'
)
_BALL = (
    '<circle cy="98" r="33" fill="#ffffff"/><path fill="#ef233c" d="M0 98L-14 68A33 33 0 0 1 17 70Z"/>'
    '<path fill="#2196f3" d="M0 98L30 84A33 33 0 0 1 26 118Z"/>'
    '<path fill="#ffc300" d="M0 98L12 129A33 33 0 0 1-21 123Z"/>'
    '<path fill="#2fbf71" d="M0 98L-32 107A33 33 0 0 1-26 78Z"/><circle cy="98" r="6" fill="#ffffff"/>'
)

# activity -> (the prop, hands before it, hands behind it), a hand being (x, y) in local coordinates
_Hands = tuple[tuple[int, int], ...]
_HELD: dict[str, tuple[str, _Hands, _Hands]] = {
    "reading": (_BOOK, ((-45, 104), (45, 104)), ()),
    "coffee": (_MUG, ((-3, 106),), ()),
    "icecream": (_CONE, ((26, 110),), ()),
    "guitar": (_GUITAR, ((-8, 116), (54, 73)), ()),
    "balloon": (_BALLOON, ((46, 104),), ()),
    "phone": (_PHONE, (), ((54, 20),)),
    "flowers": (_BOUQUET, ((-4, 117),), ()),
    "camera": (_CAMERA, ((-42, 102), (42, 102)), ()),
    "waving": ("", (), ()),
    "ball": (_BALL, ((-32, 108), (32, 108)), ()),
    "standing": ("", (), ()),
}
_WAVE = ((63, 24),)


def _arm(w: float, hand: tuple[int, int], sleeve: str, cuff: str) -> str:
    """A forearm from the elbow beside the trunk to the wrist below `hand`."""
    x, y = hand
    elbow = (w - 4) * (1 if x > 8 else -1)
    wrist_x, wrist_y = x + (elbow - x) * 0.22, y + (172 - y) * 0.22
    path = f"M{elbow:.0f} 172L{wrist_x:.0f} {wrist_y:.0f}"
    return (
        f'<path stroke="{cuff}" stroke-width="31" stroke-linecap="round" d="{path}"/>'
        f'<path stroke="{sleeve}" stroke-width="26" stroke-linecap="round" d="{path}"/>'
    )


def _hand(hand: tuple[int, int], skin: tuple[str, str]) -> str:
    """A closed hand seen from outside: a round fist and the lines between its fingers."""
    x, y = hand
    return (
        f'<circle cx="{x}" cy="{y}" r="13" fill="{skin[1]}"/><circle cx="{x}" cy="{y - 1}" r="11.5" fill="{skin[0]}"/>'
        f'<path stroke="{skin[1]}" stroke-width="2.2" d="M{x - 3} {y - 4}h9M{x - 3} {y + 2}h9"/>'
    )


def _open_hand(skin: tuple[str, str]) -> str:
    """The raised, open hand of somebody waving."""
    fingers = "M53 22L45 0M59 16L56-11M66 16L68-11M72 20L80-5M74 34L87 22"
    line = f'<path fill="none" stroke-linecap="round" stroke="{{}}" stroke-width="{{}}" d="{fingers}"/>'
    palm = '<circle cx="63" cy="30" r="{}" fill="{}"/>'
    return (
        line.format(skin[1], 12)
        + palm.format(18, skin[1])
        + line.format(skin[0], 8.5)
        + palm.format(16, skin[0])
        + f'<path fill="none" stroke="{skin[1]}" stroke-width="2.4" d="M53 32Q64 26 72 34"/>'
    )


def _sleeve_color(look: Look, skin: tuple[str, str]) -> tuple[str, str]:
    """(the forearm's colour, its outline): skin below a t-shirt's short sleeve, else cloth."""
    if look.clothes == "tshirt":
        return skin
    cloth = {"stripes": "#ffffff", "overalls": "#cdd3dc"}.get(look.clothes, COLOR[look.color])
    return cloth, _shade(cloth)


def held_svg(person: Person, look: Look, side: int = 1) -> str:
    """Arms, hands and prop of the activity, over everything else of the person; "" for standing."""
    prop, before, behind = _HELD[look.activity]
    waving = look.activity == "waving"
    if not (prop or waving):
        return ""
    skin = SKIN[person["skin"]]
    sleeve, outline = _sleeve_color(look, skin)
    w = shoulder_width(person)
    arms = "".join(_arm(w, hand, sleeve, outline) for hand in (_WAVE if waving else before + behind))
    back = _open_hand(skin) if waving else "".join(_hand(h, skin) for h in behind)
    svg = arms + back + prop + "".join(_hand(h, skin) for h in before)
    return svg if side > 0 else f'<g transform="scale(-1 1)">{svg}</g>'
