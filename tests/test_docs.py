"""docs/ keeps its promises: commands have those options, tables hold what the result files and the code say, what pages point
to is there."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import plvm
from plvm.cli.main import app
from plvm.presets import PRESETS
from plvm_lab.cli.cost import _size
from plvm_lab.measure.cost import cost

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGE = (DOCS / "full-size.md").read_text(encoding="utf-8")
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *DOCS.glob("*.md")]}


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # its dataclasses ask for it
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DOCS))
    return module


def commands(page: str) -> list[list[str]]:
    """Every `plvm ...` line of the shell blocks, as words; a line may begin with torchrun."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", PAGES[page], re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines = [re.sub(r"^torchrun .*?--no-python ", "", line) for line in lines]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("plvm ")]


def table_under(words: str) -> list[list[str]]:
    """The rows of the first table after `words`, without the rule under its header."""
    lines = PAGE.partition(words)[2].splitlines()
    table = itertools.takewhile(lambda line: line.startswith("|"), itertools.dropwhile(lambda x: x[:1] != "|", lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for i, line in enumerate(table) if i != 1]


@pytest.fixture(scope="module")
def plvm_command() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("page", sorted(page for page in PAGES if commands(page)))
def test_the_commands_have_the_options_that_they_are_given(plvm_command: Any, page: str) -> None:
    for words in commands(page):
        command, rest = plvm_command, list(words)
        while rest and rest[0] in getattr(command, "commands", {}):  # a group may do something itself
            command = command.commands[rest.pop(0)]
        command.make_context("plvm", rest, resilient_parsing=False).close()


@pytest.mark.parametrize("name", ["paper-7b", "released-7b", "paper-13b"])
def test_the_table_is_what_is_counted(name: str) -> None:
    header, *rows = table_under("What it needs")
    at = header.index(name)
    facts = cost(PRESETS[name])
    memory = facts["memory"]
    expected = [
        f"{facts['backbone']:,}", f"{facts['aligner_trainable']:,}", f"{facts['encoder']:,}",
        _size(memory["weights"]["bfloat16"]), _size(memory["weights"]["float32"]),
        _size(memory["image_prefix"]), _size(memory["concept"]),
    ]  # fmt: skip
    assert [row[at] for row in rows] == expected


def test_the_times_are_those_of_the_result_file() -> None:
    found = json.loads((ROOT / "research" / "results" / "full_size.json").read_text())
    ms, train = found["prefill"]["milliseconds"], found["train"]["samples_per_second"]
    parts = ("enrol", "prefill", "decode", "score", "train")
    expected = [
        f"{found['enrol']['encoder_and_aligner_ms']:.1f} ms", f"{found['enrol']['milliseconds']['picture_to_tokens']:.1f} ms",
        f"{found['enrol']['pictures_per_second']:.0f} a second",
        f"{ms['image_prefix']:.0f} ms", f"{ms['question']:.0f} ms", f"{found['decode']['ms_per_token']:.1f} ms",
        f"{100 * found['decode']['share_of_limit']:.0f} %", f"{found['score']['seconds']:.0f} s",
        f"{train['naive']:.0f}", f"{train['shared']:.0f}", f"{max(found[p]['peak_gib'] for p in parts):.0f} GiB",
    ]  # fmt: skip
    assert [row[1] for row in table_under("Times depend on the machine")[1:]] == expected
    assert found["device"].removeprefix("NVIDIA ").startswith("H100") and found["n"] == 10


def test_the_files_and_modules_that_are_named_are_there() -> None:
    missing = []
    for page, text in PAGES.items():
        paths = re.findall(r"(?:research|docs|src|tests)/[\w./-]+\.(?:py|toml|sh|json|md)\b", text)
        missing += [f"{page}: {path}" for path in paths if not (ROOT / path).exists()]
        for dotted in set(re.findall(r"`(plvm(?:_lab)?\.[a-z_]\w*(?:\.\w+)*)", text)) - {"plvm.load", "plvm.verbs", "plvm.tasks"}:
            if dotted.endswith(".py"):
                continue
            module, _, name = dotted.rpartition(".")
            if not hasattr(import_module(module), name) and importlib.util.find_spec(dotted) is None:
                missing.append(f"{page}: {dotted}")
    assert not missing, "\n".join(missing)


def test_links_between_pages_lead_to_files_that_are_there() -> None:
    """The strict build of the site checks anchors; here everything is a file, also where no site is built."""
    wrong = []
    for page, text in PAGES.items():
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            path = link.partition("#")[0]
            if not link.startswith("https://") and path and not ((ROOT / page).parent / path).exists():
                wrong.append(f"{page}: {link}")
    assert not wrong, "\n".join(wrong)


def test_every_page_is_in_the_navigation() -> None:
    told = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert told == {path.name for path in DOCS.glob("*.md")}


def test_tables_hold_what_the_result_files_say() -> None:
    tables = script("tables")
    for path in tables.pages():
        text = path.read_text(encoding="utf-8")
        assert text == tables.filled(text), f"run `python docs/tables.py`: {path.name}"


def test_every_table_of_a_result_file_stands_on_the_results_page() -> None:
    tables = script("tables")
    for name in tables.with_tables():
        for table in tables.tables_in(name):
            assert table.title in PAGES["docs/results.md"] + PAGES["docs/systems.md"], (name, table.title)


def test_evaluations_stand_side_by_side_as_in_the_report() -> None:
    tables = script("tables")
    found = tables.evaluations("portraits")
    assert "**Recognition and multiple choice (Table 1)**" in found and "\n| plvm |" in found and "**Time**" not in found
    assert "Not measured here yet" in tables.evaluations("nowhere")


def test_the_six_rows_are_those_of_the_published_summary() -> None:
    """Read here by other code than the script's."""
    summary = json.loads((ROOT / "research" / "results" / "portraits" / "summary.json").read_text())
    found = [
        summary["recognition"]["mean"], summary["recognition_lookalikes"]["mean"], summary["text_qa"]["accuracy"],
        summary["visual_qa"]["accuracy"], summary["who"]["3"]["right"], summary["dialogue"]["added_later"],
    ]  # fmt: skip
    expected = [f"{100 * f['value']:.1f} [{100 * f['low']:.1f}, {100 * f['high']:.1f}]" for f in found]
    rows = re.findall(r"^\| [^|]+ \| ([\d.]+ \[[\d., ]+\]) \| [\d,]+ \|$", PAGES["README.md"], re.MULTILINE)
    assert rows == expected


def test_the_architecture_page_and_its_pictures_are_those_of_the_code() -> None:
    house = script("architecture")
    assert PAGES["docs/architecture.md"] == house.page(), "run `python docs/architecture.py`"
    for name, svg in house.pictures().items():
        assert (DOCS / "images" / name).read_text(encoding="utf-8") == svg, f"run `python docs/architecture.py`: {name}"


def test_floors_are_import_depths_and_circles_are_seen() -> None:
    house = script("architecture")
    files = {
        "p/low.py": "import os",
        "p/middle/a.py": "def f():\n    from p import low",
        "p/top.py": "from p.middle import a\nfrom p.round import x",
        "p/round.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.top import y",
    }
    parts = house.measure(files, ("p",))["p"]["parts"]
    assert {name: (part["floor"], part["circle"]) for name, part in parts.items()} == {
        "low": (0, False), "middle": (1, False), "top": (2, True), "round": (2, True),
    }  # fmt: skip


def test_the_api_page_has_every_public_name() -> None:
    named = set(re.findall(r"^::: ([\w.]+)$", PAGES["docs/api.md"], re.MULTILINE))
    errors = {name for name in plvm.__all__ if name.endswith("Error")}
    assert {f"plvm.{name}" for name in set(plvm.__all__) - errors - {"__version__"}} | {"plvm.errors"} <= named
    for dotted in named - {f"plvm.{name}" for name in plvm.__all__}:
        assert importlib.util.find_spec(dotted) is not None, dotted


def test_a_site_that_fetches_from_elsewhere_or_leads_nowhere_is_refused(tmp_path: Path) -> None:
    check = script("check_site")
    good = '<a href="https://example.org/a">a</a><img src="images/a.png"><link rel="canonical" href="https://example.org/">'
    (tmp_path / "index.html").write_text(good)
    assert check.flaws(tmp_path) == []
    bad = ['<script src="https://example.org/a.js"></script>', '<a href="http://example.org">', '<a href="https://nowhere">']
    for text in bad:
        (tmp_path / "index.html").write_text(text)
        assert len(check.flaws(tmp_path)) == 1, text


def test_the_python_is_that_of_the_readme_with_another_folder() -> None:
    block = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
    names = set(re.findall(r"vlm\.(\w+)\(", block))
    assert names == {"enroll", "ask"} and all(hasattr(plvm.Personal, name) for name in names)
