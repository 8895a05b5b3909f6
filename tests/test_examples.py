"""The examples run, with drawn pictures and with the user's own, and what they print is what they promise."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plvm
from plvm_lab.demo.story import reference
from plvm_lab.portraits.render import draw
from toys import picture

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(file.name for file in FOLDER.glob("[0-9]*.py"))
NOTEBOOK = json.loads((FOLDER / "tour.ipynb").read_text(encoding="utf-8"))

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Start an example in an empty folder, as `python FILE ARGUMENTS` does; returns what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(FOLDER))

    def run(name: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(FOLDER / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_the_first_answers_are_true(run: Run) -> None:
    said = run("01_first_answer.py")
    assert "Is <billie> in this photo?  Yes." in said
    assert "<billie> is on the left" in said and "<billie> is playing the guitar" in said


def test_the_first_answers_are_about_whom_one_names(run: Run, tmp_path: Path) -> None:
    draw(reference("avril"), 200).save(tmp_path / "me.jpg")
    picture(1).save(tmp_path / "party.png")
    said = run("01_first_answer.py", "--name", "me", "--reference", "me.jpg", "--picture", "party.png", "Where is <me>?")
    assert "<me> is who is on me.jpg." in said and said.count("Where is <me>?") == 1 and "billie" not in said


def test_who_joins_in_the_middle_is_known_from_then_on(run: Run) -> None:
    before, joins, after = run("02_dialogue.py").partition("(<dustin> joins.)")
    assert joins and "<dustin>" not in before and "<dustin> is on the right" in after
    cost = re.findall(r"^ +(\d+) +(\d+)  \S", after, re.MULTILINE)
    assert len(cost) == 4 and all(int(computed) < int(prompt) / 4 for prompt, computed in cost[1:])


def test_a_dialogue_has_the_people_and_the_picture_that_one_names(run: Run, tmp_path: Path) -> None:
    for seed, name in enumerate(("anna", "ben", "party")):
        picture(seed).save(tmp_path / f"{name}.png")
    said = run("02_dialogue.py", "--picture", "party.png", "--first", "anna", "anna.png", "--later", "ben", "ben.png")
    assert "Is <anna> in this photo?" in said and "(<ben> joins.)" in said


def test_the_table_has_those_who_are_there(run: Run) -> None:
    header, *rows = [line.split() for line in run("03_who_is_there.py").splitlines()]
    found = {row[0]: dict(zip(header, map(float, row[1:]), strict=True)) for row in rows}
    there = {picture: {name for name, p in row.items() if p > 0.5} for picture, row in found.items()}
    true = {
        "library.png": {"billie", "avril"}, "friends.png": {"billie", "dustin"},
        "everyone.png": {"billie", "avril", "dustin"}, "strangers.png": set(),
    }  # fmt: skip
    assert there.keys() == true.keys() and all(there[picture] <= true[picture] for picture in true)
    assert sum(map(len, there.values())) >= 6, "of seven; one may be missed"


def test_the_table_is_of_ones_own_folder(run: Run, tmp_path: Path) -> None:
    for seed, file in enumerate(("people/anna/1.png", "people/anna/2.png", "people/ben/x.png", "one.png")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(tmp_path / file)
    header, row = run("03_who_is_there.py", "people", "one.png").splitlines()
    assert header.split() == ["anna", "ben"] and row.startswith("one.png")


def test_the_store_keeps_hands_on_and_forgets(run: Run, tmp_path: Path) -> None:
    lines = dict(line.split(": ") for line in run("04_store.py").splitlines() if ": " in line)
    assert lines == {
        "kept": "avril, billie", "renamed": "avril, billie-b", "forgotten": "avril", "imported": "avril, billie-b",
    }  # fmt: skip
    with plvm.ConceptStore.open(tmp_path / "out" / "people.db") as store:
        assert store.names() == []


def test_an_aligner_is_trained_and_used(run: Run, tmp_path: Path) -> None:
    said = run("05_train_an_aligner.py", "--identities", "16", "--steps", "2")
    assert "train 2/2: total" in said and "validation 2/2: loss" in said
    chances = re.findall(r"P\(<billie> is in (\w+)\.png\) = (\d\.\d\d)", said)
    assert [key for key, _ in chances] == ["library", "strangers"]
    folder = tmp_path / said.rpartition("The Aligner is in ")[2].strip()
    assert json.loads((folder / "config.json").read_text())["architecture"] == "anchored"


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(FOLDER))
    scope: dict[str, Any] = {"__name__": "__main__"}
    for i, cell in enumerate(c for c in NOTEBOOK["cells"] if c["cell_type"] == "code"):
        exec(compile("".join(cell["source"]), f"tour.ipynb, code cell {i}", "exec"), scope)
    said = capsys.readouterr().out
    assert "<billie> is playing the guitar." in said and "<dustin> is on the right." in said
    assert scope["kept"] == ["avril", "billie", "dustin"] and scope["left"] == []


def test_the_notebook_is_kept_without_what_a_run_leaves_in_it() -> None:
    for cell in NOTEBOOK["cells"]:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None and cell["metadata"] == {}


def test_every_example_is_told_of_and_run() -> None:
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    files = {file.name for file in FOLDER.iterdir() if file.suffix in (".py", ".ipynb")}
    assert set(re.findall(r"^\| \[([\w.]+)\]", told, re.MULTILINE)) == files
    assert len(SCRIPTS) == 5 and all(f'"{name}"' in Path(__file__).read_text(encoding="utf-8") for name in SCRIPTS)
