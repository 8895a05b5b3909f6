"""One table of ablations: every arm trained by `plvm train`'s trainer, measured on the benchmark, written to a result file.

The base is the paper's training, its tasks, w, p and K, of the anchored form, since the paper's own form learns nothing between
the mini family's frozen parts (research/results/arms.json). Finished arms are kept by their settings: started again, a script
goes on with what is missing, and what tables have in common is trained once.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm.config import changed, parse_overrides
from plvm.data.manifest import read_manifest
from plvm.train.prepare import prepare
from plvm.train.settings import Settings
from plvm_lab.evaluate.provenance import provenance
from plvm_lab.systems.comparison import evaluate_model

RESULTS = Path(__file__).resolve().parents[1] / "results"
BASE = {
    "aligner.architecture": "anchored", "aligner.blocks": 2, "train.anchor": 0.5, "train.lr": 1e-3,
    "train.optimizer": "muon", "train.warmup": 50, "train.trackers": "", "train.validate": 300,
}  # fmt: skip
FIGURES = ("positive", "negative", "mean")
PARTS = ("recognition", "recognition_lookalikes", "text_qa")


def run_table(name: str, about: str, arms: Mapping[str, Mapping[str, Any]], paper: Mapping[str, Any]) -> None:
    """Parse the command line, then train and measure every arm; `paper` are the paper's figures by arm."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a dataset of plvm synth")
    parser.add_argument("settings", nargs="*", help="section.key=value for all arms")
    parser.add_argument("--arms", help=f"comma-separated, of: {', '.join(arms)}")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each arm")
    parser.add_argument("--repeat", help="comma-separated arms that get so many trainings; the others get one")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--model", default="mini", help="whose frozen parts")
    parser.add_argument("--work", type=Path, default=Path("build/runs"), help="where the trainings are")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json")
    parser.add_argument("--small", action="store_true", help="a small benchmark, to see that it runs")
    arguments = parser.parse_args()

    chosen = arguments.arms.split(",") if arguments.arms else list(arms)
    repeated = arguments.repeat.split(",") if arguments.repeat else chosen
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for arm in chosen if seed == 0 else repeated:
            own = {**BASE, "train.steps": arguments.steps, **parse_overrides(arguments.settings), **arms[arm]}
            settings = changed(Settings(), own | {"train.seed": seed})
            folder = arguments.work / digest(settings, arguments)
            found = train_and_measure(settings, folder, arguments)
            rows.append({"arm": arm, "seed": seed, "settings": own, "paper": paper.get(arm), **found})
            write(arguments.out, seed, {"benchmark": "small" if arguments.small else "test", "rows": rows})
            values = ", ".join(f"{k} {100 * rows[-1]['recognition'][k]['value']:.1f}" for k in FIGURES)
            print(f"{name} {arm} seed {seed}: {values}; the paper: {paper.get(arm)}", flush=True)


def train_and_measure(settings: Settings, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The arm's training record and its figures on the benchmark; what is there already is not done again."""
    trainer = prepare(arguments.data, folder, settings, model=arguments.model, cache=arguments.work / "cache")
    record = trainer.run(lambda stage, step, steps, _: print(f"\r{stage} {step}/{steps} ", end="", file=sys.stderr))
    found = evaluate_model(
        folder, folder / "run" / "evaluation", small=arguments.small, parts=PARTS,
        pictures=arguments.work / "pictures",
    )  # fmt: skip
    return {
        "best_step": record["step"], "steps": settings.train.steps, "validation": record["validation"],
        "recognition": found["recognition"], "lookalikes": found["recognition_lookalikes"],
        "text_qa": found["text_qa"]["accuracy"], "n": found["recognition"]["mean"]["n"],
    }  # fmt: skip


def digest(settings: Settings, arguments: argparse.Namespace) -> str:
    """What names a training: its settings, its data and its model."""
    told = [dataclasses.asdict(settings), read_manifest(arguments.data).content, arguments.model]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


def write(path: Path, seed: int, figures: Mapping[str, Any]) -> None:
    """The result file, with its command, commit, versions and machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", *sys.argv])
    path.write_text(json.dumps(provenance(command, seed) | dict(figures), indent=1) + "\n", encoding="utf-8")
