"""Recognition with one, two and four reference pictures of each person. Run by hand.

    python research/benchmarks/references.py                    # research/results/references.json

The first picture is the benchmark's own reference, the others are further portraits of the same person. Patches of all of
them are keys and values of the resampler, global tokens are averaged; no weight is changed.

Claim: more references never cost recognition mean. 25,000 scores: 2 minutes on 2 free cores.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm import personal
from plvm.types import Concept
from plvm_lab.evaluate.drawings import REFERENCE_SIZE
from plvm_lab.evaluate.metrics import Scored, difference, recognition
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.portraits.render import rasterize, scene_svg
from plvm_lab.portraits.scene import draw_portrait

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, SHARES, Shown, by_key, progress, write_result

COUNTS = (1, 2, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark")
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "references.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    bench = portraits("test", arguments.seed, SMALL if arguments.small else None)
    album = bench.album()
    pictures = {}
    for name in bench.names:
        more = [random.Random(f"plvm-references/{arguments.seed}/{name}/{i}") for i in range(1, max(COUNTS))]
        further = [rasterize(scene_svg(draw_portrait(bench.person(name), rng)), REFERENCE_SIZE) for rng in more]
        pictures[name] = [album.reference(name), *further]
    found: dict[str, Any] = {}
    truth, groups = bench.present.T.ravel(), list(bench.names) * len(bench.pictures)
    right: dict[int, list[bool]] = {}
    for count in COUNTS:
        tokens = vlm.tokens_of([pictures[name][:count] for name in bench.names])
        concepts = [Concept(n, t, vlm.fingerprint) for n, t in zip(bench.names, tokens, strict=True)]
        chances: list[float] = []
        for picture in range(len(bench.pictures)):
            chances += vlm.recognize([album.query(picture)], concepts)[0]
            progress(f"{count} references", picture + 1, len(bench.pictures))
        scored = Scored.of(truth, chances, groups)
        right[count] = [bool(r) for r in scored.right]
        found[str(count)] = recognition(scored) | {"gained": difference(right[count], right[COUNTS[0]], groups)}
        mean = found[str(count)]["mean"]
        print(f"{count} references: recognition mean {mean['value']:.3f} [{mean['low']:.3f}, {mean['high']:.3f}]")
    figures = {"benchmark": bench.key, "n": len(truth), "references": found}
    write_result(arguments.out, arguments.seed, figures, shown(figures))


def shown(figures: Mapping[str, Any]) -> Shown:
    """A row for each number of pictures."""
    columns = SHARES | {"gained": "gained"}
    note = "Recognition, percent."
    return Shown((by_key("Several reference pictures", figures["references"], "pictures", columns, note),))


if __name__ == "__main__":
    main()
