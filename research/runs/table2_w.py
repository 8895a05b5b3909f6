"""Table 2 of the paper: the weight w of the words Yes and No in the loss (Eq. 2).

    plvm synth --identities 6000 --per-identity 3 --people 1-4 --no-filters --size 160 --workers 2 --out data/portraits
    python research/runs/table2_w.py data/portraits --seeds 3  # research/results/table2_w.json

Claim: with w = 1 nearly everything is answered No (4 % of the positives are right); from 5 on it is learned, best at 10 to 20.
Hardware: 1 core. Time: about 3 minutes of training an arm and seed, and 2 of measuring.
Expected here: the paper's collapse at w = 1 may not show, because the mini family's answers are short: a verdict is one of
two to ten words, not of a paragraph. Whatever comes out is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablation import run_table, shown_arms

ARMS = {f"w={w}": {"train.w": float(w)} for w in (1, 5, 10, 15, 20)}
PUBLISHED = {
    "w=1": {"positive": 4.0, "negative": 96.0, "mean": 50.0},
    "w=5": {"positive": 76.8, "negative": 80.2, "mean": 78.5},
    "w=10": {"positive": 79.6, "negative": 82.4, "mean": 81.0},
    "w=15": {"positive": 79.6, "negative": 79.8, "mean": 79.7},
    "w=20": {"positive": 78.5, "negative": 84.7, "mean": 81.6},
}


def shown(figures: Mapping[str, Any]) -> Any:
    """A row for each w."""
    return shown_arms(figures, "The weight w of Yes and No in the loss (Table 2)", "Table 2")


if __name__ == "__main__":
    run_table("table2_w", str(__doc__), ARMS, PUBLISHED, shown)
