"""Table 1 of the paper on photographs: recognition by every system that can run on a family of photographs.

    python research/runs/table_photo.py --model FAMILY/aligner --photos PHOTOS --paper PAPER   # research/results/table_photo.json
    python research/runs/table_photo.py --model FAMILY/aligner --photos PHOTOS --split val --out build/table_photo.json

The suite `lfw` with five references of each person, of which only `yollava-5` learns from more than the first: single photographs
and rows of two to four people. PAPER is the folder of an Aligner of the form `paper` on the same family; without it that row is
left out. A system that cannot run stands in the file with the reason. `--systems` measures some; the other rows of the file stay.

What takes the time is learning: yollava tunes rows for each person, yollava-5 again. A run that was stopped goes on where it was,
to the person.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from plvm import personal
from plvm.errors import PlvmError
from plvm.personal import Personal
from plvm_lab.cli.evaluate import settings_in
from plvm_lab.evaluate.face_pictures import ROWS
from plvm_lab.evaluate.faces_benchmark import SMALL, SPLITS, FacesBenchmark, FacesSize
from plvm_lab.evaluate.kept_faces import keep_faces
from plvm_lab.evaluate.result_table import Table
from plvm_lab.systems import settings_for
from plvm_lab.systems.comparison import evaluate_system, row_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import OTHER_PICTURES, RESULTS, SHARES, Shown, command, progress, write_result
from table1 import PUBLISHED

PAPER = "plvm-paper"
SYSTEMS = ("plvm", PAPER, "face-codes", "in-context-plain", "llava-prompt-plain", "myvlm", "yollava", "yollava-5")
PARTS = ("recognition", "conditions")
DRAWN = 15  # the draw of references, pictures and rows that is published
QUOTED = {"plvm": "plvm", "llava-prompt-plain": "llava-prompt", "yollava": "yollava"}  # whose published figures stand beside
NOTES = {
    "plvm": "the Aligner as it is shipped",
    PAPER: "an Aligner of the paper's form",
    "face-codes": "the cosine of the codes that the model is given, with a threshold from validation people",
    "in-context-plain": "the reference's own tokens stand in the prompt, where the family was taught to read concepts; its name "
    "is plain words",
    "llava-prompt-plain": "16 tokens of what the family says of a reference: it has no words for a face",
    "myvlm": "recognition is that of its head; its head's codes of faces are those of face-codes, so it is the same row",
    "yollava": "tuned against photographs of people to train on, with the settings for small backbones",
    "yollava-5": "the same, on five photographs of each",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the Aligner's folder of a photo family")
    parser.add_argument("--paper", type=Path, help="the folder of an Aligner of the form `paper`")
    parser.add_argument("--photos", type=Path, required=True, help="PHOTOS/NAME/picture.jpg")
    parser.add_argument("--split", choices=SPLITS, default="test", help="of the people")
    parser.add_argument("--systems", nargs="*", choices=SYSTEMS, default=SYSTEMS, help="which of them (default: all)")
    parser.add_argument("--set", nargs="*", action="extend", default=[], help="settings, NAME=VALUE")
    parser.add_argument("--identities", type=int, default=34, help="at most so many people")
    parser.add_argument("--rows", type=int, default=40, help="rows of people of each kind")
    parser.add_argument("--small", action="store_true", help="a few items of everything, to see that it runs")
    parser.add_argument("--people", type=int, nargs=3, metavar=("TEST", "VAL", "STRANGERS"),
                        help="how the people were split, if not as usual")  # fmt: skip
    parser.add_argument("--kept", type=Path, default=Path("build/faces"), help="where the faces that were found are kept")
    parser.add_argument("--work", type=Path, default=Path("build/table_photo"), help="records, what was learned")
    parser.add_argument("--out", type=Path, default=RESULTS / "table_photo.json")
    arguments = parser.parse_args()

    size = SMALL if arguments.small else FacesSize(identities=arguments.identities, rows=arguments.rows, drawn=DRAWN)
    if arguments.people:
        size = replace(size, **dict(zip(("test", "val", "strangers"), arguments.people, strict=True)))
    vlm = personal.load(arguments.model)
    kept, size = keep_faces(vlm, arguments.kept), replace(size, worse=0, references=5)
    bench = FacesBenchmark(arguments.photos, kept, arguments.split, size)
    rows: dict[str, Any] = {}
    if arguments.out.exists():
        before = json.loads(arguments.out.read_text(encoding="utf-8"))
        rows = before["systems"] if before["benchmark"] == bench.key else {}
    for system in arguments.systems:
        if system == PAPER and arguments.paper is None:
            continue
        own = load_paper(arguments.paper, arguments.kept) if system == PAPER else vlm
        rows[system] = measured(system, own, bench, arguments.work / bench.key / system, settings_in(arguments.set))
        figures = {"benchmark": bench.key, "split": arguments.split, "n": pairs_of(bench), "systems": rows}
        write_result(arguments.out, bench.seed, figures, shown(figures))
        print(system, rows[system].get("cannot") or f"{rows[system]['recognition']['mean']['value']:.4f}", flush=True)


def load_paper(folder: Path, kept: Path) -> Personal:
    """The model with the other Aligner, and the faces that were found already."""
    vlm = personal.load(folder)
    if vlm.aligner.config.architecture != "paper":
        raise SystemExit(f"{folder} has an Aligner of the form {vlm.aligner.config.architecture}.")
    keep_faces(vlm, kept)
    return vlm


def pairs_of(bench: FacesBenchmark) -> int:
    """How many pairs each system is asked about."""
    return len(bench.names) * len(bench.pictures) + len(bench.pairs_by_kind)


def measured(system: str, vlm: Personal, bench: FacesBenchmark, folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A system's row: its shares on single photographs and on rows of people, or why it cannot run."""
    name = "plvm" if system == PAPER else system
    report = partial(told, system)
    try:
        summary = evaluate_system(
            name, lambda: vlm, bench, folder, settings_for(name, settings), command=command(), parts=PARTS, progress=report
        )
    except PlvmError as error:
        return {"cannot": str(error)}
    figures = PUBLISHED.get(QUOTED.get(system, ""))
    names = ("positive", "negative", "mean")
    return row_of(summary) | {
        "rows": {kind: figures for kind, figures in summary["conditions"].items() if isinstance(figures, dict)},
        "facts": summary["system"], "command": summary["command"], "commit": summary["commit"],
        "published": figures and dict(zip(names, figures, strict=False)),
    }  # fmt: skip


def told(system: str, what: str, done: int, total: int) -> None:
    """A line on stderr."""
    progress(f"{system}: {what}", done, total)


def shown(figures: Mapping[str, Any]) -> Shown:
    """Every system with the published figures, and why some cannot run."""
    kinds = [f"{count} in a row" for count in ROWS]
    kinds += [f"{kind}, strangers" for kind in kinds]
    ran = {system: row for system, row in figures["systems"].items() if "cannot" not in row}
    rows = tuple(
        (system, *(row["recognition"][k] for k in SHARES), *(row["rows"][kind]["mean"] for kind in kinds), _published(row))
        for system, row in ran.items()
    )
    notes = "".join(f" {system}: {NOTES[system]}." for system in ran if system in NOTES)
    cannot = "".join(f" {system} cannot run: {row['cannot']}" for system, row in figures["systems"].items() if "cannot" in row)
    note = (
        f"Percent, 95 % intervals over identities; people of the split {figures['split']}, {figures['n']:,} pairs. Single "
        f"photographs, then the mean in rows of people, with strangers among them or without. {OTHER_PICTURES}{notes}{cannot}"
    )
    header = ("system", *SHARES.values(), *kinds, "published: mean")
    return Shown((Table("Recognition on photographs (Table 1)", header, rows, note),))


def _published(row: Mapping[str, Any]) -> str:
    return f"{row['published']['mean']:.1f}" if row["published"] else "-"


if __name__ == "__main__":
    main()
