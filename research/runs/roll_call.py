"""Who is named, as more and more people are enrolled: 1 to 1,000, before and after calibration. Run by hand.

    python research/runs/roll_call.py                         # research/results/roll_call.json
    python research/runs/roll_call.py --pictures 10 --people 60 --counts 1 10   # a short run

Every picture shows one to four people, each enrolled with probability 1/2; the enrolled ones among them and others who are
in no picture make N. Before: everybody is asked about, and whoever has P(Yes) >= .5 is named. After: `vlm.who`, whose
calibration was fitted on other people and pictures. Found: of those enrolled and there, the share that is named. False:
names a picture of who is not there. Seconds: that one core computes on a picture that was not seen before, median.

Claim: at 1,000 enrolled at least 85 % are found, with at most half a false name a picture, in at most 1.5 seconds on one core.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from plvm import personal
from plvm.presence.roll import candidates, likenesses
from plvm_lab.evaluate.metrics import accuracy, figure, weights
from plvm_lab.evaluate.result_table import Table, lasting
from plvm_lab.families.mini.crowd import QUERY_SIZE, Crowd
from plvm_lab.portraits.render import draw

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

COUNTS = (1, 10, 100, 1000)


def a_picture(values: Sequence[float]) -> dict[str, Any]:
    """The mean of a number per picture, with its interval over the pictures."""
    numbers = np.array(values, dtype=float)
    return figure(float(numbers.mean()), weights(len(numbers)) @ numbers / len(numbers), len(numbers))


def named(row: dict[str, list[Any]], who: Mapping[str, Any], present: Sequence[str], number: int) -> None:
    """Count the names that one picture got."""
    row["found"] += [(name in who, str(number)) for name in present]
    row["false"].append(sum(name not in present for name in who))


def summary(row: Mapping[str, list[Any]]) -> dict[str, Any]:
    """The figures of one number of people, in one way."""
    shares = {
        key: accuracy([right for right, _ in row[key]], [group for _, group in row[key]])
        for key in ("found", "doubted", "candidates", "placed")
        if row[key]
    }
    means = {key: a_picture(row[key]) for key in ("false", "doubts") if row[key]}
    seconds = sorted(row["seconds"])
    return {**shares, **means, "seconds": round(seconds[len(seconds) // 2], 4) if seconds else None}


def empty() -> dict[str, list[Any]]:
    """Nothing counted yet."""
    return {key: [] for key in ("found", "false", "doubted", "doubts", "candidates", "placed", "seconds")}


def after(
    vlm: personal.Personal, image: Any, crowd: list[Any], places: Mapping[str, str], row: dict[str, list[Any]], at: int
) -> None:
    """`vlm.who` on one picture, as for the first time."""
    vlm.engine.prefixes.forget()
    begun = time.process_time()
    there = vlm.who(image, crowd)
    row["seconds"].append(time.process_time() - begun)
    yes = {p.name: p for p in there if p.verdict == "yes"}
    unsure = {p.name for p in there if p.verdict == "unsure"}
    named(row, yes, list(places), at)
    row["doubted"] += [(name in unsure, str(at)) for name in places]
    row["doubts"].append(len(unsure - set(places)))
    row["placed"] += [(place in yes[name].place, str(at)) for name, place in places.items() if name in yes]
    likest = {crowd[i].name for i in candidates(likenesses(vlm.engine, vlm.calibration, vlm.look(image), crowd), len(crowd))}
    row["candidates"] += [(name in likest, str(at)) for name in places]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--seed", type=int, default=1, help="of people and pictures")
    parser.add_argument("--split", default="test", help='whose people: "val" while something is being chosen')
    parser.add_argument("--people", type=int, default=1000, help="how many are drawn")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of enrolled people")
    parser.add_argument("--pictures", type=int, default=150, help="how many query pictures")
    parser.add_argument("--before", type=int, default=50, help="on so many of them everybody is asked about, too")
    parser.add_argument("--out", type=Path, default=RESULTS / "roll_call.json")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    vlm = personal.load(arguments.model)
    world = Crowd(arguments.people, arguments.seed, arguments.split)
    people = world.enrolled(vlm, report=progress)
    rows = {way: {n: empty() for n in arguments.counts} for way in ("before", "after")}
    for number in range(arguments.pictures):
        scene, present = world.scene(number)
        image = draw(scene, QUERY_SIZE)
        rng = random.Random(f"plvm-roll-call/{arguments.seed}/{number}")
        others = rng.sample([i for i in range(len(people)) if i not in present], len(people) - len(present))
        everyone = [*present, *others]
        if number < arguments.before:
            vlm.engine.prefixes.forget()
            begun = time.process_time()
            chances = vlm.recognize([image], [people[i] for i in everyone])[0]
            rows["before"][max(arguments.counts)]["seconds"].append(time.process_time() - begun)
        for count in arguments.counts:
            some, crowd = present[:count], [people[i] for i in everyone[:count]]
            places = {world.name(i): scene.find(world.person(i)).position for i in some}  # type: ignore[union-attr]
            after(vlm, image, crowd, places, rows["after"][count], number)
            if number < arguments.before:
                over = {people[i].name: p for i, p in zip(everyone[:count], chances, strict=False) if p >= 0.5}
                named(rows["before"][count], over, list(places), number)
        progress("pictures", number + 1, arguments.pictures)
    enrolled = {str(n): {way: summary(rows[way][n]) for way in rows} for n in arguments.counts}
    for n, ways in enrolled.items():
        for way, f in ways.items():
            print(n, way, {k: v if not isinstance(v, dict) else (v["value"], v["n"]) for k, v in f.items()})
    whole = {"people": arguments.people, "split": world.split, "n": arguments.pictures, "n_before": arguments.before,
             "calibration": {"people": vlm.calibration.verdicts.people, "pictures": vlm.calibration.verdicts.pictures},
             "enrolled": enrolled}  # fmt: skip
    write_result(arguments.out, arguments.seed, whole, shown(whole))


def shown(content: Mapping[str, Any]) -> Shown:
    """A row for each number of people and each way."""
    header = ("people enrolled", "who gets a name", "found", "false names a picture", "seconds a picture")
    ways = {"before": "P(Yes) of .5 or more, of everybody", "after": "a calibrated yes"}
    rows = [
        (f"{int(n):,}", told, figures[way]["found"], mean_of(figures[way]["false"]),
         lasting(figures[way]["seconds"]) if figures[way]["seconds"] is not None else "-")
        for n, figures in content["enrolled"].items()
        for way, told in ways.items()
    ]  # fmt: skip
    note = (
        f"Found in percent of those who are enrolled and in the picture, in {content['n']} pictures, everybody being asked about "
        f"in {content['n_before']} of them; intervals over pictures; times on one core."
    )
    return Shown((Table("Who is named, as more people are enrolled", header, tuple(rows), note),))


def mean_of(figure: Mapping[str, Any]) -> str:
    """A number per picture with its interval."""
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"


if __name__ == "__main__":
    main()
