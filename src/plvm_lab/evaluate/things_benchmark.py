"""A benchmark of pets and things on photographs, THINGS/<thing>/*.jpg: the suite `things`.

The things of a split, as the build of a family splits them. Each picture of a thing is its reference in turn, and every reference
is asked about in all other pictures (`recognition`), and in pictures of another of its kind. With one of its references drawn,
each thing is asked about in pictures that were cut small into photographs of people and of other things, and in photographs of
people alone. Everything is a number: `<sks1>`.

A pure function of the two folders, the split and the seeds.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plvm.errors import RequestError
from plvm.images import open_image
from plvm_lab.evaluate import photo_people, thing_pictures
from plvm_lab.evaluate.items import Caption, Choice, Pair, Place
from plvm_lab.evaluate.made_album import MadeAlbum
from plvm_lab.evaluate.photo_people import people_in, split_people
from plvm_lab.evaluate.suite import Suite
from plvm_lab.evaluate.thing_pictures import cut_into, kind_of, split_things

SPLITS = ("test", "val")
VERSION = 1
SMALLER = {"40 %": 0.4, "25 %": 0.25}  # of the shorter side of the picture that a thing is cut into
BEHIND = ("people", "things")
ALIKE, PEOPLE = "another of its kind", "people alone"
CUT_IN = tuple(f"{share} before {behind}" for share in SMALLER for behind in BEHIND)
_STARTS = (0.0, 0.45, 0.9)  # where, of the room there is, the left edge of something begins that is in each column
_ROOM = 0.1


@dataclass(frozen=True)
class ThingsSize:
    """How things (`test`, `val`, `seed`) and people are split, and how much there is: so many `references` of each thing at most,
    so many `made` pictures of each picture, size and what is behind, so many photographs of `people` alone."""

    test: int = thing_pictures.TEST
    val: int = thing_pictures.VAL
    seed: int = thing_pictures.SEED
    test_people: int = photo_people.TEST
    val_people: int = photo_people.VAL
    strangers: int = photo_people.STRANGERS
    people_seed: int = photo_people.SEED
    references: int = 20
    made: int = 1
    people: int = 60


SMALL = ThingsSize(references=2, people=4)  # for smoke runs


@dataclass(frozen=True)
class ThingScene:
    """A picture: of which `kind`, the thing `who` is in it (its name; nothing of those that are asked about: empty), of which
    `file`; cut into `base` at `x`, `y` so that it takes `share` of its side, and is in the `column` (0..2)."""

    kind: str
    who: tuple[str, ...]
    file: Path
    base: Path | None = None
    share: float = 0.0
    x: float = 0.0
    y: float = 0.0
    column: int = 1


class ThingsBenchmark(Suite):
    """The things of `split` in the folder `things`, before people of the same split in the folder `people`. Raises RequestError
    where there are too few."""

    suite = "things"
    wording = "Is {x} in this photo? Answer with Yes or No."
    parts = ("recognition", "conditions", "where")
    text_qa: tuple[Choice, ...] = ()
    visual_qa: tuple[Choice, ...] = ()
    captions: tuple[Caption, ...] = ()

    def __init__(self, things: Path, people: Path, split: str = "test", size: ThingsSize | None = None) -> None:
        self.folders, self.split, self.size = (things, people), split, size if size is not None else ThingsSize()
        s = self.size
        self.seed = s.seed
        if split not in SPLITS:
            raise RequestError(f'There is no split "{split[:40]}".', f"Use one of: {', '.join(SPLITS)}.")
        found, everybody = people_in(things), people_in(people)
        divided = split_things(tuple(found), s.seed, test=s.test, val=s.val)
        persons = split_people(everybody, s.people_seed, test=s.test_people, val=s.val_people, strangers=s.strangers)
        self.subjects = tuple(f"sks{i + 1}" for i in range(len(divided[split])))
        own = {subject: tuple(found[name]) for subject, name in zip(self.subjects, divided[split], strict=True)}
        if len(own) < 2 or any(len(files) < 2 for files in own.values()) or not persons[split]:
            raise RequestError(
                f"{things} or {people} has too little.",
                "A benchmark needs things with two pictures each, and people with 6 to 20.",
            )
        self._files = own
        self._people = [everybody[name][0] for name in (*persons[split], *persons[f"{split}_strangers"])][: s.people]
        self._alike = {
            subject: tuple(
                file for other in (*divided[split], *divided["train"]) if other != name and kind_of(other) == kind_of(name)
                for file in found[other]
            )
            for subject, name in zip(self.subjects, divided[split], strict=True)
        }  # fmt: skip
        self._references = {
            subject + (f"={i}" if i else ""): file
            for subject, files in own.items()
            for i, file in enumerate(files[: s.references])
        }
        self.names = tuple(self._references)
        self.pictures = tuple(ThingScene("single", (n,), file) for n, files in own.items() for file in files)

    def of_split(self, split: str) -> ThingsBenchmark:
        """The benchmark of another split of the same folders."""
        return ThingsBenchmark(*self.folders, split, self.size)

    @cached_property
    def key(self) -> str:
        """ "things/1/test/33" and a digest of what it is made of."""
        made = "\n".join(
            f"{s.file.parent.name}/{s.file.name}/{s.file.stat().st_size}/{s.base and s.base.name}/{s.share}/{s.x}/{s.y}"
            for s in self.scenes
        )
        digest = hashlib.sha256(made.encode()).hexdigest()[:12]
        return f"{self.suite}/{VERSION}/{self.split}/{self.seed}/{digest}"

    @property
    def facts(self) -> dict[str, Any]:
        """How much of everything there is; no names."""
        return {
            "key": self.key, "split": self.split, "identities": len(self.subjects), "references": len(self.names),
            "pictures": len(self.pictures), "made": len(self.scenes) - len(self.pictures), "amounts": dict(vars(self.size)),
        }  # fmt: skip

    @cached_property
    def present(self) -> np.ndarray:
        """bool[references, pictures]: what is where."""
        return np.array([[self.name_of(key) in scene.who for scene in self.pictures] for key in self.names])

    @cached_property
    def asked(self) -> np.ndarray:
        """bool[references, pictures]: all but a reference itself."""
        return np.array([[self._references[key] != scene.file for scene in self.pictures] for key in self.names])

    def album(self, folder: Path | None = None) -> MadeAlbum:
        """Its pictures; they are made when they are asked for."""
        return MadeAlbum(self)

    def files_of(self, key: str) -> tuple[Path, ...]:
        """The one reference behind a key."""
        return (self._references[key],)

    def make(self, number: int) -> Image.Image:
        """Picture `number` of `scenes`, RGB."""
        scene = self.scenes[number]
        image = open_image(scene.file)
        return image if scene.base is None else cut_into(open_image(scene.base), image, scene.share, scene.x, scene.y)[0]

    def stream(self, purpose: str) -> random.Random:
        """Random numbers of its own for one purpose."""
        return random.Random(f"plvm-things/{purpose}/{self.split}/{self.seed}")

    # ---- what is made of the pictures, and asked about them

    @cached_property
    def scenes(self) -> tuple[ThingScene, ...]:
        """All pictures by their numbers: `pictures`, look-alikes, things cut into other pictures, and people alone."""
        own = {scene.file for scene in self.pictures}
        alike = dict.fromkeys(file for files in self._alike.values() for file in files if file not in own)
        found = [*self.pictures, *(ThingScene(ALIKE, (), file) for file in alike)]
        for name, share in SMALLER.items():
            for behind in BEHIND:
                kind, rng = f"{name} before {behind}", self.stream(f"{name} {behind}")
                for scene in self.pictures:
                    others = self._people if behind == "people" else [s.file for s in self.pictures if s.who != scene.who]
                    for _ in range(self.size.made):
                        base, column = rng.choice(others), rng.randrange(3)
                        x, y = _STARTS[column] + rng.uniform(0, _ROOM), rng.random()
                        found.append(ThingScene(kind, scene.who, scene.file, base, share, x, y, column))
        return (*found, *(ThingScene(PEOPLE, (), file) for file in self._people))

    def _behind(self, scene: ThingScene) -> str | None:
        """What a thing is cut into a picture of."""
        return next((name for name, files in self._files.items() if scene.base in files), None)

    def _reference(self, rng: random.Random, subject: str, scene: ThingScene) -> str:
        """A reference of a thing that is not the picture itself."""
        return rng.choice([k for k, f in self._references.items() if self.name_of(k) == subject and f != scene.file])

    @cached_property
    def pairs_by_kind(self) -> tuple[tuple[str, Pair], ...]:
        """(kind, recognition question) about what is in a picture and what is not."""
        rng, found = self.stream("conditions"), list[tuple[str, Pair]]()
        for number, scene in enumerate(self.scenes):
            if scene.kind == ALIKE or (scene.kind == "single" and self._alike[scene.who[0]]):
                for key, file in self._references.items():
                    if self.name_of(key) in scene.who or scene.file in self._alike[self.name_of(key)]:
                        found += [(ALIKE, self._pair(key, number))] if file != scene.file else []
            if scene.kind not in ("single", ALIKE):
                asked = [name for name in self.subjects if name != self._behind(scene)]
                found += [(scene.kind, self._pair(self._reference(rng, name, scene), number)) for name in asked]
        return tuple(found)

    def _pair(self, key: str, picture: int) -> Pair:
        name = self.name_of(key)
        question, truth = self.wording.format(x=f"<{name}>"), name in self.scenes[picture].who
        return Pair(f"conditions/{key}/{picture:04}", name, picture, (key,), question, truth)

    @cached_property
    def asked_where(self) -> tuple[Place, ...]:
        """Where things are that were cut into other pictures; of three that are asked about two are there."""
        from plvm.model.photo.face_places import COLUMNS

        rng, found = self.stream("where"), list[Place]()
        made = [(number, scene) for number, scene in enumerate(self.scenes) if scene.base is not None]
        for i, (number, scene) in enumerate(made):
            (own,) = scene.who
            found.append(Place(number, self._reference(rng, own, scene), COLUMNS[scene.column]))
            if i % 2:
                other = rng.choice([n for n in self.subjects if n not in (own, self._behind(scene))])
                found.append(Place(number, self._reference(rng, other, scene), None))
        return tuple(found)
