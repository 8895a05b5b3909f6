"""What was written for plvm 0.1, or by it, still works: commands, names, settings, stores, archives, Aligner folders, answers."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import load_file

import plvm
from plvm.cli.main import app
from plvm.config import changed, keys_of
from plvm.model.checkpoint import fingerprint, load_aligner
from plvm.store import ConceptStore
from plvm.train.settings import Settings

DATA = Path(__file__).with_name("data")
OLD = DATA / "0.1"
RECORDED: dict[str, Any] = json.loads((OLD / "recorded.json").read_text(encoding="utf-8"))
REFERENCE = (DATA / "cli-0.1.md").read_text(encoding="utf-8")
PARTS = ("word", "head", "context", "key")
Options = dict[str, str]  # "-y, --yes" or "--out FOLDER" -> what stands in brackets: the default, the range, required


# ---- the command line


def bare(text: str) -> str:
    """Without blanks, and without the brackets that only groups of verbs put around a default in words."""
    return re.sub(r"[\s()]", "", text)


def in_brackets(explanation: str) -> str:
    found = re.search(r"\[((?:default|required|x[<>])[^\[\]]*)\]$", explanation.strip())
    return bare(found[1]) if found else ""


def old_section(page: str, title: str) -> list[tuple[str, str]]:
    """The (name, explanation) pairs of one section of a help page."""
    rows: list[tuple[str, str]] = []
    inside = re.search(rf"^{title}:\n((?:  .*\n|\n(?=  ))*)", page, re.MULTILINE)
    for line in (inside[1] if inside else "").splitlines():
        if re.match(r"  \S", line):
            name, _, text = line.strip().partition("  ")
            rows.append((name, text.strip()))
        elif line.strip():
            rows[-1] = (rows[-1][0], f"{rows[-1][1]} {line.strip()}")
    return rows


OLD_PAGES = dict(re.findall(r"^## (plvm[^\n]*)\n\n```\n(.*?)^```", REFERENCE, re.MULTILINE | re.DOTALL))


def contexts(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, Any]]:
    """(path, context) of a command and of all below it."""
    context = command.context_class(command, info_name=name.split()[-1], parent=parent, **command.context_settings)
    yield name, context
    for below, child in getattr(command, "commands", {}).items():
        yield from contexts(child, f"{name} {below}", context)


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    return dict(contexts(typer.main.get_command(app), "plvm"))


def records(context: Any, kind: str) -> list[tuple[str, str]]:
    """The (name, explanation) pairs of today's options or arguments."""
    found = [p.get_help_record(context) for p in context.command.get_params(context) if p.param_type_name == kind]
    return [(re.sub(r" <.*>$", "", name), text) for name, text in found]


def test_the_old_reference_is_read_whole() -> None:
    assert len(OLD_PAGES) == 28 == REFERENCE.count("\n## ")
    assert dict(old_section(OLD_PAGES["plvm import-official"], "Options")) == {
        "--out FOLDER": "Where the results go.  [required]",
        "--backbone ID|FOLDER": "LLaVA-1.5-7B: its Hub id, or a folder with a copy.  [default: llava- hf/llava-1.5-7b-hf]",
        "--encoder ID|FOLDER": "DINOv2-base: its Hub id, or a folder with a copy.  [default: facebook/dinov2-base]",
        "--replace": "Replace the model that is in FOLDER.",
        "--json": "Write JSON.",
        "-h, --help": "Show this message and exit.",
    }
    assert sum(len(old_section(page, "Options")) for page in OLD_PAGES.values()) == REFERENCE.count("\n  -")


@pytest.mark.parametrize("path", OLD_PAGES)
def test_every_option_and_argument_is_still_there_with_its_default(path: str, commands: dict[str, Any]) -> None:
    assert path in commands, f"the verb {path} is gone"
    options = {name: in_brackets(text) for name, text in records(commands[path], "option")}
    old = {name: in_brackets(text) for name, text in old_section(OLD_PAGES[path], "Options")}
    assert {name: options.get(name) for name in old} == old
    new = [text for name, text in records(commands[path], "option") if name not in old]
    assert not [text for text in new if "[required]" in text], "a new option must not be needed"
    arguments = [name for name, _ in records(commands[path], "argument")]
    assert arguments == [name for name, _ in old_section(OLD_PAGES[path], "Arguments")]


EXAMPLES = [line.split(" > ")[0].strip() for line in REFERENCE.splitlines() if re.match(r"    plvm .", line)]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_still_understood(line: str) -> None:
    command: Any = typer.main.get_command(app)
    context, words = None, shlex.split(line)
    while True:
        context = command.make_context(words[0], words[1:], parent=context)
        rest = [*context._protected_args, *context.args]
        if not (rest and hasattr(command, "commands")):
            break
        words, command = rest, command.commands[rest[0]]
    assert not rest


# ---- names and settings


def test_every_public_name_is_still_there() -> None:
    assert set(RECORDED["names"]) <= set(plvm.__all__)
    assert all(getattr(plvm, name) is not None for name in RECORDED["names"])


def test_every_setting_of_a_training_is_still_read_and_means_the_same() -> None:
    assert keys_of(changed(Settings(), RECORDED["settings"])) == keys_of(Settings())


# ---- what lies on disk


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def facts(concept: plvm.Concept) -> dict[str, Any]:
    """A concept as 0.1 recorded it; the numbers apart."""
    return {
        "name": concept.name,
        "notes": concept.notes,
        "created": concept.created,
        "aligner": concept.aligner,
        "references": [digest(picture) for picture in concept.references],
        "tokens": {p: digest(getattr(concept.tokens, p).contiguous().numpy().tobytes()) for p in PARTS},
    }


KEPT = [{key: value for key, value in c.items() if key != "numbers"} for c in RECORDED["concepts"]]


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    return Path(shutil.copy(OLD / "concepts.db", tmp_path))


def test_a_store_opens_with_everything_in_it(old_store: Path) -> None:
    with ConceptStore.open(old_store) as store:
        assert [facts(concept) for concept in store.list()] == KEPT
        store.rename("zoë", "kim")
        assert store.names() == ["billie", "kim"]


def test_an_archive_is_imported_whole(tmp_path: Path) -> None:
    with ConceptStore.open(tmp_path / "new.db") as store:
        assert store.import_(OLD / "all.plvm") == ["billie", "zoë"]
        assert [facts(concept) for concept in store.list()] == KEPT


@pytest.mark.parametrize("form", RECORDED["aligners"])
def test_an_aligner_of_every_form_is_the_same_and_makes_the_same(form: str) -> None:
    old, inputs = RECORDED["aligners"][form], load_file(OLD / "inputs.safetensors")
    aligner, template, _ = load_aligner(OLD / form)
    assert fingerprint(aligner, template) == old["fingerprint"]
    aligner.use_words(inputs["words"])
    with torch.inference_mode():
        rows = aligner.tokens_from_features(inputs["features"])
    for part in ("word", "head", "context"):
        assert getattr(rows, part)[0].flatten().tolist() == pytest.approx(old["rows"][part], abs=2e-5), part


# ---- what the shipped model says


@pytest.fixture(scope="module")
def mini() -> plvm.Personal:
    return plvm.load("mini", device="cpu", dtype="float32")


@pytest.fixture
def concepts(old_store: Path) -> list[plvm.Concept]:
    with ConceptStore.open(old_store) as store:
        return store.list()


def test_people_of_0_1_are_refused_by_todays_model_with_what_to_do(mini: plvm.Personal, concepts: list[plvm.Concept]) -> None:
    assert mini.fingerprint != RECORDED["mini"] == concepts[0].aligner
    with pytest.raises(plvm.AlignerMismatchError, match="--re-enrol"):
        mini.ask(Image.open(OLD / "scene.png"), "Where is <billie>?", concepts)


def test_enrolled_again_from_the_kept_pictures_they_get_the_answers_of_then(
    mini: plvm.Personal, concepts: list[plvm.Concept]
) -> None:
    again = [mini.enroll(concept.name, *concept.references) for concept in concepts]
    scene = Image.open(OLD / "scene.png")
    for question, answer in RECORDED["answers"]:
        assert mini.ask(scene, question, again).text == answer
    assert all(p > 0.5 for p in (*mini.recognize([scene], again)[0], *RECORDED["present"]))
