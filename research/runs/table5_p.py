"""Table 5 of the paper: the share p of recognition questions whose answer is Yes.

    python research/runs/table5_p.py data/portraits --seeds 3  # research/results/table5_p.json; the data as for Table 2

Claim: more positives raise the accuracy on positives and lower that on negatives; the mean is best at 0.6.
Hardware: 1 core. Time: about 3 minutes of training an arm and seed, and 2 of measuring.
Expected here: the same two trends; where the mean is best depends on how certain the model is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablation import run_table, shown_arms

ARMS = {f"p={p}": {"data.p": p} for p in (0.4, 0.5, 0.6, 0.7)}
PUBLISHED = {
    "p=0.4": {"positive": 76.8, "negative": 82.1, "mean": 79.4},
    "p=0.5": {"positive": 78.5, "negative": 84.7, "mean": 81.6},
    "p=0.6": {"positive": 89.0, "negative": 78.9, "mean": 84.0},
    "p=0.7": {"positive": 91.5, "negative": 70.6, "mean": 81.0},
}


def shown(figures: Mapping[str, Any]) -> Any:
    """A row for each p."""
    return shown_arms(figures, "The share p of Yes questions (Table 5)", "Table 5")


if __name__ == "__main__":
    run_table("table5_p", str(__doc__), ARMS, PUBLISHED, shown)
