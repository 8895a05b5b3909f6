"""Small SVG shapes as text, shared by the backdrops: each function returns one fragment in canvas units."""

from __future__ import annotations


def path(fill: str, d: str, extra: str = "") -> str:
    """A filled path."""
    return f'<path fill="{fill}" d="{d}"{extra}/>'


def line(stroke: str, width: float, d: str, extra: str = "") -> str:
    """A stroke without filling."""
    return f'<path fill="none" stroke="{stroke}" stroke-width="{width}" d="{d}"{extra}/>'


def rect(x: float, y: float, w: float, h: float, fill: str, rx: float = 0) -> str:
    """A rectangle with its upper left corner at (x, y); `rx` rounds its corners."""
    corner = f' rx="{rx}"' if rx else ""
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{w:.0f}" height="{h:.0f}" fill="{fill}"{corner}/>'


def disc(x: float, y: float, r: float, fill: str, extra: str = "") -> str:
    """A filled circle around (x, y)."""
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{r:.1f}" fill="{fill}"{extra}/>'


def cloud(x: float, y: float, s: float) -> str:
    """A cloud at (x, y), `s` times as large as usual."""
    return path(
        "#ffffff",
        f"M{x - 34 * s:.0f} {y:.0f}a{13 * s:.1f} {13 * s:.1f} 0 0 1 {10 * s:.1f}-{22 * s:.1f}"
        f"a{20 * s:.1f} {20 * s:.1f} 0 0 1 {36 * s:.1f}-{4 * s:.1f}a{14 * s:.1f} {14 * s:.1f} 0 0 1 {18 * s:.1f} "
        f"{26 * s:.1f}Z",
        ' fill-opacity=".85"',
    )


def pine(x: float, y: float, h: float, dark: str, light: str) -> str:
    """A conifer standing at (x, y): three tiers and a lit side."""
    w = h * 0.3
    tiers = "".join(
        f"M{x:.0f} {y - h * top:.0f}L{x + w * r:.0f} {y - h * low:.0f}H{x - w * r:.0f}Z"
        for top, low, r in ((1, 0.58, 0.55), (0.78, 0.32, 0.8), (0.52, 0.06, 1))
    )
    lit = "".join(
        f"M{x:.0f} {y - h * top:.0f}L{x - w * r:.0f} {y - h * low:.0f}H{x:.0f}Z"
        for top, low, r in ((1, 0.58, 0.55), (0.78, 0.32, 0.8), (0.52, 0.06, 1))
    )
    return rect(x - h * 0.03, y - h * 0.08, h * 0.06, h * 0.08, "#5b4030") + path(dark, tiers) + path(light, lit)
