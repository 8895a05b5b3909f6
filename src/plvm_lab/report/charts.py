"""Bars with intervals, as a result file keeps them under `charts`, drawn as SVG text: no library, no script."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from plvm.errors import RequestError

OURS, THEIRS, LINE, INK, PALE = "#0b7285", "#d9a441", "#e6e0d5", "#2b2a33", "#7d7987"
CHARACTER, WIDTH, ROW, TICKS = 7.4, 420, 34, 6  # width of a letter, of the axis, height of a row in pixels; parts of the axis


@dataclass(frozen=True)
class Bar:
    """A share between 0 and 1 with its interval, and perhaps a `mark`: somebody else's share."""

    name: str
    value: float
    low: float
    high: float
    mark: float | None = None


@dataclass(frozen=True)
class Chart:
    """Bars below each other on an axis from `start` to 1, in percent; the caption says what is drawn. In JSON it is what
    `dataclasses.asdict` makes of it."""

    caption: str
    bars: tuple[Bar, ...]
    start: float = 0.0


def chart_of(content: Any) -> Chart:
    """A chart from its JSON. Raises RequestError where it is none."""
    try:
        return Chart(str(content["caption"]), tuple(Bar(**bar) for bar in content["bars"]), float(content["start"]))
    except (KeyError, TypeError, ValueError):
        hint = 'Write dataclasses.asdict of a Chart: {"caption": ..., "bars": [{"name", "value", "low", "high"}], "start": 0}.'
        raise RequestError("A chart has no caption, bars or start.", hint) from None


def chart_svg(chart: Chart) -> str:
    """The chart as SVG text, with names at its left and ticks below."""
    left = 24 + round(CHARACTER * max((len(bar.name) for bar in chart.bars), default=0))
    height = ROW * len(chart.bars) + 44

    def x(share: float) -> float:
        return left + WIDTH * (min(max(share, chart.start), 1.0) - chart.start) / (1 - chart.start)

    parts = [
        f'<svg viewBox="0 0 {left + WIDTH + 40} {height}" role="img" aria-label="{html.escape(chart.caption)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="13">'
    ]
    for i in range(TICKS + 1):
        share = chart.start + (1 - chart.start) * i / TICKS
        parts.append(
            f'<path d="M{x(share):.1f} 6V{height - 38}" stroke="{LINE}"/>'
            f'<text x="{x(share):.1f}" y="{height - 22}" text-anchor="middle" fill="{PALE}">{100 * share:.0f}</text>'
        )
    for i, bar in enumerate(chart.bars):
        y = 10 + ROW * i
        middle = y + 9
        parts.append(
            f'<text x="{left - 10}" y="{middle + 4}" text-anchor="end" fill="{INK}">{html.escape(bar.name)}</text>'
            f'<rect x="{left}" y="{y}" width="{x(bar.value) - left:.1f}" height="18" rx="3" fill="{OURS}"/>'
            f'<path d="M{x(bar.low):.1f} {middle}H{x(bar.high):.1f}" stroke="{INK}" stroke-width="2"/>'
        )
        if bar.mark is not None:
            parts.append(
                f'<circle cx="{x(bar.mark):.1f}" cy="{middle}" r="6" fill="{THEIRS}" stroke="#fff" stroke-width="2"/>'
            )
    parts.append(f'<text x="{left}" y="{height - 4}" fill="{INK}">{html.escape(chart.caption)}</text></svg>')
    return "".join(parts)
