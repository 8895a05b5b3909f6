"""A benchmark of faces on photographs of people, PHOTOS/<person>/*.jpg: the suite `lfw`.

34 people, kept from all training by a seed, with one reference each and up to 10 further pictures: every one of them is asked
about in all of these (`recognition`). Then fewer questions about these pictures made worse, about rows of 2 to 4 people, and
about rows with strangers. Everybody is a number: `<sks1>`. The reference is the first picture that a model of faces takes as one.

A pure function of the folder, the split and the seed, given where faces are.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plvm.errors import ImageError, RequestError
from plvm.images import open_image
from plvm_lab.evaluate.face_pictures import ROWS, WORSE, FaceScene, part_of, row_of, worse
from plvm_lab.evaluate.items import Caption, Choice, Pair, Place, Who
from plvm_lab.evaluate.kept_faces import KeptFaces
from plvm_lab.evaluate.made_album import MadeAlbum
from plvm_lab.evaluate.photo_people import SEED, STRANGERS, TEST, VAL, people_in, split_people
from plvm_lab.evaluate.suite import Suite

SPLITS = ("test", "val")
VERSION = 2


@dataclass(frozen=True)
class FacesSize:
    """How the people are split (`test`, `val`, `strangers` for each of them, `seed`), and how much there is: so many
    `identities` at most, `queries` of each at most, so many `worse` ones of each kind, so many `rows` of each kind and number of
    people, `others` who are enrolled beside the identities in `crowd` pictures, questions of who ("enrolled", "beside", "nobody";
    for each number of concepts), where and how many; `references` of each identity, as far as a system learns from more than one.
    `drawn` is the seed of what is drawn of the same people: other references, pictures made worse, rows and questions."""

    test: int = TEST
    val: int = VAL
    strangers: int = STRANGERS
    identities: int = 34
    queries: int = 10
    worse: int = 3
    rows: int = 40
    others: int = 66
    crowd: int = 40
    who: tuple[int, int, int] = (80, 30, 40)
    where: int = 200
    how_many: int = 120
    seed: int = SEED
    references: int = 1
    drawn: int = 0


SMALL = FacesSize(  # for smoke runs
    identities=6, queries=3, worse=1, rows=2, others=4, crowd=1, who=(4, 2, 2), where=6, how_many=6
)


class FacesBenchmark(Suite):
    """The people of `split` in the folder `photos`; `kept` knows where faces are. Raises RequestError where there are too few."""

    suite = "lfw"
    wording = "Is {x} in this photo? Answer with Yes or No."

    def __init__(self, photos: Path, kept: KeptFaces, split: str = "test", size: FacesSize | None = None) -> None:
        self.photos, self.kept, self.split, self.size = photos, kept, split, size if size is not None else FacesSize()
        self.seed = self.size.seed
        if split not in SPLITS:
            raise RequestError(f'There is no split "{split[:40]}".', f"Use one of: {', '.join(SPLITS)}.")
        people = people_in(photos)
        s = self.size
        divided = split_people(people, s.seed, test=s.test, val=s.val, strangers=s.strangers)
        if not divided[split] or len(divided[f"{split}_strangers"]) <= s.others:
            raise RequestError(f"{photos} has too few people.", "A benchmark needs people with 6 to 20 pictures, and strangers.")
        chosen = [self._ordered(name, people[name]) for name in divided[split][: s.identities]]
        self.names = tuple(f"sks{i + 1}" for i in range(len(chosen)))
        self._references = {n: self._reference(files) for n, files in zip(self.names, chosen, strict=True)}
        own = {n: [f for f in files if f not in self._references[n]] for n, files in zip(self.names, chosen, strict=True)}
        self._queries = {name: tuple(files[: s.queries]) for name, files in own.items()}
        strange = self._ordered("strangers", [people[name][0] for name in divided[f"{split}_strangers"]])
        enrolled = list(islice((file for file in strange if self._usable(file)), s.others))
        self.others = tuple(f"other{i + 1}" for i in range(len(enrolled)))
        self._references |= {name: (file,) for name, file in zip(self.others, enrolled, strict=True)}
        self._strangers = tuple(file for file in strange if file not in enrolled)
        self._trained = [people[name][0] for name in divided["train"]]
        self.pictures = tuple(FaceScene("single", (n,), (f,)) for n, files in self._queries.items() for f in files)

    def _reference(self, files: Sequence[Path]) -> tuple[Path, ...]:
        usable = (file for file in files if self._usable(file))
        return tuple(islice(usable, self.size.references)) or (files[0],)

    def _ordered(self, purpose: str, files: Sequence[Path]) -> list[Path]:
        """Files as they are; of another draw in another order."""
        return self.stream(f"order/{purpose}").sample(files, len(files)) if self.size.drawn else list(files)

    def _usable(self, file: Path) -> bool:
        try:
            self.kept.reference(open_image(file))
        except ImageError:
            return False
        return True

    def of_split(self, split: str) -> FacesBenchmark:
        """The benchmark of another split of the same folder."""
        return FacesBenchmark(self.photos, self.kept, split, self.size)

    @cached_property
    def key(self) -> str:
        """ "lfw/2/test/24" (of another draw "24.3") and a digest of which pictures it is made of."""
        names = "\n".join(f"{f.parent.name}/{f.name}/{f.stat().st_size}" for scene in self.scenes for f in scene.files)
        digest = hashlib.sha256(names.encode()).hexdigest()[:12]
        return f"{self.suite}/{VERSION}/{self.split}/{self._seeds}/{digest}"

    @property
    def facts(self) -> dict[str, Any]:
        """How much of everything there is; no names."""
        return {
            "key": self.key, "split": self.split, "identities": len(self.names), "pictures": len(self.pictures),
            "made": len(self.scenes) - len(self.pictures), "amounts": dict(vars(self.size)),
        }  # fmt: skip

    parts = ("recognition", "conditions", "who", "where", "how_many", "crowd")
    text_qa: tuple[Choice, ...] = ()
    visual_qa: tuple[Choice, ...] = ()
    captions: tuple[Caption, ...] = ()

    @cached_property
    def present(self) -> np.ndarray:
        """bool[identities, pictures]: who is where."""
        return np.array([[name in scene.who for scene in self.pictures] for name in self.names])

    def album(self, folder: Path | None = None) -> MadeAlbum:
        """Its pictures; they are made when they are asked for."""
        return MadeAlbum(self)

    def files_of(self, key: str) -> tuple[Path, ...]:
        """The references behind a key."""
        name, _, other = key.partition("=")
        return self._references[other or name]

    def strangers(self, count: int) -> list[Image.Image]:
        """Pictures of at most `count` people to train on."""
        usable = (file for file in self._trained if self._usable(file))
        return [open_image(file) for file in islice(usable, count)]

    def make(self, number: int) -> Image.Image:
        """Picture `number` of `scenes`, RGB."""
        scene, rng = self.scenes[number], self.stream(f"picture/{number}")
        if scene.boxes:
            return row_of(scene, rng)
        image = open_image(scene.files[0])
        return image if scene.kind == "single" else worse(image, scene.kind, self.kept.main(image), rng)

    # ---- what is made of the pictures

    @cached_property
    def scenes(self) -> tuple[FaceScene, ...]:
        """All pictures by their numbers: `pictures`, worse ones, rows of people, rows with strangers."""
        found = list(self.pictures)
        for kind in WORSE:
            rng = self.stream(kind)
            for name, files in self._queries.items():
                found += [FaceScene(kind, (name,), (f,)) for f in rng.sample(files, min(self.size.worse, len(files)))]
        for strange in (False, True):
            for count in ROWS:
                kind = f"{count} in a row" + (", strangers" if strange else "")
                rng = self.stream(kind)
                found += [self._row(kind, count, strange, rng) for _ in range(self.size.rows)]
        return tuple(found)

    def _row(self, kind: str, count: int, strange: bool, rng: random.Random) -> FaceScene:
        known = rng.randint(1, count - 1) if strange else count
        who: list[str | None] = [*rng.sample(self.names, known), *[None] * (count - known)]
        rng.shuffle(who)
        return self.row(kind, who, rng)

    def row(self, kind: str, who: Sequence[str | None], rng: random.Random) -> FaceScene:
        """A row of people, identities and (None) strangers, in pictures that are drawn."""
        strangers, files, boxes = list(self._strangers), [], []
        rng.shuffle(strangers)
        for name in who:
            while True:
                file = strangers.pop() if name is None else rng.choice(self._queries[name])
                if (box := self._part(file)) is not None:
                    break
                if name is not None and all(self._part(f) is None for f in self._queries[name]):
                    box = (0, 0, *open_image(file).size)
                    break
            files.append(file)
            boxes.append(box)
        return FaceScene(kind, tuple(who), tuple(files), tuple(boxes))

    def _part(self, file: Path) -> tuple[int, int, int, int] | None:
        if file not in self._parts:
            image = open_image(file)
            main = self.kept.main(image)
            others = [face for face in self.kept.faces(image) if face is not main]
            self._parts[file] = None if main is None else part_of(image, main, others)
        return self._parts[file]

    @cached_property
    def _parts(self) -> dict[Path, tuple[int, int, int, int] | None]:
        return {}

    def stream(self, purpose: str) -> random.Random:
        """Random numbers of its own for one purpose; `rng` needs the key, which is made of what these draw."""
        return random.Random(f"plvm-faces/{purpose}/{self.split}/{self._seeds}")

    @property
    def _seeds(self) -> str:
        return f"{self.seed}" + (f".{self.size.drawn}" if self.size.drawn else "")

    def rows(self, *, strangers: bool | None = None) -> list[int]:
        """The numbers of the rows of people: with strangers, without, or (None) all."""
        return [
            i for i, scene in enumerate(self.scenes)
            if len(scene.who) > 1 and (strangers is None or strangers == (None in scene.who))
        ]  # fmt: skip

    def away(self, picture: int) -> list[str]:
        """The identities who are not in a picture."""
        return [name for name in self.names if name not in self.scenes[picture].who]

    # ---- what is asked about them

    @cached_property
    def asked_where(self) -> tuple[Place, ...]:
        """Where people are in rows, each asked about once: of three people asked about two are there."""
        from plvm.model.photo.face_places import places_of

        rng, absent = self.stream("where"), -(-self.size.where // 3)
        there = [(picture, name) for picture in self.rows() for name in self.scenes[picture].who if name is not None]
        away = [(picture, name) for picture in self.rows() for name in self.away(picture)]
        asked = rng.sample(there, min(self.size.where - absent, len(there))) + rng.sample(away, min(absent, len(away)))
        found = list[Place]()
        for picture, name in asked:
            who = self.scenes[picture].who
            found.append(Place(picture, name, places_of(len(who))[who.index(name)] if name in who else None))
        return tuple(found)

    @cached_property
    def pairs_by_kind(self) -> tuple[tuple[str, Pair], ...]:
        """(kind, recognition question): about everyone in a picture that was made, and three times as many who are not."""
        rng, found = self.stream("conditions"), list[tuple[str, Pair]]()
        for picture in range(len(self.pictures), len(self.scenes)):
            scene = self.scenes[picture]
            here = [name for name in scene.who if name is not None]
            for name in (*here, *rng.sample(self.away(picture), min(3 * len(here), len(self.away(picture))))):
                question = self.wording.format(x=f"<{name}>")
                pair = Pair(f"conditions/{name}/{picture:04}", name, picture, (name,), question, name in here)
                found.append((scene.kind, pair))
        return tuple(found)

    def who(self, count: int) -> tuple[Who, ...]:
        """Questions of who is at a place of a row with strangers, with `count` concepts in the prompt."""
        from plvm.model.photo.face_places import places_of

        rng, items = self.stream(f"who-{count}"), list[Who]()
        rows = [picture for picture in self.rows(strangers=True) if len(self.away(picture)) >= count]
        for case, amount in zip(("enrolled", "beside", "nobody"), self.size.who, strict=True):
            for i in range(amount):
                picture = rng.choice(rows)
                scene = self.scenes[picture]
                here = [n for n in scene.who if n is not None]
                asked = rng.choice(here) if case == "enrolled" else None
                at = rng.choice([j for j, n in enumerate(scene.who) if n == asked])
                first = asked if asked is not None else rng.choice(here if case == "beside" else self.away(picture))
                more = [n for n in self.away(picture) if n != first]
                names = [first, *rng.sample(more, count - 1)]
                rng.shuffle(names)
                place = places_of(len(scene.who))[at]
                answer = f"<{asked}> is {place}." if asked is not None else f"Someone I do not know is {place}."
                items.append(Who(f"who/{count}/{case}/{i:03}", first, case, "who_at", picture, tuple(names), f"Who is {place}?",
                                 answer, asked))  # fmt: skip
        return tuple(items)
