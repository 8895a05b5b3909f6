"""How many passes and which learning rate Yo'LLaVA needs on mini, chosen on validation identities alone.

    python research/runs/yollava_budget.py                      # the grid, research/results/yollava_budget.json
    python research/runs/yollava_budget.py --epochs 3 --rates 0.02 --people 1      # one cell, one person

The mini model is 200 times narrower than the one of the published settings, so these do not carry over. For every cell of
the grid the people of a small benchmark of the split "val" are learned from one picture each, and asked about in all of
its pictures. `MINI` of plvm_lab/systems/yollava.py says the cheapest cell within a point of the best recognition mean. No test
identity is drawn, learned or shown.

Claim: none; a choice of settings, so that Table 1 measures the method and not a bad learning rate. What is learned is kept
by cell and person: a run that was stopped goes on where it was. Time: 1.3 s for a person and a
pass on one free core; 6 people with 42 passes at each of 4 rates take half an hour.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plvm import personal
from plvm_lab.cli.evaluate import settings_in
from plvm_lab.evaluate.metrics import Scored, recognition
from plvm_lab.evaluate.portraits_benchmark import SMALL, VALIDATION, Benchmark, portraits
from plvm_lab.evaluate.result_table import Table, percent
from plvm_lab.systems.yollava import MINI, YoLlava

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

EPOCHS, RATES = (6, 12, 24), (0.005, 0.02, 0.05, 0.1)


def measure(system: YoLlava, bench: Benchmark, names: list[str], label: str) -> dict[str, Any]:
    """Recognition of these people in all pictures of a benchmark, and the seconds of learning one."""
    album = bench.album()
    known = []
    for i, name in enumerate(names):
        known.append(system.learn(name, album.reference(name)))
        progress(f"{label}: learned", i + 1, len(names))
    pictures = [album.query(i) for i in range(len(bench.pictures))]
    chances = system.recognize(pictures, known)
    truth = bench.present[[bench.names.index(name) for name in names]].T
    scored = Scored.of(truth.ravel(), chances.ravel().tolist(), names * len(pictures))
    found = recognition(scored)
    seconds = [k.seconds for k in known if k.seconds is not None]
    return {key: found[key] for key in ("positive", "negative", "mean", "auc")} | {
        "seconds_per_person": round(sum(seconds) / len(seconds), 2), "n": int(truth.size),
    }  # fmt: skip


def best_of(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The cell with the best recognition mean; of equal ones the cheaper, the earlier."""
    return min(cells, key=lambda c: (-c["recognition"]["mean"]["value"], c["epochs"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--epochs", type=int, nargs="+", default=EPOCHS, help="passes over the lessons")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="learning rates")
    parser.add_argument("--people", type=int, default=6, help="how many validation identities are learned")
    parser.add_argument("--seed", type=int, default=0, help="of the validation benchmark")
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    parser.add_argument(
        "--set", nargs="*", action="extend", default=[], help="further settings of all cells, NAME=VALUE"
    )
    parser.add_argument("--work", type=Path, default=Path("build/yollava_budget"), help="what was learned")
    parser.add_argument("--out", type=Path, default=RESULTS / "yollava_budget.json")
    arguments = parser.parse_args()

    vlm = personal.load(arguments.model)
    bench = portraits("val", arguments.seed, SMALL if arguments.small else VALIDATION)
    names = list(bench.names[: arguments.people])
    more = settings_in(arguments.set)
    grid = list(itertools.product(arguments.epochs, arguments.rates))
    begun = time.perf_counter()
    strangers = None
    cells: list[dict[str, Any]] = []
    for done, (epochs, rate) in enumerate(grid, 1):
        own = {"epochs": epochs, "learning_rate": rate, "best_after": epochs // 2} | more
        system = YoLlava(vlm, strangers=strangers, keep=arguments.work / "kept", **own)
        system.prepare(bench.album())
        strangers = system.strangers  # the same for all cells
        cells.append({"epochs": epochs, "learning_rate": rate, "tuning": asdict(system.tuning),
                      "recognition": measure(system, bench, names, f"{epochs} passes, rate {rate:g}")})  # fmt: skip
        best = best_of(cells)
        print(f"{epochs} passes, rate {rate:g}: mean {percent(cells[-1]['recognition']['mean'])}", flush=True)
        passes = sum(e for e, _ in grid[:done])
        left = (time.perf_counter() - begun) / passes * sum(e for e, _ in grid[done:])
        print(f"{done} of {len(grid)} cells; about {left / 60:.0f} minutes left", file=sys.stderr)
        figures = {
            "benchmark": bench.key, "n": cells[-1]["recognition"]["n"], "people": names, "cells": cells,
            "best": {key: best[key] for key in ("epochs", "learning_rate")},
            "present": {"epochs": MINI.epochs, "learning_rate": MINI.learning_rate},
        }  # fmt: skip
        write_result(arguments.out, arguments.seed, figures, shown(figures))
    print(json.dumps(figures["best"]))



def shown(figures: Mapping[str, Any]) -> Shown:
    """A row for each cell of the grid."""
    rows = tuple(
        (str(c["epochs"]), f"{c['learning_rate']:g}", *(c["recognition"][k] for k in ("positive", "negative", "mean")),
         f"{c['recognition']['seconds_per_person']:.0f} s")
        for c in figures["cells"]
    )  # fmt: skip
    header = ("passes", "learning rate", "positive", "negative", "mean", "a person")
    return Shown((Table("Yo'LLaVA's budget on mini, on validation people", header, rows, "Recognition from one picture."),))


if __name__ == "__main__":
    main()
