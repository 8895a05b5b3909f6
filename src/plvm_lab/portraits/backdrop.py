"""The places of the world as SVG: twelve backdrops on the canvas, each with a sky of the light.

Contract: `backdrop_svg(place, detail_seed, light)` covers the whole canvas and is a pure function of its arguments;
half of the seeds give the mirrored place (not the classroom). Indoors the sky is seen through a window. Lamps and lit
windows keep their colour at night. `light_svg(light)` is a faint tint to lay over people. The only id in the text is
the sky's gradient, "sky"; no filters.
"""

from __future__ import annotations

import random
import re

from plvm_lab.portraits.indoors import INDOORS
from plvm_lab.portraits.outdoors import OUTDOORS
from plvm_lab.portraits.scene import CANVAS
from plvm_lab.portraits.shapes import cloud, disc, path, rect

Rng = random.Random

_SKIES = {"day": ("#59b8f0", "#d3f1fb"), "sunset": ("#7a3b86", "#ffb35c"), "night": ("#0b1038", "#33417f")}
_DAY_SKIES = {  # places whose day has a sky of its own
    "desert": ("#4fc3d9", "#ffe3b0"),
    "snow": ("#8fb8dc", "#e8f1f9"),
    "forest": ("#b9e4a6", "#effadc"),
    "mountains": ("#4a9be0", "#cfeaf8"),
    "stage": ("#3b1c6b", "#8a3fa8"),
}
_TINTS = {"day": ("#000000", 0.0), "sunset": ("#b0405a", 0.27), "night": ("#10153f", 0.55)}
_GLOWING = {"#fff1c2", "#fff1b8", "#ffd98a", "#fff3c4", "#ffe3a0", "#ffeeb0", "#ffe66d", "#7df9ff", "#ff4d4d"}  # lamps
_HEX = re.compile("#[0-9a-f]{6}")


def _tinted(svg: str, light: str) -> str:
    """`svg` with every colour moved towards the light's."""
    target, share = _TINTS[light]
    if not share:
        return svg
    goal = [int(target[i : i + 2], 16) * share for i in (1, 3, 5)]

    def move(match: re.Match[str]) -> str:
        if match[0] in _GLOWING:
            return match[0]
        value = int(match[0][1:], 16)
        parts = (value >> 16, value >> 8 & 255, value & 255)
        return "#" + "".join(f"{int(p * (1 - share) + g):02x}" for p, g in zip(parts, goal, strict=True))

    return _HEX.sub(move, svg)


_PLACES = OUTDOORS | INDOORS
# where the sun or moon stands: inside the window indoors
_SUN = {"kitchen": (176, 62), "library": (182, 78), "classroom": (66, 80), "cafe": (308, 120), "stage": (150, 110)}


def _body_of_light(light: str, x: float, y: float, small: bool) -> str:
    """The sun, low sun or moon at (x, y)."""
    r = 13 if small else 26
    if light == "night":
        horn = f"M{x:.1f} {y - r:.1f}a{r} {r} 0 1 0 {r} {r}a{r * 0.8:.1f} {r * 0.8:.1f} 0 1 1-{r}-{r}z"
        return path("#fff4cf", horn)
    core, glow = ("#fff3b0", "#ffffff") if light == "day" else ("#ffe08a", "#ff7b54")
    return disc(x, y, r * 1.6, glow, ' fill-opacity=".4"') + disc(x, y, r, core)


def _sky(place: str, light: str, rng: Rng) -> str:
    """The sky over the whole canvas: gradient, sun or moon, and clouds or stars."""
    top, low = _DAY_SKIES.get(place, _SKIES[light]) if light == "day" else _SKIES[light]
    x, y = _SUN.get(place, (rng.uniform(60, 340), rng.uniform(38, 66)))
    small = place in _SUN
    clouds = [(rng.uniform(20, 380), rng.uniform(40, 110), rng.uniform(0.7, 1.3)) for _ in range(3)]
    stars = [(rng.uniform(0, 400), rng.uniform(0, 190), rng.uniform(1.4, 3)) for _ in range(34)]
    gradient = (
        f'<linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop stop-color="{top}"/>'
        f'<stop offset=".6" stop-color="{low}"/></linearGradient>'
    )
    if light == "night":
        details = "".join(disc(sx, sy, r, "#ffffff") for sx, sy, r in stars)
    else:
        details = "" if place in ("desert", "forest", "stage") else "".join(cloud(*c) for c in clouds)
    return gradient + rect(0, 0, CANVAS, CANVAS, "url(#sky)") + details + _body_of_light(light, x, y, small)


def backdrop_svg(place: str, detail_seed: int, light: str = "day") -> str:
    """The place in the light, over the whole canvas."""
    rng = random.Random(detail_seed)
    mirrored = rng.random() < 0.5 and place != "classroom"  # sums on a blackboard are not mirrored
    svg = _sky(place, light, rng) + _tinted(_PLACES[place](rng), light)
    return f'<g transform="matrix(-1 0 0 1 {CANVAS} 0)">{svg}</g>' if mirrored else svg


_VEILS = {"sunset": ("#ff6a3c", 0.13), "night": ("#16205e", 0.24)}


def light_svg(light: str) -> str:
    """A faint tint over the people, so that they belong to the light; "" by day."""
    if light not in _VEILS:
        return ""
    color, share = _VEILS[light]
    return f'<rect width="{CANVAS}" height="{CANVAS}" fill="{color}" fill-opacity="{share}"/>'
