"""Ablations of training: a result file with one row per arm and seed -> a table and a chart, the paper's figures beside ours."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from plvm_lab.report.markdown import Cell, Table

FIGURES = ("positive", "negative", "mean")
FURTHER = {"look-alikes": ("lookalikes", "mean"), "text QA": ("text_qa",)}
TITLES = {
    "table2_w": "The weight w of Yes and No in the loss (Table 2)",
    "table3_k": "The number K of context tokens (Table 3)",
    "table4_encoders": "The encoder, by the objective that taught it (Table 4)",
    "table5_p": "The share p of Yes questions (Table 5)",
    "distractors": "Further people in the prompts of training (ours)",
    "position": "Definitions before or after the picture (ours)",
}
OURS, THEIRS, LINE = "#0b7285", "#d9a441", "#e6e0d5"
LEFT, WIDTH, ROW = 130, 420, 34  # of the chart, in pixels


def is_ablation(content: Mapping[str, Any]) -> bool:
    """Whether a result file has arms: trainings that differ in one setting."""
    rows = content.get("rows")
    return isinstance(rows, list) and bool(rows) and all("arm" in row and "recognition" in row for row in rows)


def arms_of(content: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each arm, in order."""
    arms: dict[str, list[dict[str, Any]]] = {}
    for row in content["rows"]:
        arms.setdefault(row["arm"], []).append(row)
    return arms


def figure_of(rows: Sequence[Mapping[str, Any]], *path: str) -> dict[str, float]:
    """A share of one training with its bootstrap interval; of several their mean, and from where to where they go."""
    found = [reduce(getitem, path, row) for row in rows]
    if len(found) == 1:
        return {key: found[0][key] for key in ("value", "low", "high")}
    values = [f["value"] for f in found]
    return {"value": sum(values) / len(values), "low": min(values), "high": max(values)}


def ablation_table(stem: str, content: Mapping[str, Any]) -> Table:
    """Arms with recognition on the benchmark, and what the paper has where it has it."""
    rows: list[tuple[Cell, ...]] = []
    further = {name: path for name, path in FURTHER.items() if all(path[0] in row for row in content["rows"])}
    compared = FIGURES if any(row.get("paper") for row in content["rows"]) else ()
    for arm, own in arms_of(content).items():
        paper = own[0].get("paper") or {}
        theirs = (f"{paper[f]:.1f}" if f in paper else "-" for f in compared)
        ours = [figure_of(own, "recognition", f) for f in FIGURES] + [figure_of(own, *path) for path in further.values()]
        rows.append((arm, str(len(own)), *ours, *theirs))
    header = ("arm", "trainings", *FIGURES, *further, *(f"paper: {f}" for f in compared))
    steps = sorted({row["steps"] for row in content["rows"]})
    note = (
        f"Percent; recognition of {content['rows'][0]['n']:,} pairs; {', '.join(map(str, steps))} steps each. Of one training "
        "the interval is a bootstrap's over identities, of several it is their range."
        + (" The paper's are of photos and a 7B model." if compared else "")
    )
    return Table(TITLES.get(stem, stem), header, tuple(rows), note)


def ablation_svg(content: Mapping[str, Any]) -> str:
    """Bars from 50 to 100 %: our mean with its interval, and the paper's as a mark."""
    arms = arms_of(content)
    height = ROW * len(arms) + 44

    def x(share: float) -> float:
        return LEFT + WIDTH * (min(max(share, 0.4), 1.0) - 0.4) / 0.6

    parts = [
        f'<svg viewBox="0 0 {LEFT + WIDTH + 40} {height}" role="img" aria-label="recognition mean by arm" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="13">'
    ]
    for tick in range(40, 101, 10):
        at = x(tick / 100)
        parts.append(
            f'<path d="M{at:.1f} 6V{height - 38}" stroke="{LINE}"/>'
            f'<text x="{at:.1f}" y="{height - 22}" text-anchor="middle" fill="#7d7987">{tick}</text>'
        )
    for i, (arm, rows) in enumerate(arms.items()):
        y, mean = 10 + ROW * i, figure_of(rows, "recognition", "mean")
        middle = y + 9
        parts.append(
            f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end" fill="#2b2a33">{html.escape(arm)}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{x(mean["value"]) - LEFT:.1f}" height="18" rx="3" fill="{OURS}"/>'
            f'<path d="M{x(mean["low"]):.1f} {middle}H{x(mean["high"]):.1f}" stroke="#2b2a33" stroke-width="2"/>'
        )
        if paper := (rows[0].get("paper") or {}).get("mean"):
            parts.append(
                f'<circle cx="{x(paper / 100):.1f}" cy="{middle}" r="6" fill="{THEIRS}" stroke="#fff" stroke-width="2"/>'
            )
    told = "recognition, mean, %" + (": bars ours, dots the paper's" if any(r[0].get("paper") for r in arms.values()) else "")
    parts.append(f'<text x="{LEFT}" y="{height - 4}" fill="#2b2a33">{told}</text></svg>')
    return "".join(parts)
