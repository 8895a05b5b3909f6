"""MC-LLaVA's dataset.

    {two,three}_concept/concept/train/<name>/*     references
    {two,three}_concept/concept/test/<name>/*      pictures of one concept, with
        choice.json    {picture: {"Human": question with its options, "AI": letter}}
        qa.json        [{"question", "answer"}]    text-only multiple choice
        vqa.json       open questions, scored by BLEU in the paper; not read
    {two,three}_concept/multi/<a_b>/*              pictures of several, with choice.json (a list per picture), qa.json,
        position.json  {picture: {name: position or null}}: who is in it

Recognition asks within a scenario, as the paper does: a scenario's concepts in the pictures of that scenario. In
pictures of several all of them are also asked about at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from plvm_lab.evaluate.items import Pair
from plvm_lab.evaluate.photo_benchmark import PhotoBenchmark
from plvm_lab.evaluate.suites.builder import Builder

WORDING = "Can you see {x} in this photo? Answer the question using a single word Yes or No."
GROUPS = ("two_concept", "three_concept", "four_concept")
CODE_NEEDS = ("train.json", "concept_type.json", "som_info.json")
OPTION = re.compile(r"(?:^|[\s(])([A-H])[.:)]\s*(.+?)(?=[\s(]+[A-H][.:)]\s|\s*$)", re.DOTALL)


def load(root: Path, only: Collection[str] = ()) -> PhotoBenchmark:
    """The benchmark of MC-LLaVA's folder."""
    found = Builder("mc-llava", root, WORDING, only)
    found.asked = set()
    present = {p.name for p in root.rglob("*.json")}
    for name in CODE_NEEDS:
        if name not in present:
            found.note("missing-file", name, "the paper's code needs it; nothing here does")
    for group in (root / g for g in GROUPS):
        if group.is_dir():
            _group(found, group)
    return found.build()


def _group(found: Builder, group: Path) -> None:
    train, test, multi = group / "concept" / "train", group / "concept" / "test", group / "multi"
    for folder in (train, test, multi):
        if not folder.is_dir():
            found.note("missing-file", folder, "not in the folder")
    names = []
    for folder in found.folders(train) if train.is_dir() else ():
        if found.reference(folder.name, found.in_folder(folder), folder):
            names.append(folder.name)
    pictures: dict[str, list[Path]] = {}
    for name in names:
        folder = test / name
        pictures[name] = found.in_folder(folder) if folder.is_dir() else []
        for path in pictures[name]:
            found.query(path, [name])
            found.caption(path, name)
        if folder.is_dir():
            _questions(found, folder, [name])
    scenarios = [(f, _members(f.name, names)) for f in sorted(multi.iterdir()) if f.is_dir()] if multi.is_dir() else []
    for folder, members in scenarios:
        if not members:
            if not found.only:
                found.note("unknown-concept", folder, "no concept of this name has references")
            continue
        shared = _together(found, folder, members)
        scenario = [p for name in members for p in pictures[name]] + shared
        assert found.asked is not None
        found.asked |= {(name, path) for name in members for path in scenario}
        _questions(found, folder, members)


def _members(folder: str, names: Sequence[str]) -> list[str]:
    """The concepts of a folder called `<a_b>`; a name may have a "_" of its own."""
    return [name for name in names if re.search(rf"(?:^|_){re.escape(name)}(?:_|$)", folder)]


def _together(found: Builder, folder: Path, members: Sequence[str]) -> list[Path]:
    """The pictures of several, and the question about all of them."""
    positions = found.json(folder / "position.json")
    if not isinstance(positions, dict) or not all(isinstance(at, dict) for at in positions.values()):
        positions = None
    here = {Path(p).name: [n for n, place in at.items() if place] for p, at in (positions or {}).items()}
    pictures = found.in_folder(folder)
    for path in pictures:
        shown = [n for n in here.get(path.name, members) if n in members]
        if positions is not None and path.name not in here:
            found.note("unlisted-picture", path, "not in position.json: taken to show everyone")
        found.query(path, shown)
        if shown:
            found.caption(path, shown[0])
        if len(members) > 1:
            question = WORDING.format(x=" and ".join(f"<{n}>" for n in members))
            id_ = f"several/{len(found.several):04}"
            pair = Pair(id_, members[0], 0, tuple(members), question, set(shown) == set(members))
            found.several.append((path, pair))
    return pictures


def _questions(found: Builder, folder: Path, members: Sequence[str]) -> None:
    """choice.json asks about pictures, qa.json does not. Which is which is decided by what they hold."""
    choice, text = found.json(folder / "choice.json"), found.json(folder / "qa.json")
    open_ = found.json(folder / "vqa.json", required=False)
    if _is_text(open_) and not _is_text(text):
        found.note("swapped-files", folder, "vqa.json holds the text-only questions, qa.json the open ones")
        text = open_
    for picture, rows in choice.items() if isinstance(choice, dict) else ():
        where = f"{folder.name}/choice.json {picture}"
        path = found.find(picture, where)
        for row in rows if isinstance(rows, list) else [rows]:
            if path is not None and isinstance(row, dict):
                _add(found, where, members, str(row.get("Human", "")), row.get("AI"), path)
    for i, row in enumerate(text if _is_text(text) else ()):
        _add(found, f"{folder.name}/qa.json item {i}", members, str(row["question"]), row.get("answer"), None)


def _add(found: Builder, where: str, members: Sequence[str], whole: str, key: Any, picture: Path | None) -> None:
    options = {letter: text.strip(" ,;\n") for letter, text in OPTION.findall(whole)}
    begin = OPTION.search(whole)
    question = re.sub(r"\s*(Options|Choices):?\s*$", "", whole[: begin.start()] if begin else whole).strip()
    about = next((n for n in members if n in question), members[0])
    concepts = [n for n in members if n == about or n in whole]
    for name in concepts:
        question = re.sub(rf"<?(?<![\w-]){re.escape(name)}(?![\w-])>?", f"<{name}>", question)
    found.choice(where, about, question, options, str(key or "").strip()[:1], picture, concepts)


def _is_text(data: Any) -> bool:
    return isinstance(data, list) and all(isinstance(row, dict) and "question" in row for row in data)
