"""Ours: where the definitions of concepts stand, before the picture (the released order) or after it (ours).

    python research/runs/position.py data/portraits --seeds 3  # research/results/position.json; the data as for Table 2

Claim: none of the paper's, whose text has the picture first and whose released prompt has the definitions first.
Hardware: 1 core. Time: about 3 minutes of training an arm and seed, twice that with the definitions first, because each
question then goes through the model with its own picture; and 2 to 10 of measuring, for the same reason.
Expected here: the mini family was pretrained with the picture first alone, so the other order has to be bought by the Aligner;
a backbone that has read both would say more about the order itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablation import run_table, shown_arms

ARMS = {form: {"aligner.form": form} for form in ("image-first", "definitions-first")}


def shown(figures: Mapping[str, Any]) -> Any:
    """A row for each order."""
    return shown_arms(figures, "Definitions before or after the picture (ours)")


if __name__ == "__main__":
    run_table("position", str(__doc__), ARMS, {}, shown)
