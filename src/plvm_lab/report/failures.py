"""The hardest pairs: which identities a system confuses most, with the pictures. Records say which picture it was; the
picture itself is drawn again from the benchmark's seed."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from PIL import Image

from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import VERSION, Benchmark, Size, portraits
from plvm_lab.report.results import Run


@dataclass(frozen=True, eq=False)
class Miss:
    """A wrong decision: the picture's number, P(Yes), and whether the identity is in it."""

    picture: int
    probability: float | None
    present: bool


@dataclass(frozen=True, eq=False)
class Identity:
    """What went wrong with one identity: how many pairs of how many, and the worst of them."""

    name: str
    wrong: int
    asked: int
    missed: tuple[Miss, ...]
    mistaken: tuple[Miss, ...]


def hardest(run: Run, identities: int = 6, pictures: int = 3) -> list[Identity]:
    """The identities with most wrong recognition decisions: those overlooked, and strangers taken for them."""
    if run.records is None:
        return []
    wrong: dict[str, list[Miss]] = defaultdict(list)
    asked: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])  # asked and wrong where absent, and where present
    with run.records.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if record["part"] != "recognition":
                continue
            present = record["truth"] == "Yes"
            asked[record["about"]][2 * present] += 1
            if not record["right"]:
                asked[record["about"]][2 * present + 1] += 1
                wrong[record["about"]].append(Miss(record["picture"], record["probability"], present))
    found = []
    for name, misses in wrong.items():
        sure = sorted(misses, key=lambda m: -abs((m.probability if m.probability is not None else 0.5) - 0.5))
        found.append(
            Identity(name, len(misses), sum(asked[name][::2]), tuple(m for m in sure if m.present)[:pictures],
                     tuple(m for m in sure if not m.present)[:pictures])
        )  # fmt: skip

    def balance(i: Identity) -> float:
        absent, false, here, missed = asked[i.name]
        return -(false / max(1, absent) + missed / max(1, here))

    return sorted(found, key=lambda i: (balance(i), i.name))[:identities]


class Redrawn:
    """The pictures of the portraits benchmark that a run was on."""

    def __init__(self, run: Run) -> None:
        facts: dict[str, Any] = run.summary["benchmark"]
        size: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["size"].items()}
        self.benchmark: Benchmark = portraits(facts["split"], run.summary["seed"], Size(**size))
        self.album = Drawings(self.benchmark, keep=1)

    @staticmethod
    def can(run: Run) -> bool:
        """Whether the pictures of a run can be drawn again by this version."""
        return run.key.startswith(f"portraits/{VERSION}/")

    def query(self, number: int) -> Image.Image:
        """A query picture."""
        return self.album.query(number)

    def reference(self, name: str) -> Image.Image:
        """The picture that `name` was learned from."""
        return self.album.reference(name)
