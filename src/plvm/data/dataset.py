"""A finished dataset as training reads it: any picture by its key, questions by split."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from plvm.data.manifest import read_manifest, read_rows
from plvm.data.shards import KEPT, QUESTIONS, REFERENCE
from plvm.data.spec import FORMAT
from plvm.data.wordings import ATTRIBUTES
from plvm.errors import RequestError
from plvm.images import open_image


@dataclass(frozen=True)
class Sentence:
    """A question about <n0> and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, eq=False)
class Split:
    """One split of a dataset. `people` have a reference; `pictures` are (key, who is in it); `asks`, `yes`, `no` are how
    recognition was asked and answered, apart from each other, so that no wording tells the answer; `attributes` is what was
    asked about whom without a picture."""

    name: str
    people: tuple[str, ...]
    pictures: tuple[tuple[str, tuple[str, ...]], ...]
    asks: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]
    attributes: tuple[tuple[str, Sentence], ...]


class Dataset:
    """The kept pictures of a finished dataset. Raises RequestError where the folder is none, or of another format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = read_manifest(folder)
        if manifest.spec.get("format") != FORMAT:
            raise RequestError(
                f"{folder} has format {manifest.spec.get('format')!r}; this plvm reads format {FORMAT}.",
                "Make it again with this plvm's `plvm synth`.",
            )
        self.content = manifest.content
        self.generator = str(manifest.spec["generator"])
        self.shards = sorted(manifest.shards)
        self.digests: dict[str, str] = {}  # key -> SHA-256 of the pixels
        self._places: dict[str, tuple[Path, int, int]] = {}

    def split(self, name: str) -> Split:
        """The questions of one split; its pictures can be opened from now on. Raises RequestError where it is empty."""
        kept = [r for r in read_rows(self.folder, split=name) if r["kept"]]
        people = tuple(r["people"][0] for r in kept if r["name"] == REFERENCE)
        shown = [r for r in kept if r["name"] != REFERENCE and set(r["people"]) <= set(people)]
        if not people or not shown:
            raise RequestError(
                f'{self.folder} has no pictures in its split "{name}".',
                "Make a dataset with more identities: a twentieth of them is for validation.",
            )
        self.digests |= {r["picture"]: r["sha256"] for r in kept}
        self._find(name)
        present = {r["picture"]: tuple(r["people"]) for r in shown}
        asks, yes, no, attributes = dict[str, None](), dict[str, None](), dict[str, None](), []
        for row in read_rows(self.folder, QUESTIONS, name):
            if row["kind"] == "recognize":
                asks[row["question"]] = None
                (yes if row["concepts"][0] in present.get(row["picture"], ()) else no)[row["answer"]] = None
            elif row["kind"] in ATTRIBUTES and row["concepts"][0] in set(people):
                attributes.append((row["concepts"][0], Sentence(row["question"], row["answer"])))
        return Split(name, people, tuple(present.items()), tuple(asks), tuple(yes), tuple(no), tuple(attributes))

    def image(self, key: str) -> Image.Image:
        """A picture as RGB. Raises RequestError where its shard has changed."""
        path, offset, size = self._places[key]
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return open_image(file.read(size))
        except OSError as error:
            raise RequestError(f"{path} cannot be read: {error.strerror}.", "Make the dataset again.") from None

    def _find(self, split: str) -> None:
        for name in self.shards:
            path = self.folder / f"{name}{KEPT}"
            if name.rpartition("-")[0] != split:
                continue
            try:
                with tarfile.open(path) as tar:
                    entries = [(e.name, e.offset_data, e.size) for e in tar if e.name.endswith(".png")]
            except (OSError, tarfile.TarError) as error:
                raise RequestError(
                    f"{path} cannot be read ({type(error).__name__}).", "Make the dataset again."
                ) from None
            self._places |= {n.removesuffix(".png"): (path, offset, size) for n, offset, size in entries}
