"""Ours: whether training with further people in the prompt costs recognition of one, which is what the benchmark asks.

    python research/runs/distractors.py data/portraits --seeds 3  # research/results/distractors.json; the data as for Table 2

Claim: none of the paper's, which trains with one concept in the prompt.
Hardware: 2 cores. Time, estimated: 8 minutes of training an arm and seed, and 2 of measuring.
Expected here: little is lost with a quarter of the steps, more with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablation import run_table, shown_arms

ARMS = {f"distractors={share}": {"data.distractors": share} for share in (0.0, 0.25, 1.0)}


def shown(figures: Mapping[str, Any]) -> Any:
    """A row for each share."""
    return shown_arms(figures, "Further people in the prompts of training (ours)")


if __name__ == "__main__":
    run_table("distractors", str(__doc__), ARMS, {}, shown)
