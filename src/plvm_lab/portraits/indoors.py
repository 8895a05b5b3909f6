"""The indoor places and the open-air stage: walls with a hole through which the sky of the light is seen.

Contract: each function draws everything of a place but the sky, varied by `rng`, in the light of day.
`INDOORS` maps the place's name to its function.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from plvm_lab.portraits.shapes import disc, line, path, rect

Rng = random.Random

_BOOKS = ("#c8553d", "#2a6f97", "#e9b44c", "#588157", "#7b2d5b", "#f2e8cf", "#1d3557", "#dd7f4c")


def _wall(fill: str, window: str) -> str:
    """An indoor wall with a hole through which the sky shows; `window` is path data."""
    return path(fill, f"M0 0H400V400H0Z{window}", ' fill-rule="evenodd"')


def _books(x: float, y: float, w: float, h: float, rng: Rng) -> str:
    """A shelf's worth of books that fills the box."""
    out, at = [], x
    while at < x + w - 5:
        wide = min(rng.uniform(9, 17), x + w - at)
        tall = h * rng.uniform(0.72, 0.97)
        out.append(rect(at, y + h - tall, wide - 1, tall, rng.choice(_BOOKS)))
        at += wide
    return "".join(out)


def _window(x: float, y: float, w: float, h: float) -> tuple[str, str]:
    """(path data of the hole, frame and bars to draw over it)."""
    hole = f"M{x:.0f} {y:.0f}v{h:.0f}h{w:.0f}v-{h:.0f}z"
    bars = f"{hole}M{x + w / 2:.0f} {y:.0f}v{h:.0f}M{x:.0f} {y + h / 2:.0f}h{w:.0f}"
    return hole, line("#fffdf7", 6, bars) + rect(x - 9, y + h, w + 18, 9, "#fffdf7")


def _kitchen(rng: Rng) -> str:
    front, dark = rng.choice((("#3a9188", "#2c7069"), ("#4f86b8", "#3c6a95"), ("#d98a5b", "#b56c42")))
    hole, frame = _window(rng.uniform(146, 158), 34, 100, 96)
    grid = "".join(f"M0 {y}H400" for y in range(112, 270, 26)) + "".join(f"M{x} 100V270" for x in range(14, 400, 26))
    doors = "".join(
        rect(x, -6, 62, 112, front, 4) + rect(x + 8, 6, 46, 88, dark, 3) + rect(x + 27, 82, 8, 14, "#ffe9b8", 3)
        for x in (0, 65, 273, 338)
    )
    pans = "".join(
        line("#3b3f4f", 5, f"M{x} 112V150") + disc(x, 164, r, "#3b3f4f") + disc(x, 164, r - 5, c)
        for x, r, c in ((24, 17, "#c96f4a"), (66, 21, "#8792a5"), (110, 14, "#c96f4a"))
    )
    fridge = (
        rect(318, 112, 96, 290, "#eef3f7", 8) + rect(318, 208, 90, 5, "#b9c6d3") + rect(328, 140, 7, 52, "#9fb0c0", 3)
    )
    fridge += (
        rect(328, 228, 7, 60, "#9fb0c0", 3) + rect(360, 150, 22, 22, "#ffca3a") + rect(372, 182, 18, 16, "#ff6b6b")
    )
    jars = "".join(
        rect(x, 232, 20, 38, rng.choice(("#f4a259", "#e9c46a", "#bc4b51", "#8cb369")), 5) for x in (8, 34, 60)
    )
    counter = rect(0, 268, 400, 14, "#b07c4f") + rect(0, 282, 400, 118, front)
    return _wall("#fbf1dc", hole) + line("#eadcc0", 2.5, grid) + frame + doors + pans + counter + jars + fridge


def _library(rng: Rng) -> str:
    x = rng.uniform(150, 162)
    hole = f"M{x:.0f} 150V84a46 46 0 0 1 92 0V150z"
    bars = line("#e8cfa6", 6, f"{hole}M{x + 46:.0f} 38V150M{x:.0f} 94h92")
    rows = "".join(_books(a, y, b, 58, rng) for y in (2, 72, 142, 212, 282, 352) for a, b in ((6, 124), (270, 124)))
    rows += "".join(_books(142, y, 116, 52, rng) for y in (176, 238))
    planks = "".join(rect(0, y, 132, 8, "#7a4a26") + rect(268, y, 132, 8, "#7a4a26") for y in (60, 130, 200, 270, 340))
    planks += rect(136, 228, 128, 8, "#7a4a26") + rect(136, 290, 128, 8, "#7a4a26")
    posts = "".join(rect(p, 0, 9, 400, "#8f5a30") for p in (-4, 129, 262, 395))
    back = path("#4b2c17", "M0 0H132V400H0ZM268 0H400V400H268ZM132 172H268V400H132Z")
    ladder = line(
        "#e2b06a", 7, "M20 400L84 0M56 400L116 0" + "".join(f"M{22 + i * 11} {380 - i * 66}h36" for i in range(6))
    )
    lamps = "".join(
        line("#3a2415", 3, f"M{p} 0V{d}")
        + path("#2f8f6b", f"M{p - 22} {d + 16}a22 20 0 0 1 44 0z")
        + path("#ffeeb0", f"M{p - 14} {d + 16}h28l-6 7h-16z")
        for p, d in ((150, 24), (250, 24))
    )
    return _wall("#a9744a", hole) + bars + back + rows + planks + posts + ladder + lamps


def _classroom(rng: Rng) -> str:
    hole, frame = _window(14, 46, 72, 130)
    flags = "".join(
        path(
            rng.choice(("#ff6b6b", "#ffd166", "#4d96ff", "#6bcb77", "#b983ff")),
            f"M{x} {4 + abs(x - 200) % 7}h22l-11 22z",
        )
        for x in range(4, 400, 29)
    )
    chalk = line(
        "#f4fff4",
        3.4,
        rng.choice(
            (
                "M134 66l12 28M146 66l-12 28M160 80h14M167 73v14M188 66h14l-14 28h14M216 76h14M216 84h14"
                + "M246 94a14 14 0 1 0 0-28a14 14 0 1 0 0 28M132 116h90",
                "M136 96l20-34l20 34zM194 70v24M206 82h-24M226 64h20v30h-20zM262 66v28M272 66v28M132 114h60",
            )
        ),
    )
    board = rect(108, 38, 212, 126, "#b9824f", 6) + rect(116, 46, 196, 110, "#2f6b55", 3) + chalk
    board += rect(150, 164, 130, 8, "#d9a76c") + rect(170, 159, 24, 6, "#ffffff")
    board += line("#ffe066", 3.4, "M270 136q12-22 24 0t-24 0") + line("#ff9ecb", 3.4, "M136 132q12-14 24 0t24 0t24 0")
    clock = disc(360, 66, 27, "#e4572e") + disc(360, 66, 22, "#ffffff") + line("#2b2d42", 3.5, "M360 50V66L372 72")
    chart = (
        rect(334, 112, 56, 76, "#ffffff", 3)
        + path("#4d96ff", "M342 122h16v16h-16z")
        + path("#ff6b6b", "M366 122h16v16h-16z")
    )
    chart += path("#6bcb77", "M342 146h16v16h-16z") + path("#ffd166", "M366 146h16v16h-16z")
    globe = (
        path("#8a5a34", "M352 262h36l8 14h-52z")
        + disc(370, 232, 32, "#3fa7d6")
        + path("#6bbf59", "M350 218q10-14 24-10l-4 18l-14 12zM374 240l18-10q6 16-10 26z")
    )
    desk = rect(0, 274, 400, 14, "#d9a76c") + rect(0, 288, 400, 112, "#b9824f") + _books(8, 238, 60, 36, rng)
    return _wall("#f5e6b8", hole) + flags + frame + board + clock + chart + desk + globe


def _cafe(rng: Rng) -> str:
    hole, frame = _window(280, 84, 104, 130)
    stripe = rng.choice(("#d1495b", "#2a7f79", "#e07a2f"))
    awning = "".join(path(stripe if i % 2 else "#fff6e6", f"M{i * 40} 0h40v34a20 16 0 0 1-40 0z") for i in range(10))
    bricks = "".join(rect(rng.randrange(0, 244), rng.randrange(56, 250), 30, 12, "#b56a4c") for _ in range(18))
    menu = (
        rect(16, 72, 92, 116, "#6b4226", 4)
        + rect(23, 79, 78, 102, "#2c2f36")
        + line("#fff6e6", 3.4, "M34 96h56M34 114h36M34 130h44M34 146h30")
        + path("#ffd08a", "M66 150h22v12a11 11 0 0 1-22 0z")
    )
    lamps = "".join(
        line("#33231a", 3, f"M{x} 40V{y}")
        + disc(x, y + 22, 30, "#ffe3a0", ' fill-opacity=".35"')
        + path("#33231a", f"M{x - 22} {y + 18}a22 20 0 0 1 44 0z")
        + disc(x, y + 20, 9, "#fff3c4")
        for x, y in ((140, rng.randrange(74, 90)), (200, rng.randrange(58, 72)), (258, rng.randrange(74, 90)))
    )
    cups = "".join(
        path(rng.choice(("#ffffff", "#ffd6a5", "#a8dadc")), f"M{x} 196h20v12a10 10 0 0 1-20 0z")
        for x in range(132, 256, 28)
    )
    shelf = rect(122, 218, 144, 7, "#6b4226") + cups
    machine = (
        rect(0, 214, 86, 76, "#9aa5b1", 8)
        + rect(8, 226, 70, 20, "#5c6773", 4)
        + path("#2b2d42", "M20 246h12v16h-12zM52 246h12v16h-12z")
    )
    counter = (
        rect(0, 286, 400, 14, "#e0a96d")
        + rect(0, 300, 400, 100, "#6b4226")
        + line("#7f5233", 4, "M60 300V400M340 300V400")
    )
    return _wall("#c98563", hole) + bricks + frame + shelf + lamps + menu + machine + counter + awning


def _stage(rng: Rng) -> str:
    hue, dark, lit = rng.choice((("#b3122f", "#7d0a20", "#d62845"), ("#a3195b", "#6e0f3d", "#c93a7c")))
    beams = "".join(
        path(color, f"M{x} 34L{to - 60} 400H{to + 60}Z", ' fill-opacity=".34"')
        for x, to, color in (
            (110, rng.randrange(180, 300), "#ffe66d"),
            (200, 200, "#ffffff"),
            (290, rng.randrange(100, 220), "#7df9ff"),
        )
    )
    floor = path("#c98b52", "M0 296H400V400H0Z") + line(
        "#a86c3a", 3, "M40 296L-30 400M120 296L90 400M200 296V400M280 296L310 400M360 296L430 400"
    )
    lights = "".join(
        path("#1c1230", f"M{x - 12} 38h24l6 26h-36z") + rect(x - 17, 62, 34, 6, c)
        for x, c in ((110, "#ffe66d"), (200, "#ffffff"), (290, "#7df9ff"))
    )
    drapes = path(hue, "M0 0H92Q88 170 50 262Q64 330 60 400H0ZM400 0H308Q312 170 350 262Q336 330 340 400H400Z")
    drapes += path(
        dark,
        "M24 0H40Q40 170 22 262L28 400H14L10 262Q24 160 24 0ZM62 0H74Q72 170 40 262L44 262Q62 170 62 0Z"
        "M376 0H360Q360 170 378 262L372 400H386L390 262Q376 160 376 0ZM338 0H326Q328 170 360 262Q338 170 338 0Z",
    )
    drapes += path(
        "#ffcf56", "M0 254Q30 270 54 254L50 270Q28 284 0 270ZM400 254Q370 270 346 254L350 270Q372 284 400 270Z"
    )
    swags = "".join(path(lit if i % 2 else hue, f"M{i * 80} 0h80v22a40 34 0 0 1-80 0z") for i in range(5))
    fringe = "".join(line("#ffcf56", 6, f"M{i * 80} 22a40 34 0 0 0 80 0") for i in range(5))
    speakers = "".join(
        rect(x, 206, 46, 92, "#1c1a29", 4) + disc(x + 23, 266, 17, "#4a4766") + disc(x + 23, 228, 11, "#4a4766")
        for x in (64, 290)
    )
    return floor + beams + speakers + lights + drapes + swags + fringe


INDOORS: dict[str, Callable[[Rng], str]] = {
    "kitchen": _kitchen,
    "library": _library,
    "classroom": _classroom,
    "cafe": _cafe,
    "stage": _stage,
}
