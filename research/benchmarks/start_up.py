"""How long a command at the prompt takes, from its start to its answer, against importing what it stands on in the same run.

    python research/benchmarks/start_up.py    # research/results/start_up.json

Processes take turns, so that a busy moment meets all of them alike; the least of each is what a quiet machine would show.

    import    python -c "import torch, transformers"
    list      plvm list, one person enrolled
    ask       plvm ask PICTURE "Where is <NAME>?" with mini: process start to the whole answer

Claim, on a quiet machine of two cores: list <= 0.6 s, ask <= 3.0 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.drawings import Drawings
from plvm_lab.evaluate.portraits_benchmark import portraits
from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

RUN = "from plvm.cli.program import run; run()"


def seconds(code: str, *words: str, home: Path) -> tuple[float, float]:
    """(seconds on the clock, seconds of computing) of a Python process."""
    before = os.times()
    begun = time.perf_counter()
    environment = os.environ | {"PLVM_HOME": str(home), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, *words], env=environment, check=True, capture_output=True)
    after = os.times()
    computed = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begun, computed


def shown(figures: Mapping[str, Any]) -> Shown:
    """What each process takes, and how often the import alone."""
    ratios = {"import": {"least": 1.0}} | figures["ratios"]
    rows = tuple(
        (what, f"{own['least']:.2f} s", f"{own['median']:.2f} s", f"{figures['computing'][what]:.2f} s",
         f"{ratios[what]['least']:.2f}")
        for what, own in figures["clock"].items()
    )  # fmt: skip
    note = f"{figures['repeat']} processes of each, taking turns; \"import\" is `import torch, transformers` alone."
    header = ("process", "least", "median", "computing", "least, of the import's")
    return Shown((Table("A command at the prompt, from its start to its end", header, rows, note),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS / "start_up.json")
    arguments = parser.parse_args()
    drawings = Drawings(portraits("val", 0))
    name = drawings.benchmark.names[0]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        picture = home / "picture.png"
        drawings.reference(name).save(picture)
        seconds(RUN, "add", name, str(picture), home=home)
        commands = {
            "import": ("import torch, transformers",),
            "list": (RUN, "list"),
            "ask": (RUN, "ask", str(picture), f"Where is <{name}>?"),
        }
        times: dict[str, list[tuple[float, float]]] = {what: [] for what in commands}
        for _ in range(arguments.repeat):
            for what, (code, *words) in commands.items():
                times[what].append(seconds(code, *words, home=home))
    taken = {what: [a for a, _ in found] for what, found in times.items()}
    clock = {what: {"least": min(own), "median": statistics.median(own)} for what, own in taken.items()}
    computing = {what: min(b for _, b in found) for what, found in times.items()}
    ratios = {
        what: {kind: clock[what][kind] / clock["import"][kind] for kind in ("least", "median")} for what in ("list", "ask")
    }
    figures = {"repeat": arguments.repeat, "clock": clock, "computing": computing, "ratios": ratios}
    write_result(arguments.out, 0, figures, shown(figures))


if __name__ == "__main__":
    main()
