"""A house as an SVG picture: floors from the ground up, a box for every part, as wide as it is long, and its imports as arrows
down. Arrows that follow from others are left out; those inside a circle are red."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

WIDTH, MARGIN, GAP, SPREAD = 1180, 24, 12, 64
BOX, FLOOR, TITLE, SHIFT = 46, 104, 56, 150
NARROW, WIDE = 104, 250  # of a box, in pixels
INK, PALE, RED = "#2b2a33", "#6d6977", "#c23b3b"
COLORS = {"plvm": ("#e3f1f4", "#0b7285"), "plvm_lab": ("#fbf0dc", "#b7791f")}
TOLD = {"plvm": "the product", "plvm_lab": "the laboratory"}


def draw(house: Mapping[str, Any]) -> str:
    """The picture of a house as `architecture.measure` has it; the laboratory stands on the product."""
    parts, y = [], MARGIN
    packages = sorted(house, reverse=True)  # plvm_lab above plvm
    for i, package in enumerate(packages):
        drawn, height = storey(package, house[package], y, alone=len(house) == 1)
        parts.append(drawn)
        y += height
        if i + 1 < len(packages):
            parts.append(between(y, package, packages[i + 1]))
            y += 64
    height = y + MARGIN - 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif" font-size="14">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker></defs>\n'
        f'<rect width="{WIDTH}" height="{height}" rx="14" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def storey(package: str, facts: Mapping[str, Any], top: int, *, alone: bool) -> tuple[str, int]:
    """One package from `top` down, and its height."""
    parts = facts["parts"]
    boxes = places(parts, top + TITLE)
    height = TITLE + max(y for _, y, _ in boxes.values()) - top - TITLE + BOX + 20
    fill, line = COLORS[package]
    told = "" if alone else f", {TOLD[package]}"
    title = f"{package}{told}: {facts['files']} files, {facts['lines']:,} lines"
    drawn = [
        f'<rect x="{MARGIN / 2}" y="{top}" width="{WIDTH - MARGIN}" height="{height}" rx="12" fill="{fill}"/>',
        f'<text x="{MARGIN + 6}" y="{top + 32}" font-size="19" font-weight="600" fill="{INK}">{title}</text>',
    ]
    drawn += [arrow(boxes[a], boxes[b], circle=round_) for a, b, round_ in arrows(parts)]
    drawn += [box(name, parts[name], boxes[name], line) for name in sorted(parts)]
    return "\n".join(drawn), height


def places(parts: Mapping[str, Any], top: int) -> dict[str, tuple[float, int, float]]:
    """name -> left, top and width of its box; a floor that is too long for one line takes two."""
    longest = max(part["lines"] for part in parts.values())
    floors: dict[int, list[str]] = {}
    for name, part in sorted(parts.items()):
        floors.setdefault(part["floor"], []).append(name)
    found: dict[str, tuple[float, int, float]] = {}
    y = top
    for floor in sorted(floors, reverse=True):
        widths = {n: max(NARROW, 9 * len(n) + 22, WIDE * parts[n]["lines"] / longest) for n in floors[floor]}
        lines: list[list[str]] = [[]]
        for name in floors[floor]:
            if sum(widths[n] + GAP for n in [*lines[-1], name]) > WIDTH - 2 * MARGIN - 20:
                lines.append([])
            lines[-1].append(name)
        for row in lines:
            free = WIDTH - 2 * MARGIN - 20 - sum(widths[n] for n in row)
            gap = min(SPREAD, free / max(1, len(row) - 1))
            side = 0.0 if len(row) > 2 else (-1) ** floor * min(SHIFT, free / 2)  # so that long arrows pass beside them
            x = (WIDTH - sum(widths[n] for n in row) - gap * (len(row) - 1)) / 2 + side
            for name in row:
                found[name] = x, y, widths[name]
                x += widths[name] + gap
            y += BOX + GAP
        y += FLOOR - BOX - 2 * GAP
    return found


def arrows(parts: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """(from, to, whether it is in a circle): without those between floors that others imply."""
    found = []
    for name, part in sorted(parts.items()):
        for other in part["imports"]:
            level = parts[other]["floor"] == part["floor"]
            around = any(_reaches(parts, via, other, name) for via in part["imports"] if via != other)
            if level or not around:
                found.append((name, other, level))
    return found


def _reaches(parts: Mapping[str, Any], start: str, end: str, without: str) -> bool:
    seen, waiting = {without}, [start]
    while waiting:
        name = waiting.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            waiting += parts[name]["imports"]
    return False


def arrow(start: tuple[float, int, float], end: tuple[float, int, float], *, circle: bool) -> str:
    """From the lower edge of a box to the upper edge of one below; between boxes of one floor over their heads."""
    x, y = start[0] + start[2] / 2, start[1] + BOX
    to_x, to_y = end[0] + end[2] / 2, end[1] - 2
    if circle:
        y, lift = start[1], min(start[1], end[1]) - 34
        path = f"M{x:.0f} {y}C{x:.0f} {lift} {to_x:.0f} {lift} {to_x:.0f} {to_y}"
        return f'<path d="{path}" fill="none" stroke="{RED}" stroke-width="1.6" marker-end="url(#tip)"/>'
    bend = (to_y - y) / 2
    path = f"M{x:.0f} {y}C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y}"
    return f'<path d="{path}" fill="none" stroke="#9a95a3" stroke-width="1.2" marker-end="url(#tip)"/>'


def box(name: str, part: Mapping[str, Any], place: tuple[float, int, float], line: str) -> str:
    x, y, width = place
    edge, middle = RED if part["circle"] else line, x + width / 2
    told = f"{part['lines']:,}" if part["files"] == 1 else f"{part['files']} files, {part['lines']:,}"
    return (
        f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{BOX}" rx="8" fill="#fff" stroke="{edge}" stroke-width="1.5"/>'
        f'<text x="{middle:.0f}" y="{y + 20}" text-anchor="middle" font-weight="600" fill="{INK}">{html.escape(name)}</text>'
        f'<text x="{middle:.0f}" y="{y + 37}" text-anchor="middle" font-size="12" fill="{PALE}">{told}</text>'
    )


def between(y: int, above: str, below: str) -> str:
    """The one way between the two packages."""
    x = WIDTH / 2
    return (
        f'<path d="M{x} {y + 4}V{y + 56}" stroke="{INK}" stroke-width="3" marker-end="url(#tip)"/>'
        f'<text x="{x + 16}" y="{y + 28}" fill="{INK}">{above} imports {below}; {below} never imports {above}:</text>'
        f'<text x="{x + 16}" y="{y + 46}" fill="{PALE}">verbs and tasks of the laboratory arrive by entry points</text>'
    )
