"""How recognition holds up as more and more people are enrolled: 1 to 1,000. Run by hand.

    python research/benchmarks/enrolled.py                      # research/results/enrolled.json
    python research/benchmarks/enrolled.py --counts 1 10        # a short run

For each number N: every query picture shows somebody who is enrolled, beside N - 1 others who are in no picture; all N are
scored, each alone in its prompt. Found: the one with the highest P(Yes) is in the picture. False alarms: strangers with
P(Yes) over 0.5, of those scored. Seconds: of scoring one picture that was not seen before, the image prefix included,
beside those of N = 1 from the same run; only their ratio is for comparing.

Claim: time grows with N, but far below N-fold while the picture costs more than a concept; found falls slowly. About
1,400 scores a picture: 5 minutes on 2 free cores.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm import personal
from plvm.types import Concept
from plvm_lab.evaluate.drawings import REFERENCE_SIZE
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.portraits.person import person_of
from plvm_lab.portraits.render import rasterize, scene_svg
from plvm_lab.portraits.scene import draw_portrait

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, by_key, progress, write_result

COUNTS = (1, 3, 10, 30, 100, 300, 1000)


def strangers(vlm: personal.Personal, count: int, seed: int) -> list[Concept]:
    """People who are in no picture of the benchmark, enrolled."""
    found: list[Concept] = []
    for start in range(0, count, 50):
        pictures = []
        for i in range(start, min(count, start + 50)):
            scene = draw_portrait(person_of("test-enrolled", i, seed), random.Random(f"plvm-enrolled/{seed}/{i}"))
            pictures.append([rasterize(scene_svg(scene), REFERENCE_SIZE)])
        tokens = vlm.tokens_of(pictures)
        found += [Concept(f"stranger-{start + i}", t, vlm.fingerprint) for i, t in enumerate(tokens)]
        progress("enrolled", len(found), count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of enrolled people")
    parser.add_argument("--pictures", type=int, default=60, help="how many query pictures")
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "enrolled.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    bench = portraits("test", arguments.seed, SMALL if arguments.small else None)
    album, rng = bench.album(), random.Random(f"plvm-enrolled/{arguments.seed}")
    others = strangers(vlm, max(arguments.counts) - 1, arguments.seed)
    chosen = rng.sample(range(len(bench.pictures)), min(arguments.pictures, len(bench.pictures)))
    known = {n: vlm.enroll(n, album.reference(n)) for n in dict.fromkeys(bench.shown(p)[0] for p in chosen)}
    rows: dict[int, dict[str, list[Any]]] = {n: {"found": [], "alarms": [], "seconds": []} for n in arguments.counts}
    vlm.recognize([album.reference(bench.names[0])], others[:1] or list(known.values())[:1])  # nothing is warm before
    about = [bench.shown(picture)[0] for picture in chosen]
    for done, (picture, name) in enumerate(zip(chosen, about, strict=True)):
        image = album.query(picture)
        for count in arguments.counts:
            crowd = [known[name], *rng.sample(others, count - 1)]
            vlm.engine.prefixes.forget()
            begun = time.perf_counter()
            chances = vlm.recognize([image], crowd)[0]
            rows[count]["seconds"].append(time.perf_counter() - begun)
            rows[count]["found"].append(chances[0] == max(chances))
            rows[count]["alarms"] += [(p > 0.5, name) for p in chances[1:]]
        progress("pictures", done + 1, len(chosen))
    figures: dict[str, Any] = {}
    for count, row in rows.items():
        seconds = sorted(row["seconds"])
        figures[str(count)] = {
            "found": accuracy(row["found"], about),
            "false_alarms": accuracy([a for a, _ in row["alarms"]], [n for _, n in row["alarms"]]),
            "seconds": round(seconds[len(seconds) // 2], 6),
        }
        print(
            f"{count:5} enrolled: found {figures[str(count)]['found']['value']:.3f}, {seconds[len(seconds) // 2]:.3f} s"
        )
    once = figures[str(min(arguments.counts))]["seconds"]
    for row_ in figures.values():
        row_["times_as_long"] = round(row_["seconds"] / once, 3)
    whole = {"benchmark": bench.key, "n": len(chosen), "pictures": chosen, "enrolled": figures}
    write_result(arguments.out, arguments.seed, whole, shown(whole))


def shown(figures: Mapping[str, Any]) -> Shown:
    """A row for each number of people."""
    columns = {"found": "found", "false_alarms": "others taken for there", "seconds": "a picture with everybody"}
    note = "Percent; every person in the store is looked for in pictures of one of them."
    return Shown((by_key("Ever more people enrolled", figures["enrolled"], "people", columns, note),))


if __name__ == "__main__":
    main()
