"""The open-air places: each function draws everything of a place but its sky, varied by `rng`, in the light of day.

Contract: pure functions of the generator's state; what makes a place recognisable lies at the top and at the edges, for
people stand in the lower middle. `OUTDOORS` maps the place's name to its function.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from plvm_lab.portraits.shapes import disc, line, path, pine, rect

Rng = random.Random


def _beach(rng: Rng) -> str:
    sea = rng.uniform(135, 155)
    px, ux = rng.uniform(24, 44), rng.uniform(345, 375)
    leaves = "".join(
        f"M{px + 16:.0f} 52Q{px + 16 + dx * 0.5:.0f} {52 + dy - 30} {px + 16 + dx} {52 + dy}"
        f"Q{px + 16 + dx * 0.4:.0f} {52 + dy - 12} {px + 16:.0f} 52Z"
        for dx, dy in ((84, 26), (62, -18), (52, 62), (-62, 32), (-46, -20), (-40, 70), (8, -40))
    )
    bx = rng.uniform(170, 250)
    boat = path("#ffffff", f"M{bx:.0f} {sea - 34:.0f}V{sea + 2:.0f}H{bx + 24:.0f}Z") + path(
        "#e63946",
        f"M{bx - 3:.0f} {sea - 28:.0f}V{sea + 2:.0f}H{bx - 18:.0f}Z M{bx - 22:.0f} {sea + 4:.0f}h50l-9 10h-32Z",
    )
    shade = (
        line("#fff8e7", 5, f"M{ux:.0f} 130L{ux + 12:.0f} 330")
        + path("#ff5d5d", f"M{ux - 74:.0f} 158Q{ux - 58:.0f} 84 {ux:.0f} 82Q{ux + 62:.0f} 86 {ux + 74:.0f} 158Z")
        + path(
            "#ffffff",
            f"M{ux - 44:.0f} 158Q{ux - 36:.0f} 96 {ux:.0f} 82Q{ux - 10:.0f} 104 {ux - 14:.0f} 158Z"
            f"M{ux + 16:.0f} 158Q{ux + 12:.0f} 104 {ux:.0f} 82Q{ux + 38:.0f} 98 {ux + 46:.0f} 158Z",
        )
    )
    return (
        rect(0, sea, 400, 120, "#1fa2c9")
        + rect(0, sea + 30, 400, 90, "#3fc1d0")
        + path("#8fe3dc", f"M0 {sea + 66:.0f}Q100 {sea + 50:.0f} 200 {sea + 66:.0f}T400 {sea + 62:.0f}V280H0Z")
        + boat
        + path("#fffaf0", f"M0 {sea + 86:.0f}Q100 {sea + 74:.0f} 200 {sea + 90:.0f}T400 {sea + 82:.0f}V400H0Z")
        + path("#f6d998", f"M0 {sea + 94:.0f}Q100 {sea + 82:.0f} 200 {sea + 98:.0f}T400 {sea + 90:.0f}V400H0Z")
        + path("#ecc67c", "M0 330Q140 290 400 350V400H0Z")
        + shade
        + path(
            "#8a5a34",
            f"M{px - 18:.0f} 400Q{px - 14:.0f} 180 {px + 12:.0f} 50L{px + 22:.0f} 52Q{px + 4:.0f} 190 "
            f"{px + 10:.0f} 400Z",
        )
        + path("#2b9348", leaves)
        + disc(px + 10, 62, 7, "#6b3f1d")
        + disc(px + 24, 63, 7, "#5b3417")
    )


def _round_tree(x: float, y: float, s: float, fill: str, lit: str) -> str:
    trunk = path(
        "#7a4e2d",
        f"M{x - 7 * s:.0f} {y + 110 * s:.0f}L{x - 4 * s:.0f} {y:.0f}H{x + 4 * s:.0f}L{x + 7 * s:.0f} "
        f"{y + 110 * s:.0f}Z",
    )
    return (
        trunk
        + disc(x - 26 * s, y + 10 * s, 30 * s, fill)
        + disc(x + 27 * s, y + 8 * s, 31 * s, fill)
        + disc(x, y - 20 * s, 40 * s, fill)
        + disc(x - 10 * s, y - 26 * s, 24 * s, lit)
    )


def _park(rng: Rng) -> str:
    kx, ky = rng.uniform(150, 230), rng.uniform(34, 60)
    lx = rng.uniform(300, 322)
    kite = (
        line("#ffffff", 1.6, f"M{kx:.0f} {ky:.0f}q-10 60 30 130")
        + path("#ff595e", f"M{kx:.0f} {ky - 30:.0f}l20 26l-20 34z")
        + path("#ffca3a", f"M{kx:.0f} {ky - 30:.0f}l-20 26l20 34z")
    )
    lamp = (
        rect(lx - 3, 96, 6, 220, "#38475a")
        + path("#38475a", f"M{lx - 16:.0f} 74l16-14l16 14z")
        + disc(lx, 84, 13, "#fff1b8")
    )
    blooms = "".join(
        disc(rng.uniform(0, 400), rng.uniform(262, 398), 5, rng.choice(("#ff6b9a", "#ffffff", "#ffd23f", "#b388eb")))
        for _ in range(12)
    )
    return (
        kite
        + path("#a8dd7c", "M0 176Q90 128 200 168T400 152V400H0Z")
        + _round_tree(130, 140, 0.5, "#4fae5a", "#6cc46e")
        + _round_tree(262, 142, 0.45, "#4fae5a", "#6cc46e")
        + path("#7cc653", "M0 214Q120 176 240 206T400 194V400H0Z")
        + path("#f0dcae", "M180 204Q240 240 150 300Q90 350 120 400H300Q210 350 250 300Q290 240 196 204Z")
        + lamp
        + _round_tree(rng.uniform(22, 44), 92, 1.5, "#2f9e4f", "#52b963")
        + _round_tree(rng.uniform(372, 392), 118, 1.25, "#3aa655", "#67c26b")
        + blooms
    )


def _street(rng: Rng) -> str:
    out = [path("#a9bfd6", "M120 300V110h34v-40h30v60h26V84h36v50h40V300Z")]
    walls = rng.sample(("#d9694f", "#e8b04a", "#5f8fb4", "#c98bb0", "#74a892"), 4)
    boxes = (
        (0, rng.uniform(-20, 10), 84),
        (84, rng.uniform(50, 80), 60),
        (262, rng.uniform(46, 76), 58),
        (320, rng.uniform(-20, 14), 80),
    )
    for (x, y, w), wall in zip(boxes, walls, strict=True):
        out.append(rect(x, y, w, 320 - y, wall) + rect(x - 3, y, w + 6, 8, "#f7efe3"))
        columns, step = (3, w / 3) if w > 70 else (2, w / 2)
        panes = "".join(
            f"M{x + step * (i + 0.22):.0f} {y + 24 + 42 * j:.0f}h{step * 0.56:.0f}v26h-{step * 0.56:.0f}z"
            for i in range(columns)
            for j in range(4)
        )
        out.append(path(rng.choice(("#fff1c2", "#dff3fb")), panes))
    out.append(
        path("#e63946", "M0 216H88V240H0Z") + path("#ffffff", "M12 216h12v24H12zM36 216h12v24H36zM60 216h12v24H60z")
    )
    out.append(rect(0, 300, 400, 100, "#cfd4da") + rect(0, 322, 400, 78, "#4c5566"))
    out.append(path("#ffffff", "M20 352h56v9H20zM130 352h56v9h-56zM240 352h56v9h-56zM350 352h50v9h-50z"))
    tx = rng.uniform(298, 312)
    out.append(rect(tx - 3, 120, 6, 200, "#22293a") + rect(tx - 15, 52, 30, 76, "#22293a", 8))
    return "".join(out) + disc(tx, 67, 9, "#ff4d4d") + disc(tx, 90, 9, "#ffc93c") + disc(tx, 113, 9, "#3ddc84")


def _mountains(rng: Rng) -> str:
    a, b, c = (rng.uniform(20, 70), rng.uniform(165, 225), rng.uniform(330, 385))
    ya, yb, yc = (rng.uniform(52, 80), rng.uniform(18, 44), rng.uniform(50, 84))

    def peak(x: float, y: float, w: float, rock: str, dark: str) -> str:
        h = 270 - y
        return (
            path(rock, f"M{x - w:.0f} 270L{x:.0f} {y:.0f}L{x + w:.0f} 270Z")
            + path(dark, f"M{x:.0f} {y:.0f}L{x + w:.0f} 270H{x + w * 0.1:.0f}L{x - 8:.0f} {y + 100:.0f}Z")
            + path(
                "#ffffff",
                f"M{x:.0f} {y:.0f}L{x + w * 0.3:.0f} {y + h * 0.3:.0f}L{x + w * 0.16:.0f} {y + h * 0.25:.0f}"
                f"L{x + w * 0.06:.0f} {y + h * 0.36:.0f}L{x - w * 0.06:.0f} {y + h * 0.26:.0f}L{x - w * 0.16:.0f} "
                f"{y + h * 0.35:.0f}L{x - w * 0.3:.0f} {y + h * 0.3:.0f}Z",
            )
        )

    pines = "".join(
        pine(x + rng.uniform(-6, 6), 330, rng.uniform(110, 170), "#1f5f5b", "#2d7a6c") for x in (6, 46, 354, 394)
    )
    return (
        peak(a, ya, 150, "#8ea6cc", "#7389b8")
        + peak(c, yc, 150, "#8ea6cc", "#7389b8")
        + peak(b, yb, 170, "#6d83b5", "#576a9d")
        + path("#4d8f8a", "M0 236Q60 206 140 238T290 228T400 222V400H0Z")
        + path("#8fd0ea", "M60 272H340L400 320H0Z")
        + path("#c4e9f5", "M120 282h110v5H120zM190 297h120v5H190z")
        + path("#3f7d5c", "M0 312Q200 280 400 312V400H0Z")
        + pines
    )


def _forest(rng: Rng) -> str:
    far = "".join(rect(x + rng.uniform(-8, 8), 0, rng.uniform(9, 14), 300, "#8fbf86") for x in range(20, 400, 46))
    mid = "".join(rect(x + rng.uniform(-9, 9), 0, rng.uniform(15, 20), 320, "#4f7f57") for x in (78, 142, 250, 318))
    trunks = "".join(
        path("#4b3425", f"M{x - 22} 400Q{x - 12} 200 {x - 16} 0H{x + 16}Q{x + 12} 200 {x + 24} 400Z")
        + line("#644833", 4, f"M{x - 5} 60V150M{x + 5} 130V260M{x - 4} 240V330")
        for x in (rng.randrange(8, 26), rng.randrange(374, 394))
    )
    tops = "".join(disc(x + rng.uniform(-10, 10), rng.uniform(-8, 14), 52, "#2f6b3c") for x in range(0, 401, 57))
    fringe = "".join(disc(x + rng.uniform(-12, 12), rng.uniform(-14, -2), 42, "#1f4d2e") for x in range(0, 401, 50))
    caps = "".join(
        path("#fff3e0", f"M{x - 5} 330h10v24h-10z")
        + path("#e5383b", f"M{x - 17} 334a17 17 0 0 1 34 0z")
        + disc(x - 6, 326, 3, "#ffffff")
        + disc(x + 6, 324, 3, "#ffffff")
        for x in (rng.randrange(42, 60), rng.randrange(338, 358))
    )
    rays = path("#fdffe0", "M250 0L330 0L190 300H60Z", ' fill-opacity=".4"')
    ferns = "".join(
        path(
            "#2c7a3f",
            f"M{x} 366Q{x - 22} 326 {x - 40} 330Q{x - 16} 340 {x} 366Q{x - 2} 322 {x + 8} 306"
            f"Q{x + 12} 336 {x} 366Q{x + 22} 326 {x + 40} 332Q{x + 16} 342 {x} 366Z",
        )
        for x in (96, 300)
    )
    return far + rays + mid + path("#5b9a4a", "M0 284Q200 256 400 288V400H0Z") + tops + trunks + fringe + ferns + caps


def _desert(rng: Rng) -> str:
    m = rng.uniform(120, 220)

    def cactus(x: float, y: float, s: float) -> str:
        arms = (
            f"M{x:.0f} 400V{y:.0f}M{x:.0f} {y + 110 * s:.0f}h-{30 * s:.0f}v-{50 * s:.0f}"
            f"M{x:.0f} {y + 80 * s:.0f}h{30 * s:.0f}v-{46 * s:.0f}"
        )
        round_ends = ' stroke-linecap="round" stroke-linejoin="round"'
        ribs = line("#56b86a", 3 * s, f"M{x - 5 * s:.0f} {y:.0f}V400M{x + 5 * s:.0f} {y:.0f}V400")
        return line("#2d8a4e", 24 * s, arms, round_ends) + ribs

    return (
        path("#d9774f", f"M{m - 100:.0f} 220L{m - 80:.0f} 116H{m - 10:.0f}L{m:.0f} 150H{m + 44:.0f}L{m + 66:.0f} 220Z")
        + path("#c2603f", f"M{m - 80:.0f} 116H{m - 10:.0f}L{m - 6:.0f} 132H{m - 84:.0f}ZM{m:.0f} 150h44l4 14h-46z")
        + path("#e08a5a", "M280 220L292 132H400V220Z")
        + path("#f4b860", "M0 214Q110 176 220 212T400 200V400H0Z")
        + path("#e89f4b", "M0 256Q150 206 280 256T400 250V400H0Z")
        + path("#f7c97a", "M0 314Q120 272 250 312T400 300V400H0Z")
        + cactus(rng.uniform(26, 46), rng.uniform(60, 84), 1.25)
        + cactus(rng.uniform(362, 382), rng.uniform(116, 140), 0.95)
    )


def _snow(rng: Rng) -> str:
    def white_pine(x: float, y: float, h: float) -> str:
        return pine(x, y, h, "#3f6f80", "#f4fafd")

    flakes = "".join(disc(rng.uniform(0, 400), rng.uniform(0, 390), rng.uniform(2, 4.6), "#ffffff") for _ in range(44))
    cx = rng.uniform(190, 240)
    cabin = (
        rect(cx - 34, 150, 68, 50, "#8a4b32")
        + path("#ffffff", f"M{cx - 46:.0f} 156L{cx:.0f} 112L{cx + 46:.0f} 156Z")
        + rect(cx - 10, 162, 20, 20, "#ffd98a")
        + rect(cx + 18, 108, 12, 28, "#6b3a28")
    )
    sx = rng.uniform(338, 354)
    snowman = (
        disc(sx, 290, 44, "#ffffff")
        + disc(sx, 226, 31, "#f6fbff")
        + disc(sx, 178, 22, "#ffffff")
        + line("#e63946", 9, f"M{sx - 20:.0f} 198Q{sx:.0f} 208 {sx + 20:.0f} 198")
        + rect(sx - 16, 132, 32, 26, "#23253a")
        + rect(sx - 25, 156, 50, 6, "#23253a")
        + path("#ff8c42", f"M{sx:.0f} 176l-24 7l24 3z")
        + disc(sx - 8, 172, 3, "#23253a")
        + disc(sx + 7, 172, 3, "#23253a")
    )
    return (
        path("#c5dcee", "M0 178Q80 128 180 166T400 146V400H0Z")
        + white_pine(120, 196, 90)
        + white_pine(292, 190, 84)
        + path("#dfecf7", "M0 204Q110 170 230 196T400 186V400H0Z")
        + cabin
        + white_pine(rng.uniform(12, 26), 320, 290)
        + white_pine(rng.uniform(70, 84), 290, 170)
        + snowman
        + path("#f7fbfe", "M0 282Q130 250 260 284T400 276V400H0Z")
        + flakes
    )


OUTDOORS: dict[str, Callable[[Rng], str]] = {
    "beach": _beach,
    "park": _park,
    "street": _street,
    "mountains": _mountains,
    "forest": _forest,
    "desert": _desert,
    "snow": _snow,
}
