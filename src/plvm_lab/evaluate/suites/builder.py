"""What all loaders share: concepts, pictures and questions are added one by one; each is checked, and what is wrong is
noted by kind. `Builder.build` looks for duplicates and for lopsided keys, and gives the benchmark.

Policy: what cannot be used is left out; a picture that is there twice is asked about once; answers are never changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from plvm.errors import ConceptNameError, RequestError
from plvm.images import sniff_format
from plvm.types import check_name
from plvm_lab.evaluate.items import LETTERS, Caption, Choice, Pair
from plvm_lab.evaluate.photo_benchmark import Defect, PhotoBenchmark

KINDS = {
    "missing-file": "a file that the layout has is not there",
    "unreadable-file": "a JSON file cannot be read, or is not built as it should be",
    "missing-picture": "a picture that is named somewhere is not there",
    "unreadable-picture": "a file is no picture that can be read",
    "lfs-pointer": "a file is a Git LFS pointer: the picture itself was never fetched",
    "no-reference": "a concept has no reference picture; it is left out",
    "no-query": "a concept has no picture to be recognised in",
    "several-references": "more than one file can be the reference picture; the first is used",
    "reference-is-query": "a query picture has the bytes of a reference: the answer would be given away; left out",
    "duplicate-picture": "a concept has the same picture twice; asked about once",
    "shared-picture": "the same picture stands under several concepts; it counts as showing all of them",
    "unusable-name": "a folder's name cannot be a concept's; it is left out",
    "unknown-concept": "a question is about a concept that is not there; left out",
    "absolute-path": "a path is that of somebody's own machine; the file was looked for by its end",
    "duplicate-question": "the same question stands there twice; asked once",
    "bad-options": "a question has fewer than two different options, or its key is not one of them; left out",
    "nobody-named": "a question names no concept: it can be answered without a reference",
    "recognition-in-qa": "a multiple-choice question asks whether the concept is in the picture",
    "skewed-key": "one letter is the key far more often than by chance: always answering it scores that",
    "conflicting-answer": "two files give different keys to the same question; the first one's is used",
    "mislabelled-row": "a row's type contradicts its answer; the answer is believed",
    "repeated-rows": "rows repeat other rows; they are asked about once",
    "contradictory-rows": "two rows give different answers for the same concept and picture; left out",
    "missing-pairs": "some pairs of a concept and a picture are in no row; they are not asked about",
    "flat-questions": "questions lie flat where the layout nests them by concept; the concept was found by the path",
    "swapped-files": "a file holds what its neighbour should hold; it is read as what it holds",
    "captions-without-name": "captions do not name the concept",
    "not-the-papers-size": "the numbers are not those that the paper reports",
    "unlisted-picture": "a picture is in no list of the folder's own",
}
LFS = b"version https://git-lfs"
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
CAPTION = "Describe this photo in one sentence, with the names of those you know."


class Builder:
    """Collects a benchmark. `only`, where given, are the concepts to keep; others are passed over without a word."""

    def __init__(self, suite: str, root: Path, wording: str, only: Collection[str] = ()) -> None:
        self.suite, self.root, self.wording, self.only = suite, root, wording, frozenset(only)
        self.defects: list[Defect] = []
        self.references: dict[str, tuple[Path, ...]] = {}
        self.shown: dict[Path, set[str]] = {}
        self.text: list[Choice] = []
        self.visual: list[Choice] = []
        self.several: list[tuple[Path, Pair]] = []
        self.captions: list[tuple[Path, str]] = []
        self.asked: set[tuple[str, Path]] | None = None
        self._about: dict[str, Path] = {}  # question id -> its picture
        self._seen: dict[tuple[str, str, Path | None], Choice] = {}
        self._digests: dict[Path, str] = {}
        self._by_name: dict[str, list[Path]] | None = None

    # ---- finding

    def note(self, kind: str, where: Path | str, what: str) -> None:
        """Note a defect."""
        assert kind in KINDS, kind
        place = str(where.relative_to(self.root)) if isinstance(where, Path) else where
        self.defects.append(Defect(kind, place, what))

    def wanted(self, name: str) -> bool:
        """Whether a concept is to be kept."""
        return not self.only or name in self.only

    def folders(self, parent: Path) -> list[Path]:
        """The folders in `parent` whose names are concepts to keep."""
        found = []
        for folder in sorted(p for p in parent.iterdir() if p.is_dir() and not p.name.startswith(".")):
            try:
                check_name(folder.name)
            except ConceptNameError as error:
                self.note("unusable-name", folder, error.message)
                continue
            if self.wanted(folder.name):
                found.append(folder)
        return found

    def in_folder(self, folder: Path) -> list[Path]:
        """The pictures of a folder in natural order: 2 before 10. What only looks like one is noted and left out."""
        files = [p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in PICTURES]
        return [p for p in sorted(files, key=lambda p: _natural(p.name)) if self.usable(p)]

    def usable(self, path: Path) -> bool:
        """Whether a file is a picture, by its first bytes."""
        if path in self._digests:
            return bool(self._digests[path])
        data = path.read_bytes()
        good = sniff_format(data) is not None
        self._digests[path] = hashlib.sha256(data).hexdigest() if good else ""
        if data.startswith(LFS):
            self.note("lfs-pointer", path, "run `git lfs pull` in the dataset's folder")
        elif not good:
            self.note("unreadable-picture", path, f"{len(data):,} bytes that are no picture")
        return good

    def find(self, text: str, where: str) -> Path | None:
        """The file that a path in a JSON file means: as it is below the root, else the one file with the longest end
        in common."""
        parts = [p for p in re.split(r"[/\\]+", text) if p not in ("", ".", "..")]
        absolute = text.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", text) is not None
        path = self.root.joinpath(*parts)
        if absolute or not path.is_file():
            if self._by_name is None:
                self._by_name = {}
                for file in sorted(p for p in self.root.rglob("*") if p.is_file()):
                    self._by_name.setdefault(file.name, []).append(file)
            ends = {p: _common_end(p.parts, parts) for p in self._by_name.get(parts[-1] if parts else "", ())}
            best = max(ends.values(), default=0)
            nearest = [p for p, n in ends.items() if n == best]
            if len(nearest) != 1 or best < min(2, len(parts)):
                self.note("missing-picture", where, f"{text} is not there")
                return None
            path = nearest[0]
            if absolute:
                self.note("absolute-path", where, text)
        return path if self.usable(path) else None

    def json(self, *names: str | Path, required: bool = True) -> Any:
        """The contents of the first of these files (below the root) that is there; None where none is, or it cannot be read."""
        for name in names:
            path = self.root / name
            if not path.is_file():
                continue
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, OSError) as error:
                self.note("unreadable-file", path, str(error))
                return None
        if required:
            self.note("missing-file", names[0], "not in the folder")
        return None

    def rows(self, data: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(where, row) of a JSON file that should be a list of objects; what is not is noted."""
        if data is not None and not isinstance(data, list):
            self.note("unreadable-file", name, f"a {type(data).__name__} instead of a list")
            return
        for i, row in enumerate(data or ()):
            if isinstance(row, dict):
                yield f"{name} item {i}", row
            else:
                self.note("unreadable-file", f"{name} item {i}", f"a {type(row).__name__} instead of an object")

    # ---- adding

    def reference(self, name: str, pictures: Sequence[Path], where: Path | str) -> bool:
        """Add a concept with its reference pictures, the first of which is used."""
        if not pictures:
            self.note("no-reference", where, f"{name} is left out")
            return False
        self.references[name] = tuple(pictures)
        return True

    def query(self, path: Path, names: Iterable[str] = ()) -> None:
        """Add a query picture that shows `names`."""
        self.shown.setdefault(path, set()).update(names)

    def choice(
        self,
        where: str,
        name: str,
        question: str,
        options: Any,
        key: Any,
        picture: Path | None = None,
        concepts: Sequence[str] = (),
        kind: str = "",
    ) -> None:
        """Add a multiple-choice question about `name`; "<sks>" and "sks" in it stand for the name.
        `options` should be a mapping of letters to answers."""
        if name not in self.references:
            if self.wanted(name):
                self.note("unknown-concept", where, name)
            return
        text = re.sub(r"<sks>|\bsks\b|<concept>", f"<{name}>", question.replace("<image>", "").strip())
        letters = list(options) if isinstance(options, Mapping) else []
        said = [str(options[letter]) for letter in letters]
        if len(set(said)) < max(2, len(said)) or key not in letters:
            self.note("bad-options", where, f"options {options}, key {key!r}")
            return
        if f"<{name}>" not in text:
            if re.search(rf"(?<![\w<]){re.escape(name)}(?![\w>])", text):
                text = re.sub(rf"(?<![\w<]){re.escape(name)}(?![\w>])", f"<{name}>", text)
            elif not any(f"<{n}>" in one for one in said for n in self.references):
                self.note("nobody-named", where, question)
        if picture is not None and _asks_presence(text):
            self.note("recognition-in-qa", where, question)
        items = self.text if picture is None else self.visual
        id_ = f"{'text' if picture is None else 'visual'}/{len(items):04}"
        item = Choice(id_, name, kind or f"{len(said)} options", None, tuple(concepts) or (name,), text, tuple(said),
                      letters.index(key))  # fmt: skip
        other = self._seen.setdefault((name, text, picture), item)
        if other is not item:
            same = other.options[other.key] == item.options[item.key]
            self.note("duplicate-question" if same else "conflicting-answer", where, text)
            return
        if picture is not None:
            self._about[id_] = picture
            self.query(picture)
        items.append(item)

    def caption(self, path: Path, about: str) -> None:
        """Ask for a caption of a picture that shows `about`, perhaps among others."""
        self.captions.append((path, about))

    # ---- what comes of it

    def build(self) -> PhotoBenchmark:
        """The benchmark of all that was added. Raises RequestError where there is nothing to ask."""
        self._drop_leaks()
        pictures = [p for p in self.shown if self.usable(p)]
        number = {p: i for i, p in enumerate(pictures)}
        for canonical, same in self._twins.items():
            number |= dict.fromkeys(same, number[canonical])
        names = tuple(self.references)
        people = tuple(frozenset(self.shown[p] & set(names)) for p in pictures)
        for name in names:
            if not any(name in shown for shown in people):
                self.note("no-query", name, "it is in no picture: only negative pairs and text questions")
        if not names or not pictures:
            raise RequestError(
                f"Nothing can be asked of {self.root}: {len(names)} concepts, {len(pictures)} query pictures."
                + "".join(f"\n  {d.kind}: {d.where}: {d.what}" for d in self.defects[:12]),
                f"See docs/suites.md for the layout of the {self.suite} suite.",
            )
        asked = None
        if self.asked is not None:
            asked = frozenset((n, number[p]) for n, p in self.asked if p in number)
        visual = [_at(c, number[self._about[c.id]]) for c in self.visual if self._about[c.id] in number]
        for kind, items in (("text", self.text), ("visual", visual)):
            self._look_for_skew(kind, items)
        return PhotoBenchmark(
            self.suite, names, self.references, tuple(pictures), people, self.wording, tuple(self.text),
            tuple(visual), self._captions(number, names, people),
            tuple(_at(pair, number[p]) for p, pair in self.several if p in number), asked, tuple(self.defects),
            hashlib.sha256("".join(self._digests[p] for p in (*pictures, *(r[0] for r in self.references.values())))
                           .encode()).hexdigest()[:12],
        )  # fmt: skip

    def _drop_leaks(self) -> None:
        """Leave out query pictures that are references, and ask about equal pictures once."""
        references = {self._digests.get(p): name for name, paths in self.references.items() for p in paths}
        first: dict[str, Path] = {}
        self._twins: dict[Path, list[Path]] = {}
        for path in list(self.shown):
            digest = self._digests[path] if self.usable(path) else ""
            if digest in references:
                self.note("reference-is-query", path, f"the reference of {references[digest]}")
                del self.shown[path]
            elif digest in first:
                kept = first[digest]
                same = self.shown[path] <= self.shown[kept]
                self.note("duplicate-picture" if same else "shared-picture", path, f"the same as {kept.name} of "
                          f"{', '.join(sorted(self.shown[kept])) or 'nobody'}")  # fmt: skip
                self.shown[kept] |= self.shown.pop(path)
                self._twins.setdefault(kept, []).append(path)
            else:
                first[digest] = path

    def _look_for_skew(self, kind: str, items: Sequence[Choice]) -> None:
        """Note a letter that is the key more often than chance by over two standard deviations."""
        if len(items) < 20:
            return
        counts = Counter(i.key for i in items)
        key, most = counts.most_common(1)[0]
        chances = [1 / len(i.options) for i in items if key < len(i.options)]
        if most - sum(chances) > 2 * sum(p * (1 - p) for p in chances) ** 0.5:
            share = f"{LETTERS[key]} is the key of {most} of {len(items)} {kind} questions ({most / len(items):.1%})"
            self.note("skewed-key", f"{kind} questions", share)

    def _captions(
        self, number: Mapping[Path, int], names: Sequence[str], people: Sequence[frozenset[str]]
    ) -> tuple[Caption, ...]:
        """Each picture once, with all whom it shows and one other concept in the prompt, at a place that varies."""
        items: dict[int, Caption] = {}
        for path, about in self.captions:
            i = number.get(path)
            if i is None or i in items or about not in people[i]:
                continue
            shown = tuple(n for n in names if n in people[i])
            other = [n for n in names if n not in people[i]]
            prompt = [*shown, *other[i % len(other) : i % len(other) + 1]] if other else list(shown)
            turn = i % len(prompt)
            items[i] = Caption(f"caption/{i:04}", about, i, (*prompt[turn:], *prompt[:turn]), CAPTION, shown)
        return tuple(items.values())


def _at(item: Any, number: int) -> Any:
    from dataclasses import replace

    return replace(item, picture=number)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", name.lower())]


def _common_end(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for x, y in zip(reversed(a), reversed(b)):
        if x != y:
            break
        count += 1
    return count


def _asks_presence(question: str) -> bool:
    return re.match(r"(is|can you see|do you see) <[^>]+> (visible )?in th(is|e) ", question + " ", re.I) is not None
