"""The house rules: imports only go down and never round, light things stay light, files stay readable."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import plvm

SOURCE = Path(plvm.__file__).parents[1]
# A part may import from itself and from the rows above it in its own package; the laboratory may import all of the product.
ROWS = {
    "plvm": [
        ("errors",),
        ("types", "runtime", "families", "products"),
        ("naming",),
        ("config", "presets"),
        ("images",),
        ("client",),
        ("vision",),
        ("prompt",),
        ("model",),  # a saved Aligner keeps its template
        ("engine",),
        ("vllm",),
        ("presence",),
        ("store",),
        ("chat",),
        ("personal",),
        ("choosing", "people"),
        ("data",),
        ("albums", "sidecars"),
        ("train",),
        ("hub",),
        ("server",),
        ("cli",),
    ],
    "plvm_lab": [
        ("endpoint",),
        ("portraits",),
        ("tasks",),
        ("synth",),
        ("evaluate",),
        ("systems",),
        ("report",),
        ("demo",),
        ("families",),
        ("measure",),
        ("cli",),
    ],
}
FILES = sorted(file for package in ROWS for file in (SOURCE / package).rglob("*.py"))
HEAVY = {"torch", "transformers", "sklearn", "scipy", "sqlalchemy", "tokenizers", "huggingface_hub"}
LINES = 25_500  # of the product: the store, the server and the house's own apps take more of an evening than the method
SHARED = {"__init__", "__main__"}


def module_of(file: Path) -> str:
    """The dotted name of a file's module."""
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in FILES}


def package_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0]


def part_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[1].removesuffix(".py")


def level_of(package: str, part: str) -> int:
    return next(i for i, row in enumerate(ROWS[package]) if part in row)


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted module) of every import of `file`, also those inside functions and for types alone; of a module imported
    from its package it is the module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively; write the full name"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield node.lineno, whole if whole in MODULES else str(node.module)


def where(file: Path, line: int) -> str:
    return f"{file.relative_to(SOURCE)}:{line}"


def run_python(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_part_has_its_place_in_the_list() -> None:
    for package, rows in ROWS.items():
        parts = {part_of(file) for file in FILES if package_of(file) == package} - SHARED
        assert parts <= {part for row in rows for part in row}, f"give {sorted(parts)} of {package} a row each in ROWS"


def test_imports_only_go_up_the_list_and_the_product_knows_nothing_of_the_laboratory() -> None:
    wrong = []
    for file in FILES:
        package, part = package_of(file), part_of(file)
        if part in SHARED:  # the public names, imported lazily from everywhere
            continue
        for line, module in imports(file):
            names = module.split(".")
            if names[0] not in ROWS or len(names) == 1 or (names[0] == package and names[1] == part):
                continue
            up = names[0] == package and level_of(package, names[1]) >= level_of(package, part)
            if up or (package, names[0]) == ("plvm", "plvm_lab"):
                wrong.append(f"{where(file, line)} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_no_file_imports_itself_by_a_detour() -> None:
    graph = {m: {i for _, i in imports(f) if i in MODULES and i != m} for m, f in MODULES.items()}
    ends = {m for m, to in graph.items() if not to}
    while ends:  # what imports only what is in no circle is in none
        graph = {m: to - ends for m, to in graph.items() if m not in ends}
        ends = {m for m, to in graph.items() if not to}
    assert not graph, "\n".join(f"{m} -> {', '.join(sorted(to))}" for m, to in graph.items())


def test_the_product_is_no_longer_than_an_evening() -> None:
    lines = sum(len(f.read_text(encoding="utf-8").splitlines()) for f in FILES if package_of(f) == "plvm")
    assert lines <= LINES


def test_no_two_files_share_a_name() -> None:
    """But for a verb of the command line and what it is the shell of, and a suite in its authors' layout."""
    names = Counter(f.name for f in FILES if f.stem not in SHARED and f.parent.name != "cli")
    assert not {name: n for name, n in names.items() if n > 1}


def test_functions_are_short_and_take_few_parameters() -> None:
    """60 lines and 10 parameters; a verb of the command line takes its options in groups."""
    wrong = []
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                a = node.args
                given = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
                count = len(given) - (given[:1] in (["self"], ["cls"]))
                if lines > 60 or count > 10:
                    wrong.append(f"{where(file, node.lineno)} {node.name}: {lines} lines, {count} parameters")
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
    "module", ["plvm", "plvm.types", "plvm.runtime", "plvm.images", "plvm.store", "plvm_lab.portraits"]
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
    long = {module_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert not {name: lines for name, lines in long.items() if lines >= 450}


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "plvm" / "py.typed").exists()
