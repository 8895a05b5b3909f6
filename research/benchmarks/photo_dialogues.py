"""How good a long dialogue about a photograph is, turn by turn, and how many of its turns photo should read.

    python research/benchmarks/photo_dialogues.py --photos PHOTOS --choose    # research/results/photo_dialogues.json, 20 minutes

As `dialogues.py`, about rows of two to four people, some of them strangers: where somebody is, who is at a place, how many
people there are, whether somebody is there. Everyone of a row who is enrolled is in its dialogue, and somebody who is not there.
The people are those for validation, in draws that no benchmark has.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from dialogues import Question, Script, compare, parser
from dialogues import shown as shown  # of the result file

from plvm import personal
from plvm.images import open_image
from plvm.model.photo.face_places import places_of
from plvm_lab.evaluate.face_parts import ABSENT, HOW_MANY, WHERE, number_said, place_said
from plvm_lab.evaluate.face_pictures import FaceScene
from plvm_lab.evaluate.faces_benchmark import FacesBenchmark, FacesSize
from plvm_lab.evaluate.kept_faces import KeptFaces, keep_faces
from plvm_lab.evaluate.parsing import NOBODY, who_is_named, yes_or_no
from plvm_lab.evaluate.photo_people import STRANGERS, TEST, VAL

SEEDS = 511, 512  # of the dialogues that choose, and of those that are reported
KNOWN = 3  # people in a dialogue, at least
ROWS = 12  # of each number of people, from which dialogues are drawn


def scripts(photos: Path, kept: KeptFaces, size: FacesSize, seed: int, dialogues: int, turns: int) -> list[Script]:
    """Dialogues about rows with strangers, drawn by `seed`."""
    bench = FacesBenchmark(photos, kept, "val", replace(size, drawn=seed))
    rng, found = random.Random(f"plvm-photo-dialogues/{seed}"), list[Script]()
    for number in rng.sample(bench.rows(strangers=True), dialogues):
        scene = bench.scenes[number]
        here = [name for name in scene.who if name is not None]
        names = [*here, *rng.sample(bench.away(number), max(1, KNOWN - len(here)))]
        references = {name: open_image(bench.files_of(name)[0]) for name in names}
        questions = tuple(asked(bench.wording, scene, names, rng) for _ in range(turns))
        found.append(Script(bench.make(number), references, questions))
    return found


def asked(wording: str, scene: FaceScene, names: list[str], rng: random.Random) -> Question:
    """One of four kinds of questions, about one of `names` or of the row's places; `wording` asks whether {x} is there."""
    who, places, name = scene.who, places_of(len(scene.who)), rng.choice(names)
    at = rng.randrange(len(who))
    return rng.choice([
        Question(WHERE.format(x=name), partial(_says, place_said, places[who.index(name)] if name in who else ABSENT)),
        Question(f"Who is {places[at]}?", partial(_says, partial(who_is_named, names=names), who[at] or NOBODY)),
        Question(HOW_MANY, partial(_says, number_said, len(who))),
        Question(wording.format(x=f"<{name}>"), partial(_says, yes_or_no, name in who)),
    ])  # fmt: skip


def _says(read: Callable[[str], object], truth: object, text: str) -> bool:
    return read(text) == truth


def main() -> None:
    words = parser(__doc__, "photo", 16, 60, "photo_dialogues.json")
    words.add_argument("--photos", type=Path, required=True, help="PHOTOS/NAME/picture.jpg")
    words.add_argument("--kept", type=Path, default=Path("build/faces"), help="where the faces that were found are kept")
    words.add_argument("--people", type=int, nargs=3, metavar=("TEST", "VAL", "STRANGERS"), default=(TEST, VAL, STRANGERS),
                       help="how the people were split, if not as usual")  # fmt: skip
    arguments = words.parse_args()
    vlm = personal.load(arguments.model)
    size = FacesSize(*arguments.people, identities=20, others=0, rows=ROWS)
    compare(vlm, partial(scripts, arguments.photos, keep_faces(vlm, arguments.kept), size), arguments, SEEDS)


if __name__ == "__main__":
    main()
