"""How long enrolling one concept takes, against the encoder's own forward pass in the same run; it must change nothing.

    python research/benchmarks/enroll.py                            # the shipped mini model, research/results/enroll.json

Times are medians of interleaved repetitions on one drawn reference picture:

    forward      the encoder on pixel values that are there already
    prepared     the same with its image processor before it
    tokens       a picture to concept tokens: prepared, and the Aligner (`Personal.tokens_of`)
    enroll       a picture to a concept as a user gets it, checks included; its picture is encoded later, when it is stored
    stored       the same, and its picture encoded

Claim: enroll / prepared <= 1.5 - all that is not the encoder costs less than half its pass - and no weight changes.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from plvm import personal
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result


def weights_digest(vlm: personal.Personal) -> str:
    """A digest of every weight and buffer of backbone, encoder and Aligner."""
    digest = hashlib.sha256()
    for model in (vlm.backbone.model, vlm.encoder.model, vlm.aligner):
        for name, tensor in sorted(model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark whose reference pictures are used")
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--out", type=Path, default=RESULTS / "enroll.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    bench = portraits("test", arguments.seed)
    picture = Drawings(bench).reference(bench.names[0])
    pixels = vlm.encoder.pixels([picture])
    steps: dict[str, Callable[[], Any]] = {
        "forward": lambda: vlm.encoder.features(pixels),
        "prepared": lambda: vlm.encoder.features(vlm.encoder.pixels([picture])),
        "tokens": lambda: vlm.tokens_of([[picture]]),
        "enroll": lambda: vlm.enroll("billie", picture),
        "stored": lambda: vlm.enroll("billie", picture).references[0],
    }
    before = weights_digest(vlm)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(arguments.repeat + 3):  # the first three warm up
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            if i >= 3:
                times[name].append(time.perf_counter() - begun)
    unchanged = weights_digest(vlm) == before
    median = {name: statistics.median(values) for name, values in times.items()}
    ratios = {
        f"{a}/{b}": round(median[a] / median[b], 3)
        for a in ("tokens", "enroll", "stored")
        for b in ("forward", "prepared")
    }
    trainable = [p for m in (vlm.backbone.model, vlm.encoder.model) for p in m.parameters() if p.requires_grad]
    figures = {
        "n": arguments.repeat,
        "milliseconds": {name: round(1000 * value, 3) for name, value in median.items()},
        "ratios": ratios,
        "weights_unchanged": unchanged,
        "trainable_frozen_weights": len(trainable),
    }
    print(figures)
    write_result(arguments.out, arguments.seed, figures, shown(figures))
    if not unchanged:
        raise SystemExit("enrolling changed a weight")



def shown(figures: Mapping[str, Any]) -> Shown:
    """What enrolling takes, step by step."""
    names = {"forward": "encoder", "prepared": "encoder with its image processor", "tokens": "a picture to concept tokens",
             "enroll": "a picture to a concept", "stored": "the same, its picture encoded for the store"}  # fmt: skip
    first = figures["milliseconds"]["prepared"]
    rows = tuple((names[k], f"{ms:.1f} ms", f"{ms / first:.2f}") for k, ms in figures["milliseconds"].items())
    changed = "No weight changes." if figures["weights_unchanged"] else "A weight changed."
    note = f"Medians of {figures['n']} interleaved repetitions on one picture. {changed}"
    return Shown((Table("Enrolling one concept", ("step", "time", "times the encoder's"), rows, note),))


if __name__ == "__main__":
    main()
