"""Is one draw of references and pictures a lucky one? The suite `lfw` in five draws about the same people.

    python research/benchmarks/photo_seeds.py --model FAMILY/aligner --photos PHOTOS --split val --out build/photo_seeds.json
    python research/benchmarks/photo_seeds.py --model FAMILY/aligner --photos PHOTOS     # research/results/photo_seeds.json

In every draw each person has another reference, and other pictures where there are more than are asked about; draw 15 is the one
in which all parts of the suite are asked. Claims: the recognition means of all draws are within 2 points, and where somebody is
is right in 92 % on average. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from plvm import personal
from plvm_lab.evaluate.faces_benchmark import SMALL, SPLITS, FacesBenchmark, FacesSize
from plvm_lab.evaluate.kept_faces import keep_faces
from plvm_lab.evaluate.result_table import Table
from plvm_lab.evaluate.runner import evaluate
from plvm_lab.systems.plvm import Plvm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, SHARES, Shown, command, progress, write_result

PARTS = ("recognition", "where")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the Aligner's folder of a photo family")
    parser.add_argument("--photos", type=Path, required=True, help="PHOTOS/NAME/picture.jpg")
    parser.add_argument("--split", choices=SPLITS, default="test", help="of the people")
    parser.add_argument("--seeds", type=int, nargs="*", default=[11, 12, 13, 14, 15], help="of the draws")
    parser.add_argument("--small", action="store_true", help="a few items of everything, to see that it runs")
    parser.add_argument("--people", type=int, nargs=3, metavar=("TEST", "VAL", "STRANGERS"),
                        help="how the people were split, if not as usual")  # fmt: skip
    parser.add_argument("--kept", type=Path, default=Path("build/faces"), help="where the faces that were found are kept")
    parser.add_argument("--work", type=Path, default=Path("build/photo_seeds"), help="records")
    parser.add_argument("--out", type=Path, default=RESULTS / "photo_seeds.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    kept, size = keep_faces(vlm, arguments.kept), SMALL if arguments.small else FacesSize()
    if arguments.people:
        size = replace(size, **dict(zip(("test", "val", "strangers"), arguments.people, strict=True)))
    found: dict[int, Any] = {}
    for seed in arguments.seeds:
        bench = FacesBenchmark(arguments.photos, kept, arguments.split, replace(size, drawn=seed))
        folder = arguments.work / arguments.split / str(seed)
        found[seed] = evaluate(Plvm(vlm), bench, folder, command=command(), parts=PARTS, progress=progress)
        print(f"draw {seed}: recognition {found[seed]['recognition']['mean']['value']:.4f}", flush=True)
    figures = {"split": arguments.split, "system": Plvm(vlm).facts} | summarized(found)
    write_result(arguments.out, size.seed, figures, shown(figures))


def summarized(found: Mapping[int, Any]) -> dict[str, Any]:
    """The figures of every draw, how far apart their recognition means are, and the share of right places over all draws."""
    means = [summary["recognition"]["mean"]["value"] for summary in found.values()]
    places = [summary["where"]["there"] for summary in found.values()]
    asked = sum(place["n"] for place in places)
    return {
        "n": sum(summary["n"] for summary in found.values()),
        "mean": round(sum(means) / len(means), 6),
        "spread": round(max(means) - min(means), 6),
        "recognition": {str(seed): {k: summary["recognition"][k] for k in SHARES} for seed, summary in found.items()},
        "where": {str(seed): {k: summary["where"][k] for k in ("there", "absent")} for seed, summary in found.items()},
        "where_there": {"value": round(sum(place["value"] * place["n"] for place in places) / asked, 6), "n": asked},
    }


def shown(figures: Mapping[str, Any]) -> Shown:
    """A row for each draw."""
    places = figures["where"]
    rows = tuple(
        (seed, *(found[k] for k in SHARES), places[seed]["there"], places[seed]["absent"])
        for seed, found in figures["recognition"].items()
    )
    where = figures["where_there"]
    note = (
        f"Percent, 95 % intervals over identities; single photographs of people of the split {figures['split']}, the same people "
        f"in all draws. The means are {100 * figures['mean']:.1f} on average and {100 * figures['spread']:.1f} points apart. "
        f"Then, in rows of people: where somebody is, {100 * where['value']:.1f} right of all {where['n']} asked about in these "
        "draws, and that somebody is not there."
    )
    header = ("draw", *SHARES.values(), "where", "not there")
    return Shown((Table("Photographs of people in other draws", header, rows, note),))


if __name__ == "__main__":
    main()
