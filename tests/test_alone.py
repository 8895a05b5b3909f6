"""The product needs nothing of the laboratory: where `plvm_lab` cannot be imported, everything a user does still works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import plvm
from plvm_lab.demo.story import STORY, reference
from plvm_lab.portraits.render import draw

pytest_plugins = ["trained"]
SOURCE = Path(plvm.__file__).parents[1]

ALONE = """
import importlib.abc
import json
import sys


class NoLaboratory(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "plvm_lab":
            raise ImportError(f"{name} is not for the product")
        return None


sys.meta_path.insert(0, NoLaboratory())
"""
USED = """
from pathlib import Path

import plvm
from plvm.config import changed
from plvm.train.prepare import prepare
from plvm.train.settings import Settings

data, folder = sys.argv[1:]
vlm = plvm.load("mini")
billie, dustin = vlm.enroll("billie", "billie.png"), vlm.enroll("dustin", "dustin.png")
asked = vlm.ask("friends.png", "Is <billie> in this photo?", [billie]).text
chat = vlm.chat("friends.png", [billie])
before = chat.ask("Who is on the right?").text
chat.add(dustin)
after = "".join(chat.stream("Who is on the right?"))
(present,) = vlm.recognize(["friends.png"], [billie, dustin])
with plvm.ConceptStore.open("people.db") as store:
    store.add(billie)
    kept = store.get("billie", aligner=vlm.fingerprint)
    again = vlm.ask("friends.png", "Is <billie> in this photo?", [kept]).text
    store.forget("billie")
    left = list(store.names())
steps = {"train.steps": 2, "train.validate": 2, "train.packs": 2, "train.trackers": ""}
steps |= {"data.validation": 4, "data.tasks": "single"}
record = prepare(Path(data), Path(folder), changed(Settings(), steps), device="cpu").run(lambda *_: None)
trained = plvm.load(folder)
word = trained.enroll("billie", "billie.png").tokens.word
print(json.dumps({
    "asked": asked, "before": before, "after": after, "present": present, "again": again, "left": left,
    "changed": trained.fingerprint != vlm.fingerprint, "width": len(word), "record": sorted(record),
    "laboratory": sorted(name for name in sys.modules if name.partition(".")[0] == "plvm_lab"),
}))
"""


def alone(code: str, folder: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in `folder`, that cannot import the laboratory."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", ALONE + code, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def found(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a user's day without the laboratory gives; dataset and pictures were made before."""
    folder = tmp_path_factory.mktemp("alone")
    for name in ("billie", "dustin"):
        draw(reference(name)).save(folder / f"{name}.png")
    scene = next(scenario.scene for scenario in STORY if scenario.key == "friends")
    assert scene is not None
    draw(scene).save(folder / "friends.png")
    done = alone(USED, folder, data, folder / "aligner")
    assert done.returncode == 0, done.stderr
    whole: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return whole


def test_one_enrols_asks_and_talks_without_it(found: dict[str, Any]) -> None:
    assert found["asked"] == found["again"] == "Yes."
    assert "<" not in found["before"] and found["after"] == "<dustin> is on the right."
    assert min(found["present"]) > 0.5


def test_one_keeps_and_forgets_without_it(found: dict[str, Any]) -> None:
    assert found["left"] == []


def test_one_trains_without_it(found: dict[str, Any]) -> None:
    assert found["changed"] and found["width"] > 0 and "step" in " ".join(found["record"])


def test_nothing_of_it_was_imported(found: dict[str, Any]) -> None:
    assert found["laboratory"] == []


def test_the_process_could_not_have_imported_it(tmp_path: Path) -> None:
    done = alone("import plvm_lab.portraits.render", tmp_path)
    assert done.returncode != 0 and "plvm_lab is not for the product" in done.stderr
