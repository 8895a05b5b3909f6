"""Table 4 of the paper: the Aligner with different encoders.

    plvm synth --identities 6000 --per-identity 3 --people 1-4 --no-filters --size 160 --workers 2 --out data/portraits
    python research/runs/encoders.py data/portraits --out build/encoders
    python research/runs/table4_encoders.py data/portraits --seeds 3       # research/results/table4_encoders.json

Claim: DINOv2 is best (mean 81.6 %), ViT and CLIP follow (79.3 and 76.9 %), SAM, without a global token, is far behind (57.7 %).
Ours are no downloads: four encoders of one size, each taught by its family's objective on the same drawn pictures
(research/runs/encoders.py). So the table compares objectives, not what was learned from the world's pictures.
Hardware: 1 core. Time: an hour of encoders, about 3 minutes of training an arm and seed, and 2 of measuring.
Expected here: ViT first, because its classes are the very traits that tell drawn people apart; SAM last, as in the paper. The
paper's order of the others is not to be expected of 2,000 steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablation import run_table, shown_arms

ARMS = {kind: {"aligner.encoder": f"build/encoders/{kind}"} for kind in ("dinov2", "clip", "vit", "sam")}
PUBLISHED = {
    "clip": {"positive": 74.6, "negative": 79.2, "mean": 76.9},
    "sam": {"positive": 66.3, "negative": 49.0, "mean": 57.7},
    "vit": {"positive": 75.1, "negative": 83.5, "mean": 79.3},
    "dinov2": {"positive": 78.5, "negative": 84.7, "mean": 81.6},
}


def shown(figures: Mapping[str, Any]) -> Any:
    """A row for each encoder."""
    return shown_arms(figures, "The encoder, by the objective that taught it (Table 4)", "Table 4")


if __name__ == "__main__":
    run_table("table4_encoders", str(__doc__), ARMS, PUBLISHED, shown)
