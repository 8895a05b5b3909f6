"""ROC curves as SVG text: a small function, no library, no script."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

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
