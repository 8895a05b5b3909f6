"""How fast `plvm synth` draws training data, and how often the backbone's attribute answers are the truth.

    python research/benchmarks/synth.py  # 2,000 identities, 5 pictures each, default filters -> research/results/synth.json
    python research/benchmarks/synth.py --answers  # 40 identities, answered by mini -> research/results/synth_answers.json

Claim: at least 60 images a second with 2 workers on a machine with 2 cores. The command line is run as users run it, in a
process of its own; its start and the loading of the judge count.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plvm.data.manifest import read_manifest
from plvm_lab.evaluate.result_table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, write_result


def synthesize(words: list[str], folder: Path) -> dict[str, Any]:
    """Run `plvm synth WORDS` into `folder`; returns the command, its wall time in seconds and the manifest's figures."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "from plvm.cli.main import app; app()", *words, "--out", str(folder)], check=True
    )
    wall, manifest = time.monotonic() - started, read_manifest(folder)
    pictures = sum(manifest.counts[split]["pictures"] for split in ("train", "val", "test"))
    return {
        "measured": f"plvm {shlex.join(words)}", "n": pictures, "kept": pictures - manifest.counts["rejected"],
        "rejections": manifest.counts["rejections"], "content": manifest.content, "seconds": round(wall, 1),
        "images_per_second": round(pictures / wall, 1), "agreement": manifest.counts["agreement"],
        "questions": manifest.counts["questions"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", action="store_true", help="let the embedded model answer about attributes")
    parser.add_argument("--identities", type=int, help="default: 2000, with --answers 40")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="default: research/results/synth.json or research/results/synth_answers.json")
    arguments = parser.parse_args()
    words = ["synth", "--generator", "portraits", "--seed", str(arguments.seed)]
    if arguments.answers:
        words += ["--identities", str(arguments.identities or 40), "--per-identity", "1", "--answers", "backbone"]
    else:
        words += ["--identities", str(arguments.identities or 2000), "--per-identity", "5"]
        words += ["--workers", str(arguments.workers)]
    with tempfile.TemporaryDirectory() as place:
        found = synthesize(words, Path(place) / "data")
    agreement, asked = found.pop("agreement"), found.pop("questions")
    if arguments.answers:
        of = {slot: {"agree": a, "answered": n, "asked": asked[slot]} for slot, (a, n) in agreement.items()}
        whole = {key: sum(counts[key] for counts in of.values()) for key in ("agree", "answered", "asked")}
        found |= {"agreement": whole | {"share": round(whole["agree"] / whole["answered"], 3)}, "by_attribute": of}
    out = arguments.out or RESULTS / ("synth_answers.json" if arguments.answers else "synth.json")
    write_result(out, arguments.seed, found, shown(found))
    print(json.dumps(found))



def shown(found: Mapping[str, Any]) -> Shown:
    """How fast pictures came, or how often the backbone's answers were true."""
    if "by_attribute" in found:
        rows = tuple(
            (name.replace("_", " "), *(str(of[k]) for k in ("asked", "answered", "agree")), share)
            for name, of in (*found["by_attribute"].items(), ("all", found["agreement"]))
            for share in (f"{100 * of['agree'] / of['answered']:.0f} %",)
        )
        note = f"Attributes of the references of {found['measured']}."
        header = ("attribute", "asked", "answered", "true", "true, of the answered")
        return Shown((Table("What the backbone says of a reference", header, rows, note),))
    row = (f"{found['n']:,}", f"{found['kept']:,}", f"{found['seconds']:.0f} s", f"{found['images_per_second']:.1f}")
    reasons = ", ".join(f"{reason} {n}" for reason, n in found["rejections"].items())
    note = f"{found['measured']}. Rejected: {reasons or 'none'}."
    header = ("pictures", "kept", "took", "pictures a second")
    return Shown((Table("Drawing training data", header, (row,), note),))


if __name__ == "__main__":
    main()
