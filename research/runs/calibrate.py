"""Fits the verdicts of an Aligner for drawn people, and writes them beside its weights: verdicts.json, verdicts.safetensors.

    python research/runs/calibrate.py                                          # the shipped mini
    python research/runs/calibrate.py --model build/mini/weights/aligner       # another one
    python research/runs/calibrate.py --people 120 --pictures 120 --out /tmp/a # a short run

People and pictures are drawn for it: identities of "val", from streams that nothing else uses. Claim: three minutes on a core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plvm import personal
from plvm.families import shipped
from plvm.presence.calibration import save_calibration
from plvm_lab.families.mini.crowd import SEED, calibrate

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--out", type=Path, help="where to write; default: into the Aligner's folder")
    parser.add_argument("--people", type=int, default=1350, help="how many are enrolled; each half serves another purpose")
    parser.add_argument("--pictures", type=int, default=700, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=SEED, help="of people and pictures")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    found = calibrate(vlm, people=arguments.people, pictures=arguments.pictures, seed=arguments.seed, report=progress)
    folder = arguments.out if arguments.out is not None else Path(shipped(arguments.model) or arguments.model)
    folder.mkdir(parents=True, exist_ok=True)
    save_calibration(folder, found, vlm.fingerprint)
    print(found.verdicts)
    print(f"wrote {folder / 'verdicts.json'}", file=sys.stderr)


if __name__ == "__main__":
    main()
