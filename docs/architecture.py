"""Measures the house and draws it: the counts, the pictures and the file list of docs/architecture.md.

    python docs/architecture.py                          fills the marked places of the page, and draws both pictures
    python docs/architecture.py --measure 0.1 9a3631c    measures the house of that revision into docs/structure-0.1.json

A part is a folder of a package, or a file that lies beside the folders. Every import counts, lazy ones and those for types
alone too. The floor of a part is how deep its imports go: what imports nothing of its package is on the ground, what imports
that stands above it. Parts that import each other in a circle stand on one floor and are marked.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structure import draw

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGES = ("plvm", "plvm_lab")
MEASURED = {"0.1": ("plvm",), "0.2": PACKAGES}  # version -> its packages
PLACE = re.compile(r"(<!-- house: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


@dataclass
class Part:
    """A folder or a single file of a package: its size, the parts of its own package that it imports, the parts that it is in
    a circle with, and its floor."""

    files: int
    lines: int
    imports: list[str]
    circle: bool = False
    floor: int = 0


def sources(folder: Path) -> dict[str, str]:
    """path below `folder` -> text of every Python file."""
    files = sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in files}


def sources_of(revision: str, folder: str) -> dict[str, str]:
    """The same of a revision of this repository."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    names = [n for n in git("ls-tree", "-r", "--name-only", revision, folder).splitlines() if n.endswith(".py")]
    return {name.removeprefix(f"{folder}/"): git("show", f"{revision}:{name}") for name in names}


def measure(files: Mapping[str, str], packages: tuple[str, ...]) -> dict[str, Any]:
    """What the structure is: for each package its files, lines and parts."""
    house: dict[str, Any] = {}
    for package in packages:
        own = {name: text for name, text in files.items() if name.startswith(f"{package}/")}
        parts = floors(parts_of(own, package))
        house[package] = {
            "files": len(own),
            "lines": sum(len(text.splitlines()) for text in own.values()),
            "circles": sum(part.circle for part in parts.values()),
            "parts": {name: vars(part) for name, part in sorted(parts.items())},
        }
    return house


def parts_of(files: Mapping[str, str], package: str) -> dict[str, Part]:
    """The parts of a package with what each imports; the package's own __init__ is none."""
    parts: dict[str, Part] = {}
    for name, text in files.items():
        own = name.split("/")[1].removesuffix(".py")
        if own.startswith("__"):
            continue
        part = parts.setdefault(own, Part(0, 0, []))
        part.files += 1
        part.lines += len(text.splitlines())
        part.imports += imported(text, package)
    for own, part in parts.items():
        part.imports = sorted(set(part.imports) & (parts.keys() - {own}))
    return parts


def imported(text: str, package: str) -> list[str]:
    """The parts of `package` that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{name.name}" for name in node.names]
        found += [name.split(".")[1] for name in names if name.startswith(f"{package}.")]
    return found


def floors(parts: dict[str, Part]) -> dict[str, Part]:
    """Give every part its floor; parts in one circle share theirs."""
    reach: dict[str, set[str]] = {}
    for name in parts:
        seen: set[str] = set()
        waiting = list(parts[name].imports)
        while waiting:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                waiting += parts[other].imports
        reach[name] = seen

    def floor(name: str) -> int:
        circle = {other for other in reach[name] if name in reach[other]} | {name}
        below = {other for member in circle for other in parts[member].imports} - circle
        return 1 + max(map(floor, below)) if below else 0

    for name, part in parts.items():
        part.circle, part.floor = name in reach[name], floor(name)
    return parts


def house_of(version: str) -> dict[str, Any]:
    """The house of an earlier version, as it was measured."""
    house: dict[str, Any] = json.loads((DOCS / f"structure-{version}.json").read_text(encoding="utf-8"))["house"]
    return house


def counts(after: Mapping[str, Any]) -> str:
    """The houses in numbers."""

    def row(label: str, house: Mapping[str, Any]) -> str:
        parts = house["parts"].values()
        floor = 1 + max(part["floor"] for part in parts)
        return (
            f"| {label} | {house['files']} | {house['lines']:,} | {len(parts)} | {floor} | "
            f"{sum(len(part['imports']) for part in parts)} | {house['circles']} |"
        )

    lines = [
        "| | files | lines | parts | floors | arrows between parts | parts in a circle |",
        "|---|--:|--:|--:|--:|--:|--:|",
        row("0.1: `plvm`, all in one", house_of("0.1")["plvm"]),
        row("0.2, where it was cut in two: `plvm`", house_of("0.2")["plvm"]),
        row("0.2: `plvm_lab`", house_of("0.2")["plvm_lab"]),
        row("now: `plvm`, the product", after["plvm"]),
        row("now: `plvm_lab`, the laboratory", after["plvm_lab"]),
    ]
    return "\n".join([*lines, ""])


def sizes(house: Mapping[str, Any]) -> str:
    """Every part of the house, lowest floor first."""
    lines = ["| part | floor | files | lines |", "|---|--:|--:|--:|"]
    for package in PACKAGES:
        parts = house[package]["parts"]
        for name in sorted(parts, key=lambda n: (parts[n]["floor"], n)):
            part = parts[name]
            lines.append(f"| `{package}.{name}` | {part['floor']} | {part['files']} | {part['lines']:,} |")
    return "\n".join([*lines, ""])


def tree(files: Mapping[str, str]) -> str:
    """Every file with its length and the first sentence of its docstring, folder by folder."""
    folders: dict[str, list[str]] = {}
    for name, text in files.items():
        folder, _, file = name.rpartition("/")
        if file != "__init__.py" or text.strip():
            folders.setdefault(folder, []).append(f"| `{file}` | {len(text.splitlines())} | {first_sentence(text)} |")
    parts = []
    for folder in sorted(folders):
        parts += [f"#### {folder}/", "", "| file | lines | what it is |", "|---|--:|---|", *folders[folder], ""]
    return "\n".join(parts)


def first_sentence(text: str) -> str:
    """What a module says of itself, in its first sentence."""
    said = " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    first = re.split(r"(?<=\.)\s", said, maxsplit=1)[0].replace("|", "\\|")
    parts = first.split("`")  # what is between backticks is code, where nothing needs a mark
    return "`".join(part if i % 2 else part.replace("<", "\\<") for i, part in enumerate(parts))


def page() -> str:
    """docs/architecture.md with its marked places filled."""
    files = sources(ROOT / "src")
    after = measure(files, PACKAGES)
    told = {"counts": counts(after), "sizes": sizes(after), "files": tree(files)}
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    return PLACE.sub(lambda place: f"{place[1]}\n{told[place[2]]}\n{place[4]}", text)


def pictures() -> dict[str, str]:
    """name below docs/images -> SVG."""
    return {"structure-0.1.svg": draw(house_of("0.1")), "structure.svg": draw(measure(sources(ROOT / "src"), PACKAGES))}


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--measure"]:
        _, version, revision = arguments
        house = measure(sources_of(revision, "src"), MEASURED[version])
        facts = {"command": f"python docs/architecture.py --measure {version} {revision}", "house": house}
        (DOCS / f"structure-{version}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        return
    (DOCS / "architecture.md").write_text(page(), encoding="utf-8")
    for name, svg in pictures().items():
        (DOCS / "images" / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
