"""Table 8 of the paper on mini: persons in Yo'LLaVA's layout, one reference each.

    python research/runs/table8.py                              # plvm; research/results/table8.json
    python research/runs/table8.py --systems plvm embedding     # these, the others' figures stay in the file

Draws the portraits benchmark as a folder laid out like Yo'LLaVA's (train/, test/, yollava-visual-qa.json,
yollava-text-only-qa.json), opens it with the suite `yollava`, as the real one would be, and measures every system.

Claim: plvm with one picture is above yollava with one picture in recognition mean (the paper: 86.2 against 73.6).
Recognition asks about every concept in every test picture: 8,364 pairs, about 3 minutes a system on two free cores.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from plvm import personal
from plvm_lab.evaluate.items import LETTERS, Choice
from plvm_lab.evaluate.portraits_benchmark import SMALL, Benchmark, portraits
from plvm_lab.evaluate.suites import open_suite
from plvm_lab.report.published import TABLE_8
from plvm_lab.systems.comparison import evaluate_system

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, command, progress, write_result


def draw(bench: Benchmark, root: Path) -> None:
    """The benchmark as a folder in Yo'LLaVA's layout; a picture of two identities stands under both of them."""
    album = bench.album()
    for name in bench.names:
        (root / "train" / name).mkdir(parents=True, exist_ok=True)
        (root / "test" / name).mkdir(parents=True, exist_ok=True)
        album.reference(name).save(root / "train" / name / "0.png")
    for picture in range(len(bench.pictures)):
        for name in bench.shown(picture):
            album.query(picture).save(root / "test" / name / f"{picture}.png")
        progress("pictures", picture + 1, len(bench.pictures))
    visual: dict[str, dict[str, Any]] = {name: {} for name in bench.names}
    for item in bench.visual_qa:
        visual[item.about][f"./test/{item.about}/{item.picture}.png"] = row_of(item) | {"options": options_of(item)}
    text: dict[str, dict[str, Any]] = {name: {} for name in bench.names}
    for item in bench.text_qa:
        text[item.about][str(len(text[item.about]))] = row_of(item) | {"option": options_of(item)}
    (root / "yollava-visual-qa.json").write_text(json.dumps(visual, indent=1), encoding="utf-8")
    (root / "yollava-text-only-qa.json").write_text(json.dumps(text, indent=1), encoding="utf-8")


def row_of(item: Choice) -> dict[str, Any]:
    """A question as that file has it, but for the options: it says <sks> for the name."""
    return {"question": item.question.replace(f"<{item.about}>", "<sks>"), "correct_answer": LETTERS[item.key]}


def options_of(item: Choice) -> dict[str, str]:
    """The options by letter."""
    return dict(zip(LETTERS, item.options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help='"mini" or the folder of a trained Aligner')
    parser.add_argument("--systems", nargs="+", default=["plvm"])
    parser.add_argument("--seed", type=int, default=0, help="of the portraits; 0 is the published benchmark")
    parser.add_argument("--small", action="store_true", help="six identities, to see that it runs")
    parser.add_argument("--parts", nargs="*", help="parts of the suite (default: all)")
    parser.add_argument("--work", type=Path, default=Path("build/table8"), help="the drawn folder, and the records")
    parser.add_argument("--out", type=Path, default=RESULTS / "table8.json")
    arguments = parser.parse_args()

    bench = portraits("test", arguments.seed, SMALL if arguments.small else None)
    root = arguments.work / bench.key / ("small" if arguments.small else "whole")
    if not (root / "yollava-text-only-qa.json").is_file():  # it is written last
        draw(bench, root)
    suite = open_suite("yollava", root)
    vlm = personal.load(arguments.model)
    found: dict[str, Any] = {}
    if arguments.out.exists():
        before = json.loads(arguments.out.read_text(encoding="utf-8"))
        found = before["systems"] if before.get("benchmark") == suite.key else {}
    for name in arguments.systems:
        folder = arguments.work / "records" / suite.key / name
        found[name] = evaluate_system(
            name, lambda: vlm, suite, folder, command=command(), parts=arguments.parts, progress=progress
        )
        mean = found[name]["recognition"]["mean"]
        print(f"{name}: recognition mean {mean['value']:.3f} [{mean['low']:.3f}, {mean['high']:.3f}]")
        facts = {"benchmark": suite.key, "n": int(suite.asked.sum()), "published": TABLE_8, "systems": found}
        write_result(arguments.out, arguments.seed, facts)


if __name__ == "__main__":
    main()
