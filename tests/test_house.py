"""The house rules: imports only go down, light things stay light, files stay readable."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import plvm

PACKAGE = Path(plvm.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# A part may import from itself and from the rows above it; parts of one row may know each other.
ROWS = [
    ("types", "errors", "config", "runtime", "presets"),
    ("images",),
    ("vocabulary",),
    ("prompt", "definitions_first"),  # it writes in the ids that the vocabulary gives out
    ("model",),  # a saved Aligner keeps its template
    ("engine",),
    ("store",),
    ("personal", "chat"),  # one opens a dialogue, the other is that dialogue
    ("portraits",),
    ("synth",),
    ("train",),
    ("evaluate",),
    ("systems",),
    ("report",),
    ("hub",),
    ("cost",),
    ("timing",),
    ("cards",),
    ("mini", "demo"),
    ("bench",),
    ("cli", "server"),
]
LEVEL = {part: level for level, row in enumerate(ROWS) for part in row}
HEAVY = {"torch", "transformers", "sklearn", "scipy", "sqlalchemy", "tokenizers", "huggingface_hub"}


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import of `file`, also those inside functions; `from plvm import x` is plvm.x."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively; write the full name"
            whole = node.module == "plvm"
            yield from ((node.lineno, f"plvm.{name.name}" if whole else str(node.module)) for name in node.names)


def where(file: Path, line: int) -> str:
    return f"{file.relative_to(PACKAGE)}:{line}"


def run_python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_part_has_its_place_in_the_list() -> None:
    parts = {part_of(file) for file in FILES} - {"__init__", "__main__"}
    assert parts <= set(LEVEL), f"give {sorted(parts - set(LEVEL))} a row in ROWS"


def test_imports_only_go_up_the_list() -> None:
    wrong = []
    for file in FILES:
        part = part_of(file)
        if part in ("__init__", "__main__"):  # the public names, imported lazily from everywhere
            continue
        for line, module in imports(file):
            names = module.split(".")
            if names[0] != "plvm" or len(names) == 1 or names[1] == part:
                continue
            if names[1] in LEVEL and LEVEL[names[1]] > LEVEL[part]:
                wrong.append(f"{where(file, line)} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_drawn_world_needs_nothing_heavy() -> None:
    wrong = [
        f"{where(file, line)} imports {module}"
        for file in FILES
        if part_of(file) == "portraits"
        for line, module in imports(file)
        if module.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "module", ["plvm", "plvm.types", "plvm.runtime", "plvm.images", "plvm.store", "plvm.portraits"]
)
def test_importing_it_imports_neither_torch_nor_transformers(module: str) -> None:
    loaded = run_python(f"import sys, {module}; print(*(m for m in ('torch', 'transformers') if m in sys.modules))")
    assert loaded.strip() == ""


def test_only_the_shells_print_exit_or_read_the_environment() -> None:
    wrong = []
    for file in FILES:
        if part_of(file) in ("cli", "server", "__main__"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Attribute):
                name = ast.unparse(node)
            if name in ("print", "input", "exit", "sys.exit", "os.getenv", "os.environ", "sys.argv"):
                wrong.append(f"{where(file, node.lineno)} uses {name}")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_ever_unpickled() -> None:
    wrong = [
        where(file, line)
        for file in FILES
        for line, module in imports(file)
        if module.split(".")[0] in ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
    ]
    assert not wrong, "\n".join(wrong)


def test_files_stay_under_450_lines() -> None:
    long = {str(file.relative_to(PACKAGE)): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert not {name: lines for name, lines in long.items() if lines >= 450}


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
