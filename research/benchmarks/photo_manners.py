"""Ordinary wordings about photographs: is the answer of the kind that was asked for, is it right, and is
what lies outside refused?

    python research/benchmarks/photo_manners.py --model FAMILY/aligner --photos PHOTOS --half development --split val
    python research/benchmarks/photo_manners.py --model FAMILY/aligner --photos PHOTOS     # research/results/photo_inputs.json

Each of the inputs of research/photo_inputs/ is asked about two rows of one to four people, with two people known by name, in
brackets or without in turn. Both halves about people of the test split are for the end; the first line is for while a model is
made. The result file has every answer, and no name of anybody.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from plvm import personal
from plvm.personal import Personal
from plvm.types import Concept, SamplingParams
from plvm_lab.evaluate.face_pictures import FaceScene, row_of
from plvm_lab.evaluate.faces_benchmark import SPLITS, FacesBenchmark, FacesSize
from plvm_lab.evaluate.kept_faces import keep_faces
from plvm_lab.evaluate.metrics import accuracy
from plvm_lab.evaluate.photo_inputs import KINDS, OUTSIDE, PhotoInput, Row, judged, read_photo_inputs
from plvm_lab.evaluate.result_table import Table
from plvm_lab.families.photo.photo_dialogues import wordings
from plvm_lab.portraits.everyday import EVERYDAY

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from result import RESULTS, Shown, progress, write_result

DRAWN = 15  # the draw of rows that is published, as of the suite
INPUTS = Path(__file__).resolve().parents[1] / "photo_inputs" / "inputs.jsonl"
NAMES = ("billie", "avril")
HALVES = ("development", "sealed")
SEED, PICTURES, BATCH = 725, 2, 16


@dataclass(frozen=True)
class Asked:
    """An input about a row: what is typed, the picture, and which identities of the benchmark have the names."""

    given: PhotoInput
    row: Row
    text: str
    brackets: bool
    scene: FaceScene
    identities: Mapping[str, str]

    @property
    def picture(self) -> Image.Image:
        """The row as pixels, RGB."""
        return row_of(self.scene, random.Random(f"{self.given.id}/{self.text}"))


def staged(bench: FacesBenchmark, inputs: Sequence[PhotoInput], pictures: int, seed: int) -> list[Asked]:
    """Every input about so many rows."""
    found = []
    for n, given in enumerate(inputs):
        for p in range(pictures):
            rng = random.Random(f"plvm-photo-manners/{seed}/{given.id}/{p}")
            row = Row.draw(rng, given.kind, NAMES)
            identities = dict(zip(NAMES, rng.sample(bench.names, 2), strict=True))
            scene = bench.row("row", [None if name is None else identities[name] for name in row.who], rng)
            brackets = (n + p) % 2 == 0
            text = row.typed(given.text, brackets)
            found.append(Asked(given, row, text, brackets, scene, identities))
        progress("rows", n + 1, len(inputs))
    return found


def asked(vlm: Personal, bench: FacesBenchmark, many: Sequence[Asked]) -> list[dict[str, Any]]:
    """Every input with its answer and what that is worth."""
    album, known, found = bench.album(), dict[tuple[str, str], Concept](), list[dict[str, Any]]()
    trained = trained_wordings()
    for i in range(0, len(many), BATCH):
        own = many[i : i + BATCH]
        for pair in (pair for one in own for pair in one.identities.items() if pair not in known):
            known[pair] = vlm.enroll(pair[0], album.reference(pair[1]))
        questions = [(one.picture, one.text, [known[pair] for pair in one.identities.items()]) for one in own]
        for one, answer in zip(own, vlm.ask_many(questions, SamplingParams(max_tokens=64)), strict=True):
            found.append({
                "id": one.given.id, "half": one.given.half, "kind": one.given.kind, "brackets": one.brackets, "typed": one.text,
                "new": plain(one.given.text) not in trained,
                "who": one.row.who, "answer": answer.text, **vars(judged(one.given.kind, one.row, answer.text)),
            })  # fmt: skip
        progress("inputs", len(found), len(many))
    return found


def plain(text: str) -> str:
    """A wording without what is filled in, its case and its signs."""
    return re.sub("[^a-z ]", "", re.sub(r"\{\w+\}", "x", text.lower())).strip()


def trained_wordings() -> set[str]:
    """Every wording that the photo family is trained on, plain: some of the list are among them, as both were written apart."""
    kinds = [kind for kind in KINDS if kind != "caption"]
    own = [text for kind in kinds for text in wordings(kind, held_out=False)]
    asked_for = [text.replace("{it}", "this photo") for kind in ("describe", "describe_freely") for text in EVERYDAY[kind]]
    return {plain(text) for text in (*own, *asked_for)}


def share(rows: Sequence[Mapping[str, Any]], what: str) -> Any:
    """The share of answers for which `what` holds, with its interval over inputs."""
    return accuracy([r[what] for r in rows], [r["id"] for r in rows])


def figures_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of one half."""
    within = [r for r in rows if r["kind"] != OUTSIDE]
    kinds = {kind: [r for r in rows if r["kind"] == kind] for kind in KINDS}
    return {
        "right_kind": share(within, "fits"),
        "right": share(within, "right"),
        "right_kind_new": share([r for r in within if r["new"]], "fits"),
        "right_new": share([r for r in within if r["new"]], "right"),
        "yes_or_no_right": share(kinds["presence"], "right"),
        "refused": share(kinds[OUTSIDE], "refused"),
        "wrongly_refused": share(within, "refused"),
        "right_with_brackets": share([r for r in within if r["brackets"]], "right"),
        "right_without": share([r for r in within if not r["brackets"]], "right"),
        "by_kind": {kind: {what: share(own, what) for what in ("fits", "right", "refused")} for kind, own in kinds.items()},
        "n": len(rows),
    }


WHOLE = {
    "right_kind": "answers of the right kind", "right": "right",
    "right_kind_new": "of the right kind, wordings in no training", "right_new": "right, wordings in no training",
    "yes_or_no_right": "Yes or No, right",
    "refused": "outside: refused", "wrongly_refused": "wrongly refused", "right_with_brackets": "right, names in brackets",
    "right_without": "right, plain names",
}  # fmt: skip


def shown(content: Mapping[str, Any]) -> Shown:
    """The figures of both halves, of all and kind by kind."""
    halves = content["figures"]
    note = (
        f"Percent; {content['pictures']} rows of one to four people of the split {content['split']} for each input, two people "
        "known by name; intervals over inputs. Some wordings turned out to be in the training, which was written apart from the "
        "list; without them: in no training. The sealed half is asked once of all weights that are shipped."
    )
    whole = tuple((told, *(own[key] for own in halves.values())) for key, told in WHOLE.items())
    rows = tuple(
        (kind, *(own["by_kind"][kind][what] for own in halves.values() for what in ("fits", "right", "refused")))
        for kind in KINDS
    )
    header = ("", *(f"{half}: {what}" for half in halves for what in ("kind fits", "right", "refused")))
    return Shown((
        Table("Wordings about photographs", ("", *halves), whole, note),
        Table("The same, kind by kind", header, rows, note),
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the Aligner's folder of a photo family")
    parser.add_argument("--photos", type=Path, required=True, help="PHOTOS/NAME/picture.jpg")
    parser.add_argument("--half", choices=HALVES, help="one half only; both by default")
    parser.add_argument("--split", choices=SPLITS, default="test", help="of the people")
    parser.add_argument("--pictures", type=int, default=PICTURES, help="about which each input is asked")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--kept", type=Path, default=Path("build/faces"), help="where the faces that were found are kept")
    parser.add_argument("--people", type=int, nargs=3, metavar=("TEST", "VAL", "STRANGERS"),
                        help="how the people were split, if not as usual")  # fmt: skip
    parser.add_argument("--out", type=Path, default=RESULTS / "photo_inputs.json")
    chosen = parser.parse_args()
    halves = (chosen.half,) if chosen.half else HALVES
    vlm = personal.load(chosen.model)
    size = FacesSize(others=0, drawn=DRAWN)
    if chosen.people:
        size = FacesSize(*chosen.people, others=0, drawn=DRAWN)
    bench = FacesBenchmark(chosen.photos, keep_faces(vlm, chosen.kept), chosen.split, size)
    inputs = [given for given in read_photo_inputs(INPUTS) if given.half in halves]
    rows = asked(vlm, bench, staged(bench, inputs, chosen.pictures, chosen.seed))
    figures = {half: figures_of([r for r in rows if r["half"] == half]) for half in halves}
    content = {
        "size": bench.facts["amounts"], "split": chosen.split, "pictures": chosen.pictures, "n": len(rows),
        "figures": figures, "answers": rows,
    }  # fmt: skip
    write_result(chosen.out, chosen.seed, content, shown(content))
    for half, own in figures.items():
        print(half, {key: own[key]["value"] for key in WHOLE})


if __name__ == "__main__":
    main()
