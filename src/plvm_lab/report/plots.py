"""Curves as SVG text - ROC, and how a cost grows: small functions, no library, no script."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COLORS = ("#d9480f", "#0b7285", "#7b3fb5", "#5c7a12", "#b3416b", "#315fc4", "#8a6d00", "#5f5b6b", "#007a5a", "#9c2f2f")
SIDE, LEFT, TOP, LEGEND = 360, 56, 16, 230


def roc_svg(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """One curve (false accepts, true accepts) per name, with a legend, axes in percent and the line of guessing."""
    parts = [
        f'<svg viewBox="0 0 {LEFT + SIDE + LEGEND} {TOP + SIDE + 48}" role="img" aria-label="ROC curves" '
        f'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="13">'
    ]
    for i in range(0, 101, 25):
        x, y = LEFT + SIDE * i / 100, TOP + SIDE * (1 - i / 100)
        parts.append(
            f'<path d="M{x:.1f} {TOP}V{TOP + SIDE}M{LEFT} {y:.1f}H{LEFT + SIDE}" stroke="#e6e0d5"/>'
            f'<text x="{x:.1f}" y="{TOP + SIDE + 18}" text-anchor="middle" fill="#7d7987">{i}</text>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#7d7987">{i}</text>'
        )
    parts.append(f'<path d="M{LEFT} {TOP + SIDE}L{LEFT + SIDE} {TOP}" stroke="#b8b2a6" stroke-dasharray="4 4"/>')
    for i, (name, (false, true)) in enumerate(curves.items()):
        color = COLORS[i % len(COLORS)]
        points = " ".join(f"{LEFT + SIDE * a:.1f},{TOP + SIDE * (1 - b):.1f}" for a, b in zip(false, true, strict=True))
        y = TOP + 12 + 22 * i
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2" stroke-linejoin="round"/>'
            f'<path d="M{LEFT + SIDE + 20} {y}h18" stroke="{color}" stroke-width="3"/>'
            f'<text x="{LEFT + SIDE + 46}" y="{y + 4}" fill="#2b2a33">{html.escape(name)}</text>'
        )
    parts.append(
        f'<text x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 40}" text-anchor="middle" fill="#2b2a33">'
        "strangers accepted, %</text>"
        f'<text transform="translate(16 {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle" fill="#2b2a33">'
        "identities accepted, %</text></svg>"
    )
    return "".join(parts)


Points = Sequence[tuple[float, float]]


def growth_svg(panels: Mapping[str, Mapping[str, Points]]) -> str:
    """Panels below each other, one for every quantity that grows: seconds over it, on logarithmic axes; a panel's first curve
    has marks, the others are dashed. Values are above 0."""
    width, height, left = 420, 190, 70
    parts = [
        f'<svg viewBox="0 0 {left + width + 150} {len(panels) * (height + 64)}" role="img" aria-label="How cost grows" '
        f'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="13">'
    ]
    for row, (title, curves) in enumerate(panels.items()):
        top = row * (height + 64) + 16
        every = [p for points in curves.values() for p in points]
        across, up = (_scale([p[i] for p in every]) for i in (0, 1))
        for scale, place in ((across, 0), (up, 1)):
            for tick in scale.ticks:
                x, y = left + width * across.at(tick), top + height * (1 - up.at(tick))
                line = f"M{left} {y:.1f}h{width}" if place else f"M{x:.1f} {top}v{height}"
                where = f'x="{left - 8}" y="{y + 4:.1f}" text-anchor="end"' if place else (
                    f'x="{x:.1f}" y="{top + height + 18}" text-anchor="middle"')  # fmt: skip
                parts.append(f'<path d="{line}" stroke="#e6e0d5"/><text {where} fill="#7d7987">{tick:g}</text>')
        for i, (name, points) in enumerate(curves.items()):
            places = [(left + width * across.at(a), top + height * (1 - up.at(b))) for a, b in points]
            color, y, dashes = COLORS[1 - i % 2], top + 12 + 22 * i, ' stroke-dasharray="5 4"' if i else ""
            parts.append(
                f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in places)}" fill="none" stroke="{color}" '
                f'stroke-width="2"{dashes}/>'
                f'<text x="{left + width + 16}" y="{y}" fill="{color}">{html.escape(name)}</text>'
            )
            parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{color}"/>' for a, b in places if not i]
        parts.append(
            f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle" fill="#2b2a33">'
            f'{html.escape(title)}</text><text transform="translate(16 {top + height / 2}) rotate(-90)" text-anchor="middle" '
            'fill="#2b2a33">seconds</text>'
        )
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class _Scale:
    """A logarithmic axis from `low` to `high`, powers of ten."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value is, 0 to 1."""
        return (math.log10(value) - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """The powers of ten, and where these are few, twice and five times them."""
        powers = range(round(self.low), round(self.high) + 1)
        more = (1, 2, 5) if len(powers) < 4 else (1,)
        return [m * 10.0**p for p in powers for m in more if m == 1 or p < powers[-1]]


def _scale(values: Sequence[float]) -> _Scale:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return _Scale(low, max(high, low + 1))
