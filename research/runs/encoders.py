"""Four small encoders for Table 4, each taught by the objective of its family on the same drawn pictures.

    plvm synth --identities 6000 --per-identity 3 --people 1-4 --no-filters --size 160 --workers 2 --out data/portraits
    python research/runs/encoders.py data/portraits --out build/encoders          # dinov2/, clip/, vit/, sam/, run/

They are of one size (the mini family's: width 192, 4 layers, 112 pixels, patches of 14) and take as many steps of as many
pictures. Each folder is in the layout of the Hugging Face Hub, with its training record. Interrupted, the same command goes on.
Time on one quiet core: 25 minutes for dinov2, 8 to 12 for each of the others.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from plvm.runtime import choose_device
from plvm_lab.families.encoders.teaching import KINDS, check_kinds, teach
from plvm_lab.families.encoders.training_pictures import Pictures
from plvm_lab.families.mini.recipe import FULL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a dataset of plvm synth")
    parser.add_argument("--out", type=Path, default=Path("build/encoders"))
    parser.add_argument("--which", default=",".join(KINDS), help="comma-separated (default: all)")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=FULL.encoder_batch, help="pictures a step")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    kinds = arguments.which.split(",")
    check_kinds(kinds)
    recipe = replace(FULL, encoder_batch=arguments.batch, seed=arguments.seed)
    pictures = Pictures(arguments.data, recipe.reference_size)
    with torch.device(choose_device().value):
        for kind in kinds:
            begun = time.monotonic()
            folder = teach(kind, pictures, arguments.out, recipe, steps=arguments.steps, report=tell)
            print(f"{folder}: {arguments.steps} steps, {time.monotonic() - begun:.0f} s", flush=True)


def tell(stage: str, step: int, steps: int, figures: Mapping[str, float]) -> None:
    print(f"{stage} {step}/{steps}", *(f"{k} {v:.3f}" for k, v in figures.items()), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
