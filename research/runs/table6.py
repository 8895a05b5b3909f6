"""Table 6 of the paper on mini: how systems learn somebody, how long that takes, what has to be kept, how good it is.

    python research/runs/table6.py  # research/results/table6.json; the accuracies are those of research/results/table1.json
    python research/runs/table6.py --people 1  # one person each instead of three

Claim: plvm learns a person at least 1,000 times as fast as yollava and 20 times as fast as myvlm (the paper: 6 ms
against about 40 minutes and about a minute, on a GPU). All are measured in one run on one thread count, person by person in
turn, after one person who is not counted: yollava then has the pictures of strangers in its cache already, which only
makes it faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm import personal
from plvm_lab.cli.evaluate import settings_in
from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import SMALL, portraits
from plvm_lab.evaluate.result_table import Table, lasting
from plvm_lab.report.published import TABLE_6
from plvm_lab.systems import build_system, settings_for

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import OTHER_PICTURES, RESULTS, Shown, write_result

DESIGN: dict[str, dict[str, Any]] = {
    "plvm": {"tuned_per_concept": False, "images": 1, "needs_detector": False, "joins_mid_dialogue": True},
    "myvlm": {"tuned_per_concept": True, "images": 1, "needs_detector": True, "joins_mid_dialogue": False},
    "yollava": {"tuned_per_concept": True, "images": 1, "needs_detector": False, "joins_mid_dialogue": False},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=0, help="of the benchmark whose reference pictures are used")
    parser.add_argument("--people", type=int, default=3, help="how many each system learns")
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings, NAME=VALUE")
    parser.add_argument("--accuracy", type=Path, default=RESULTS / "table1.json")
    parser.add_argument("--out", type=Path, default=RESULTS / "table6.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    bench = portraits("test", arguments.seed, SMALL if arguments.small else None)
    album, settings = Drawings(bench), settings_in(arguments.set)
    systems = {name: build_system(name, vlm, **settings_for(name, settings)) for name in DESIGN}
    for system in systems.values():
        system.prepare(album)
    times: dict[str, list[float]] = {name: [] for name in DESIGN}
    sizes: dict[str, int | None] = {}
    for i, person in enumerate(bench.names[: arguments.people + 1]):
        picture = album.reference(person)
        for name, system in systems.items():
            begun = time.perf_counter()
            known = system.learn(person, picture)
            took = time.perf_counter() - begun
            sizes[name] = system.bytes_of(known)
            if i:
                times[name].append(took)
            print(f"{person}: {name} {took:.4f} s{'' if i else ' (not counted)'}", file=sys.stderr)
    median = {name: statistics.median(values) for name, values in times.items()}
    good = accuracies(arguments.accuracy, bench.key)
    rows = [
        {"system": name, **DESIGN[name], "enroll_seconds": round(median[name], 6), "enroll_bytes": sizes[name],
         "times_plvm": round(median[name] / median["plvm"], 1), **good.get(name, {})}
        for name in DESIGN
    ]  # fmt: skip
    figures = {"n": arguments.people, "rows": rows}
    write_result(arguments.out, arguments.seed, figures, shown(figures))
    for row in rows:
        print(
            f"{row['system']}: {row['enroll_seconds']} s, {row['times_plvm']} times plvm's, {row['enroll_bytes']} bytes"
        )


def accuracies(path: Path, key: str) -> dict[str, dict[str, Any]]:
    """Recognition and visual QA by system, from Table 1 of the same benchmark where that has been made."""
    if not path.exists():
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))
    if table["benchmark"] != key:
        return {}
    return {r["system"]: {"recognition": r["recognition"], "visual_qa": r["visual_qa"]} for r in table["rows"]}


def shown(figures: Mapping[str, Any]) -> Shown:
    """How systems learn somebody, what that takes, and how good it is where Table 1 knows."""
    needs = ("tuned_per_concept", "needs_detector", "joins_mid_dialogue")
    rows = tuple(
        (row["system"], *("yes" if row[k] else "no" for k in needs), str(row["images"]), lasting(row["enroll_seconds"]),
         f"{row['times_plvm']:,.0f}", f"{row['enroll_bytes']:,}", row.get("recognition", {}).get("mean", "-"),
         row.get("visual_qa", "-"), TABLE_6.get(row["system"], "-"))
        for row in figures["rows"]
    )  # fmt: skip
    header = ("system", "tuned for a concept", "needs a detector", "may join a dialogue", "pictures", "enrolment",
              "times plvm's", "bytes kept", "recognition, mean", "visual QA", "published: enrolment")  # fmt: skip
    note = f"Times of one run, {figures['n']} people each in turn. {OTHER_PICTURES}"
    return Shown((Table("How systems learn somebody (Table 6)", header, rows, note),), place="Table 6")


if __name__ == "__main__":
    main()
