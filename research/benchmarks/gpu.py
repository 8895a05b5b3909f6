"""Everything that needs a GPU, in at most 8 minutes on one: the full-size figures, the suite's own GPU tests by name (recorded
steps equal plain ones among them), and ours against the naive way.

    python research/benchmarks/gpu.py                           # research/results/gpu_checks.json and full_size.json
    python research/benchmarks/gpu.py --tiny --device cpu --out DIR    # the same in miniature; tests that need a GPU are skipped

`tests` holds the outcome of every test of the files named below, `bench` the rows of each `plvm bench`, `seconds` how long each
step took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/test_recording.py", "tests/test_shared_cache.py")
PLVM = "from plvm.cli.program import run; run()"
TOKENS = {False: ("--image-tokens", "576"), True: ("--image-tokens", "16")}


def tested(names: str | None) -> dict[str, str]:
    """Test by test: "passed", "skipped" or "failed". `names` chooses tests, as pytest's -k does."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tests.xml"
        words = ["-q", "-p", "no:cacheprovider", "-n0", f"--junitxml={file}", *(["-k", names] if names else []), *TESTS]
        subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, stdout=sys.stderr, env=environment())
        cases = ElementTree.parse(file).getroot().iter("testcase")
        return {case.attrib["name"]: _outcome(case) for case in cases}


def _outcome(case: ElementTree.Element) -> str:
    kinds = {child.tag for child in case}
    return "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"


def benched(device: str, tiny: bool) -> dict[str, Any]:
    """What each `plvm bench` says."""
    subject, rounds = ("toy", "1") if tiny else ("medium", "3")
    few = ("--subject", subject, *TOKENS[tiny], "--rounds", rounds, "--device", device, "--json")
    verbs = {
        "score": few,
        "generate": (*few, *(("--batch", "2", "--tokens", "4") if tiny else ())),
        "chat": (*few, *(("--turn", "2") if tiny else ())),
        "train": (*TOKENS[tiny], "--packs", "16", "--rounds", rounds, "--device", device, "--json"),
    }
    found = {}
    for verb, words in verbs.items():
        command = [sys.executable, "-c", PLVM, "bench", verb, *words]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment()).stdout
        found[verb] = json.loads(told.splitlines()[-1])["rows"]
    return found


def environment() -> dict[str, str]:
    """Children find the package where this process found it."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}


def shown(figures: Mapping[str, Any]) -> Shown:
    """The tests by name, and what was measured."""
    tests = tuple((name, outcome) for name, outcome in figures["tests"].items())
    told = [(verb, row.get("ratio", row.get("speedup"))) for verb, rows in figures["bench"].items() for row in rows]
    ratios = tuple((verb, f"{ratio:.1f}") for verb, ratio in told)
    return Shown((
        Table("Tests on a GPU", ("test", "outcome"), tests),
        Table("Times the naive way on a GPU", ("what", "ratio"), ratios, f"On {figures['device']}."),
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--tests", metavar="NAMES", help="only tests that pytest's -k chooses")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of the files")
    arguments = parser.parse_args()
    full = [sys.executable, str(ROOT / "research/benchmarks/full_size.py"), "--device", arguments.device, "--out",
            str(arguments.out / "full_size.json"), *(["--tiny"] if arguments.tiny else [])]  # fmt: skip
    figures: dict[str, Any] = {"device": arguments.device, "seconds": {}}
    steps = {
        "tests": lambda: tested(arguments.tests),
        "full_size": lambda: subprocess.run(full, check=True, stdout=sys.stderr, env=environment()).returncode,
        "bench": lambda: benched(arguments.device, arguments.tiny),
    }
    for name, step in steps.items():
        begun = time.perf_counter()
        figures[name] = step()
        figures["seconds"][name] = round(time.perf_counter() - begun, 1)
    figures["n"] = len(figures["tests"])
    write_result(arguments.out / "gpu_checks.json", 0, figures, shown(figures))


if __name__ == "__main__":
    main()
